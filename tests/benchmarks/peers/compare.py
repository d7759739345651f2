#!/usr/bin/env python3
"""Training steps of Weft and of its peers in turn, and their ratios.

usage: compare.py [--weft build/bin/weft] [--cases dense,moe,…] [--precisions f32,bf16] [--peers eager,compile,jax] [--rounds 3] [--steps 8]
                  [--threads 0] [--out FILE.md]

A round runs every program once, one after another, so that a machine whose speed changes changes it for all. A program's figure in a round is
the median of its steps but the first two; tables give the median round with the least and the most, the ratio of Weft to the best peer round by round
likewise, the time to the first step's end and the peak of resident memory. --threads 0: as many as there are processors."""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

from models import CASES

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def peak_while(process):
    """The largest resident size that the process had, in bytes: the kernel's own record, read until it ends."""
    peak = 0
    while process.poll() is None:
        try:
            for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peak = max(peak, int(line.split()[1]) * 1024)
        except OSError:
            pass
        time.sleep(0.02)
    return peak


def weft(options, name, precision):
    case = CASES[name]
    with tempfile.TemporaryDirectory() as run:
        command = [options.weft, "train", str(ROOT / "docs/benchmarks" / case.recipe), *case.settings, f"train.precision={precision}",
                   f"train.steps={options.steps}", f"run.dir={run}/run", f"run.threads={options.threads}", "data.validation=0"]
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        peak = peak_while(process)
        if process.returncode:
            raise RuntimeError(process.stderr.read().strip())
        whole = time.perf_counter() - start
        steps = [json.loads(line) for line in open(f"{run}/run/metrics.jsonl")]
        seconds = [line["step_ms"] / 1000 for line in steps if "step_ms" in line]
        return {"seconds": seconds, "first": whole - sum(seconds[1:]), "peak_bytes": peak}


def peer(options, program, *arguments):
    start = time.perf_counter()
    done = subprocess.run([sys.executable, str(HERE / program), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit status {done.returncode}")
    result = json.loads(done.stdout.splitlines()[-1])
    result["first"] = time.perf_counter() - start - sum(result["seconds"][1:])
    return result


def programs(options, name, precision):
    steps, threads = str(options.steps), str(options.threads)
    yield "Weft", lambda: weft(options, name, precision)
    for mode in ("eager", "compile"):
        if mode in options.peers:
            yield f"PyTorch {mode}", lambda mode=mode: peer(options, "torch_step.py", name, precision, mode, steps, threads)
    if "jax" in options.peers and not CASES[name].experts:
        yield "JAX", lambda: peer(options, "jax_step.py", name, precision, steps)


def spread(values, form):
    values = sorted(values)
    return f"{form(statistics.median(values))} ({form(values[0])} to {form(values[-1])})"


def compare(options, name, precision):
    case, rounds = CASES[name], {}
    left_out = {}  # program: why
    for number in range(options.rounds):
        for program, run in programs(options, name, precision):
            if program in left_out:
                continue
            try:
                result = run()
            except RuntimeError as error:
                if program == "Weft":
                    raise
                print(f"{name} {precision}: {program} left out: {error}", file=sys.stderr)
                left_out[program] = str(error)
                rounds.pop(program, None)
                continue
            result["rate"] = case.batch * case.seq / statistics.median(result["seconds"][2:])
            rounds.setdefault(program, []).append(result)
            print(f"{name} {precision}, round {number + 1}: {program} {result['rate']:.0f} tokens/s", file=sys.stderr)
    lines = [f"### {name}, {precision}", "", "| | tokens/s | Weft against it | start to first step's end, s | peak resident, GB |", "|---|---|---|---|---|"]
    best = None
    for program, results in rounds.items():
        ratios = [ours["rate"] / theirs["rate"] for ours, theirs in zip(rounds["Weft"], results)]
        if program != "Weft" and (best is None or statistics.median(ratios) < best[1]):
            best = (program, statistics.median(ratios), ratios)
        lines.append(f"| {program} | {spread([r['rate'] for r in results], lambda v: f'{v:.0f}')} | "
                     f"{'' if program == 'Weft' else spread(ratios, lambda v: f'{v:.2f}')} | "
                     f"{statistics.median(r['first'] for r in results):.1f} | {max(r['peak_bytes'] for r in results) / 1e9:.2f} |")
    lines += [f"| {program} | left out: {reason} | | | |" for program, reason in left_out.items()]
    if best:
        lines += ["", f"Against the best peer, {best[0]}: **{best[1]:.2f}**."]
    return lines + [""]


def asked(arguments):
    """Without where the table goes."""
    at = arguments.index("--out") if "--out" in arguments else len(arguments)
    return arguments[:at] + arguments[at + 2:]


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = lambda text: [word for word in text.split(",") if word]
    parser.add_argument("--weft", default=str(ROOT / "build/bin/weft"))
    parser.add_argument("--cases", type=words, default=list(CASES))
    parser.add_argument("--precisions", type=words, default=["f32", "bf16"])
    parser.add_argument("--peers", type=words, default=["eager", "compile", "jax"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out")
    options = parser.parse_args()
    unknown = [case for case in options.cases if case not in CASES]
    if unknown or options.steps < 3 or options.rounds < 1:
        parser.error(f"unknown case {unknown[0]}; there are {', '.join(CASES)}" if unknown else "needs 3 steps and 1 round, or more")
    options.threads = options.threads or len(os.sched_getaffinity(0))
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    lines = ["# Training steps beside the peers'", "", f"{time.strftime('%Y-%m-%d')}, commit {commit}, {processor()}, {options.threads} threads, {options.rounds} rounds of "
             f"{options.steps} steps, in turn. Median round (least to most).", "", "```", "./run bench " + " ".join(asked(sys.argv[1:])), "```", ""]
    for name in options.cases:
        for precision in options.precisions:
            lines += compare(options, name, precision)
            if options.out:
                pathlib.Path(options.out).write_text("\n".join(lines))
    print("\n".join(lines))


main()
