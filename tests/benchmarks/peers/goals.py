"""What is aimed at, and what was measured last: the table in docs/benchmarks/README.md, from figures.json beside it."""
import json
import time

from common import ROOT, commit, processor

FOLDER = ROOT / "docs/benchmarks"
FIGURES, PAGE = FOLDER / "figures.json", FOLDER / "README.md"
BEGIN, END = "<!-- figures: written by ./run bench -->", "<!-- end of figures -->"

# Figure: what it is, its table, the goal, whether more is better, digits.
GOALS = {
    "dense f32": ("training, dense, f32: times the better of PyTorch eager and compiled", "steps", 1.15, True, 2),
    "dense bf16": ("training, dense, bf16: the same", "steps", 2.5, True, 2),
    "moe f32": ("training, experts, f32: the same", "steps", 1.4, True, 2),
    "moe bf16": ("training, experts, bf16: times the best of PyTorch at any precision", "steps", 4, True, 2),
    "long bf16": ("training, dense, bf16, 1 x 2048 tokens: times the better of PyTorch eager and compiled", "steps", 2, True, 2),
    "134m bf16": ("training, 134 M parameters, bf16: the same", "steps", 2, True, 2),
    "memory": ("peak resident memory of these, at most: times the lowest of PyTorch's", "steps", 0.5, False, 2),
    "prefill": ("prefill of 256 tokens, 134 M parameters, bf16: times llama.cpp", "generate", 5, True, 2),
    "decode": ("decode at batch 1, the same model: times llama.cpp", "generate", 1.5, True, 2),
    "batched decode": ("decode of 16 texts at once, 16 tokens before, bf16: times one text", "generate", 8, True, 2),
    "compile bf16": ("compiling the dense bf16 training program, cold, beside the model's own C++ compiler, s", "compile", 2, False, 2),
    "compile f32": ("the same in f32, s", "compile", 2, False, 2),
    "start bf16": ("start to first step, compiled before, less a step, bf16, s", "compile", 0.4, False, 2),
    "start f32": ("the same in f32, s", "compile", 0.4, False, 2),
    "predicted dense bf16": ("kernels over 2 % of a dense bf16 step predicted within 25 %, %", "prediction", 100, True, 0),
    "predicted dense f32": ("the same in f32, %", "prediction", 100, True, 0),
    "predicted moe bf16": ("the same with experts, bf16, %", "prediction", 100, True, 0),
    "predicted moe f32": ("the same with experts, f32, %", "prediction", 100, True, 0),
    "matmul forward_1024x384": ("bf16 product 4096 x 384 x 1024, two threads, TFLOP/s (the goal is for AMX)", "matmul", 4.0, True, 2),
    "matmul square_1024": ("bf16 product 1024³, the same", "matmul", 3.0, True, 2),
    "matmul dw_1024x384": ("bf16 gradient of a weight, 1024 x 4096 x 384, the same", "matmul", 2.2, True, 2),
}


def table(figures):
    lines = ["| | goal | here | reached | measured |", "|---|---|---|---|---|"]
    for name, (what, page, goal, more, digits) in GOALS.items():
        here, reached, when = "not measured", "", ""
        if found := figures.get(name):
            here = f"{found['value']:.{digits}f} ({found['least']:.{digits}f} to {found['most']:.{digits}f})"
            reached = "yes" if (found["value"] >= goal if more else found["value"] <= goal) else "no"
            when = f"{found['date']}, {found['commit']}, {found['processor']}, {found['rounds']} rounds"
        linked = f"[{what}]({page}.md)" if (FOLDER / f"{page}.md").exists() else what
        lines.append(f"| {linked} | {'' if more else 'at most '}{goal:g} | {here} | {reached} | {when} |")
    return "\n".join(lines)


def keep(measured, rounds):
    """Takes the figures into figures.json and rewrites the table."""
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    of = {"date": time.strftime("%Y-%m-%d"), "commit": commit(), "processor": processor(), "rounds": rounds}
    for figure in measured:
        if figure.goal in GOALS:
            figures[figure.goal] = {"value": round(figure.value, 4), "least": round(figure.least, 4), "most": round(figure.most, 4), **of}
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    if not rest or END not in rest:
        raise RuntimeError(f"{PAGE} lacks the lines {BEGIN} and {END}, between which the table of figures stands")
    PAGE.write_text(f"{before}{BEGIN}\n{table(figures)}\n{END}{rest.partition(END)[2]}")
