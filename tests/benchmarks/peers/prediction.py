"""The cost model's prediction beside what is measured, of every kernel that takes more than 2 % of a training step (`weft profile`).

The page gives the kernels of the first round, and how far off they are in all; the goal counts those that are within 25 %."""
import json
import tempfile

from common import ROOT, figure, heading, in_turn, output_of, say, spread
from models import CASES

PACKAGES = ()
CASES_HERE = ("dense", "moe")
LEAST_SHARE, MOST_ERROR = 0.02, 0.25


def profile(options, name, precision):
    """[(kernel, share of the step, error)], error = predicted / measured - 1, largest share first."""
    case = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        found = json.loads(output_of([options.weft, "profile", ROOT / "docs/benchmarks" / case.recipe, *case.settings, f"train.precision={precision}",
                                      f"run.threads={options.threads}", f"run.dir={folder}/run", "--steps", options.steps, "--json", "-o", f"{folder}/profile"]))
    step = sum(found["step_ns"]) * found["ranks"]
    works = [(kernel["name"], kernel["work"]) for kernel in found["kernels"]]
    rows = [(name, work["wall_ns"] / step, work["predicted_ns"] / work["wall_ns"] - 1) for name, work in works
            if work["wall_ns"] > LEAST_SHARE * step and work["predicted_ns"] > 0]
    return sorted(rows, key=lambda row: -row[1])


def section(options, name, precision):
    results, _ = in_turn(f"prediction {name} {precision}", options.rounds, {"Weft": lambda: profile(options, name, precision)})
    rounds = results["Weft"]
    errors = {}
    for rows in rounds:
        for kernel, share, error in rows:
            errors.setdefault(kernel, []).append((share, error))
    lines = [f"### {name}, {precision}", "", "| kernel | of the step, % | predicted against measured, % |", "|---|---|---|"]
    for kernel, seen in errors.items():
        lines.append(f"| {kernel} | {spread([100 * share for share, _ in seen], 1)} | {spread([100 * error for _, error in seen], 0)} |")
    within = [100 * sum(abs(error) <= MOST_ERROR for *_, error in rows) / len(rows) for rows in rounds if rows]
    if not within:
        return lines + [""], []
    say(f"prediction {name} {precision}: {spread(within, 0)} % of the kernels within 25 %")
    return lines + ["", f"Within 25 %: {spread(within, 0)} % of these kernels.", ""], [figure(f"predicted {name} {precision}", within)]


def measure(options, write):
    lines = heading("Predicted and measured", options, "prediction", PACKAGES, "Kernels of more than 2 % of a step.")
    measured = []
    for name in options.cases:
        if name not in CASES_HERE:
            continue
        for precision in options.precisions:
            more, found = section(options, name, precision)
            lines += more
            measured += found
            write(lines)
    return measured
