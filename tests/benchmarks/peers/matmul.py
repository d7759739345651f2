"""Products of matrices by our kernels beside torch.matmul, on random data, two threads: GFLOP/s. Ours through the benchmark of kernels (kernel_bench),
so without a launch's cost, and with the packing of their factors; bf16 factors give f32 sums, PyTorch's bf16 a bf16 result."""
import json

from common import BIN, figure, heading, in_turn, output_of, peer, ratios_of, say, spread

PACKAGES = ("torch",)
# Name of the kernel, and what it is.
PRODUCTS = {
    "forward_1024x384": "4096 x 384 x 1024: x Wᵀ",
    "square_1024": "1024 x 1024 x 1024: x Wᵀ",
    "dw_1024x384": "1024 x 4096 x 384: dyᵀ x, a weight's gradient",
}


def weft(options):
    del options
    names = "|".join(f"(bf16_)?{name}" for name in PRODUCTS)
    found = json.loads(output_of([BIN / "kernel_bench", f"--benchmark_filter=^({names})/threads:2/", "--benchmark_format=json", "--benchmark_min_time=0.5"]))
    rates = {run["name"].split("/")[0]: run["FLOP/s"] / 1e9 for run in found["benchmarks"]}
    return {(name, p): rates[name if p == "f32" else f"bf16_{name}"] for name in PRODUCTS for p in ("bf16", "f32")}


def pytorch(options):
    del options
    found = peer("torch_matmul.py", "2", "0.5")
    return {(name, p): found[name][p] for name in PRODUCTS for p in ("bf16", "f32")}


def measure(options, write):
    lines = heading("Products of matrices beside torch.matmul", options, "matmul", PACKAGES, "GFLOP/s with two threads.")
    lines += ["| product, M x K x N | type | Weft | torch.matmul | Weft against it |", "|---|---|---|---|---|"]
    results, left_out = in_turn("matmul", options.rounds, {"Weft": lambda: weft(options), "PyTorch": lambda: pytorch(options)})
    measured = []
    for name, what in PRODUCTS.items():
        for precision in ("bf16", "f32"):
            ours, theirs = ([round[name, precision] for round in results.get(program, [])] for program in ("Weft", "PyTorch"))
            lines.append(f"| {what} | {precision} | {spread(ours, 0)} | {spread(theirs, 0) if theirs else ''} | {spread(ratios_of(ours, theirs), 2) if theirs else ''} |")
            say(f"matmul {name} {precision}: {spread(ours, 0)} beside {spread(theirs, 0) if theirs else 'nothing'} GFLOP/s")
            if precision == "bf16":
                measured.append(figure(f"matmul {name}", [value / 1000 for value in ours]))
    write(lines + [""] + [f"{program} left out: {why}" for program, why in left_out.items()])
    return measured
