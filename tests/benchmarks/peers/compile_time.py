"""Seconds before the first step: compiling the dense model's training program, and starting where it is compiled already.

Compiling: `weft compile` as a whole and by the parts that it names; the first step of torch.compile and of JAX, less a later step. Nothing is kept from before: PyTorch's cache is a
new folder each time, Weft's of kernels' code and ccache are off. Starting: from the process's start to the end of the first step, less a later step. Weft with artifact, tokenizer and tokens of an earlier run; torch.compile with the
cache that it has just filled. Before each start a few GB of memory are written and given back: a virtual machine whose host has taken unused memory away gets
it back slowly (0.8 GB in 1.8 s where this was written; 0.1 s when it had just been in use), and the first program to ask would pay for all."""
import ctypes
import mmap
import os
import pathlib
import re
import shutil
import statistics
import sys
import tempfile
import time

from common import ROOT, figure, heading, in_turn, output_of, say, spread
from models import CASES
from steps import timed_peer, train

PACKAGES = ("torch", "jax")
CASE = "dense"
COLD = os.environ | {"WEFT_OBJECT_CACHE": "off", "CCACHE_DISABLE": "1"}  # nothing of an earlier compilation
KEPT = ("model.weft", "tokenizer.json", "data")  # of a run


def warm_memory():
    available = next(int(line.split()[1]) << 10 for line in open("/proc/meminfo") if line.startswith("MemAvailable"))
    size = min(3 << 30, available // 2)
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)  # as programs with large buffers get theirs
        pages = (ctypes.c_char * size).from_buffer(memory)
        ctypes.memset(pages, 1, size)
        del pages


def compile_once(options, precision):
    case = CASES[CASE]
    sets = [word for setting in (*case.settings, f"train.precision={precision}") for word in ("--set", setting)]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        said = output_of([options.weft, "compile", ROOT / "docs/benchmarks" / case.recipe, "-o", f"{folder}/model.weft", *sets], env=COLD)
        whole = time.perf_counter() - start
    line = next((line for line in said.splitlines() if line.startswith("time:")), None)
    if not line:
        raise RuntimeError("weft compile does not say its time")
    return {"whole": whole, **{name.strip(): float(seconds) for name, seconds in re.findall(r"([^,:]+?) ([\d.]+) s", line[len("time:"):])}}


def start_once(options, precision, earlier):
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        run.mkdir()
        for name in KEPT:
            if (earlier / name).is_dir():
                shutil.copytree(earlier / name, run / name)
            else:
                shutil.copy2(earlier / name, run / name)
        warm_memory()
        return train(options, CASE, precision, run, f"train.steps={options.steps}", "run.save_initial=false")


def later(result):
    return statistics.median(result["seconds"][2:])


def torch_compile(options, precision, cache):
    """Compiles into an empty cache, then starts with it: seconds of both, less a step."""
    shutil.rmtree(cache, ignore_errors=True)
    settings = {"env": {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(cache)}}
    arguments = ("torch_step.py", CASE, precision, "compile", str(options.steps), str(options.threads))
    cold = timed_peer(*arguments, **settings)
    warm_memory()
    warm = timed_peer(*arguments, **settings)
    return {"compile": cold["seconds"][0] - later(cold), "start": warm["first"] - later(warm)}


def eager(options, precision):
    warm_memory()
    result = timed_peer("torch_step.py", CASE, precision, "eager", str(options.steps), str(options.threads))
    start = time.perf_counter()
    output_of([sys.executable, "-c", "import torch"])
    return {"import": time.perf_counter() - start, "start": result["first"] - later(result)}


def jax(options, precision):
    warm_memory()
    result = timed_peer("jax_step.py", CASE, precision, str(options.steps))
    return {"compile": result["seconds"][0] - later(result), "start": result["first"] - later(result)}


def section(options, precision, folder):
    earlier = folder / precision
    train(options, CASE, precision, earlier, f"train.steps={options.steps}")

    def weft():
        compiled, started = compile_once(options, precision), start_once(options, precision, earlier)
        return {"compile": compiled.pop("whole"), "parts": compiled, "start": started["first"] - later(started)}

    programs = {"Weft": weft}
    if "eager" in options.peers:
        programs["PyTorch eager"] = lambda: eager(options, precision)
    if "compile" in options.peers:
        programs["torch.compile"] = lambda: torch_compile(options, precision, folder / "inductor")
    if "jax" in options.peers:
        programs["JAX"] = lambda: jax(options, precision)
    results, left_out = in_turn(f"compile {precision}", options.rounds, programs)
    lines = [f"### dense, {precision}", "", "| | compiling, s | start to first step, compiled before, less a step, s |", "|---|---|---|"]
    for program, rounds in results.items():
        cell = lambda key: spread([r[key] for r in rounds], 2) if key in rounds[0] else ""
        note = " (compiles again)" if program == "JAX" else ""
        lines.append(f"| {program} | {cell('compile')} | {cell('start')}{note} |")
        say(f"compile {precision}: {program}: compiling {cell('compile') or 'nothing'}, starting {cell('start')} s")
        for part in rounds[0].get("parts", {}):
            lines.append(f"| … {part} | {spread([r['parts'][part] for r in rounds], 2)} | |")
        if "import" in rounds[0]:
            lines.append(f"| … `import torch` | | {cell('import')} |")
    lines += [f"| {program} | left out: {why} | |" for program, why in left_out.items()]
    ours = results["Weft"]
    beside = [r["compile"] - r["parts"]["model's C++"] for r in ours]
    return lines + [""], [figure(f"compile {precision}", beside), figure(f"start {precision}", [r["start"] for r in ours])]


def measure(options, write):
    lines = heading("Compiling and starting", options, "compile", PACKAGES, "The dense model, 16 x 256 tokens a step.")
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        for precision in options.precisions:
            more, found = section(options, precision, pathlib.Path(folder))
            lines += more
            measured += found
            write(lines)
    return measured
