"""Training steps of Weft and of its peers.

A program's figure in a round is the median of its steps but the first two. The page gives the ratio of Weft to each peer round by round, the time from
the start to the first step's end (of Weft: compiling, text to tokens and all), and the peak of resident memory."""
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

from common import ROOT, Figure, figure, heading, in_turn, peer, ratios_of, say, spread
from models import CASES

PACKAGES = ("torch", "jax")


def train(options, name, precision, run, *settings):
    """`weft train` into the folder `run`: seconds of each step, from the start to the first step's end, and the peak of resident memory, which is
    the kernel's own record, read until the process ends."""
    case = CASES[name]
    command = [options.weft, "train", str(ROOT / "docs/benchmarks" / case.recipe), *case.settings, f"train.precision={precision}",
               f"run.dir={run}", f"run.threads={options.threads}", "data.validation=0", *settings]
    metrics, first, peak = pathlib.Path(run) / "metrics.jsonl", None, 0
    with tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        while process.poll() is None:
            try:
                if first is None and metrics.stat().st_size:
                    first = time.perf_counter() - start
                for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
                    if line.startswith("VmHWM:"):
                        peak = max(peak, int(line.split()[1]) * 1024)
            except OSError:
                pass
            time.sleep(0.005 if first is None else 0.02)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(errors.read().strip())
    seconds = [line["step_ms"] / 1000 for line in map(json.loads, metrics.read_text().splitlines()) if "step_ms" in line]
    return {"seconds": seconds, "first": first if first is not None else time.perf_counter() - start, "peak_bytes": peak}


def weft(options, name, precision):
    with tempfile.TemporaryDirectory() as folder:
        return train(options, name, precision, f"{folder}/run", f"train.steps={options.steps}")


def timed_peer(program, *arguments, **settings):
    start = time.perf_counter()
    result = peer(program, *arguments, **settings)
    # Without the steps after the first, and what the interpreter does when it leaves.
    result["first"] = time.perf_counter() - start - sum(result["seconds"][1:])
    return result


def programs(options, name, precision):
    steps, threads = str(options.steps), str(options.threads)
    all = {"Weft": lambda: weft(options, name, precision)}
    for mode in ("eager", "compile"):
        if mode in options.peers:
            all[f"PyTorch {mode}"] = lambda mode=mode: timed_peer("torch_step.py", name, precision, mode, steps, threads)
    if "jax" in options.peers and not CASES[name].experts:
        all["JAX"] = lambda: timed_peer("jax_step.py", name, precision, steps)
    return all


def section(options, name, precision, all_results):
    case = CASES[name]
    results, left_out = in_turn(f"{name} {precision}", options.rounds, programs(options, name, precision))
    for rounds in results.values():
        for result in rounds:
            result["rate"] = case.batch * case.seq / statistics.median(result["seconds"][2:])
    all_results[name, precision] = results
    lines = [f"### {name}, {precision}", "", "| | tokens/s | Weft against it | start to first step's end, s | peak resident, GB |", "|---|---|---|---|---|"]
    rates = {program: [r["rate"] for r in rounds] for program, rounds in results.items()}
    for program, rounds in results.items():
        against = "" if program == "Weft" else spread(ratios_of(rates["Weft"], rates[program]), 2)
        lines.append(f"| {program} | {spread(rates[program], 0)} | {against} | {statistics.median(r['first'] for r in rounds):.1f} | "
                     f"{max(r['peak_bytes'] for r in rounds) / 1e9:.2f} |")
        say(f"{name} {precision}: {program} {spread(rates[program], 0)} tokens/s")
    lines += [f"| {program} | left out: {reason} | | | |" for program, reason in left_out.items()]
    return lines + [""]


# The goals: case, precision, and of which precisions the best peer counts.
GOALS = {
    "dense f32": ("dense", "f32", ("f32",)),
    "dense bf16": ("dense", "bf16", ("bf16",)),
    "moe f32": ("moe", "f32", ("f32",)),
    "moe bf16": ("moe", "bf16", ("f32", "bf16")),
    "long bf16": ("dense_long", "bf16", ("bf16",)),
    "134m bf16": ("dense_134m", "bf16", ("bf16",)),
}


def figures(all_results):
    """Of the goals whose cases were measured. Best peer: the one of the highest median among PyTorch's."""
    measured, memory = [], []
    for goal, (name, precision, theirs) in GOALS.items():
        ours = all_results.get((name, precision), {}).get("Weft")
        if not ours or any((name, p) not in all_results for p in theirs):
            continue
        peers = [rounds for p in theirs for program, rounds in all_results[name, p].items() if program.startswith("PyTorch")]
        if not peers:
            continue
        rates = lambda rounds: [r["rate"] for r in rounds]
        best = max(peers, key=lambda rounds: statistics.median(rates(rounds)))
        measured.append(figure(goal, ratios_of(rates(ours), rates(best))))
        same = [rounds for program, rounds in all_results[name, precision].items() if program.startswith("PyTorch")]
        if same:
            memory.append(max(r["peak_bytes"] for r in ours) / min(max(r["peak_bytes"] for r in rounds) for rounds in same))
    if len(memory) == len(GOALS):  # of the case where it is most
        measured.append(Figure("memory", max(memory), min(memory), max(memory)))
    return measured


def measure(options, write):
    lines = heading("Training steps beside the peers'", options, "steps", PACKAGES, f"{options.steps} steps a round.")
    results = {}
    for name in options.cases:
        for precision in options.precisions:
            lines += section(options, name, precision, results)
            write(lines)
    # The goals are set against the better of both.
    return figures(results) if {"eager", "compile"} <= set(options.peers) else []
