"""What the tables share: programs run in turn, medians with their spread, what machine and which commit a page tells of."""
import dataclasses
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BIN = ROOT / "build/bin"


@dataclasses.dataclass
class Options:
    """What the command line of bench.py gave. `words` is that command line, for the pages."""
    weft: str
    rounds: int
    steps: int
    threads: int
    cases: list
    precisions: list
    peers: list
    words: str


@dataclasses.dataclass
class Figure:
    """One of the goals, measured: `value` beside its least and most, in the goal's unit."""
    goal: str
    value: float
    least: float
    most: float


def say(text):
    print(text, file=sys.stderr, flush=True)


def output_of(command, **settings):
    """Standard output of a program; RuntimeError with the last thing it said when it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **settings)
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip()
        raise RuntimeError(said.splitlines()[-1] if said else f"exit status {done.returncode}")
    return done.stdout


def peer(program, *arguments, **settings):
    """The JSON object that one of the peers' programs here prints last."""
    return json.loads(output_of([sys.executable, HERE / program, *arguments], **settings).splitlines()[-1])


def in_turn(what, rounds, programs):
    """Runs each of {name: function} once a round, one after another, so that a machine whose speed changes changes it for all.

    Returns {name: results} and {name: why} of the peers that fail, which are left out from then on. The first program is Weft's: when it fails,
    that is an error."""
    results, left_out = {name: [] for name in programs}, {}
    first = next(iter(programs))
    for number in range(rounds):
        for name, run in programs.items():
            if name in left_out:
                continue
            try:
                results[name].append(run())
            except RuntimeError as error:
                if name == first:
                    raise
                say(f"{what}: {name} left out: {error}")
                left_out[name] = str(error)
                results.pop(name)
                continue
            say(f"{what}, round {number + 1} of {rounds}: {name} done")
    return results, left_out


def spread(values, digits):
    """Median (least to most), as text."""
    low, middle, high = (f"{v:.{digits}f}" for v in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low} to {high})"


def ratios_of(ours, theirs):
    """Round by round."""
    return [a / b for a, b in zip(ours, theirs)]


def figure(goal, values):
    return Figure(goal, statistics.median(values), min(values), max(values))


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def commit():
    name = output_of(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"]).strip()
    return name + (" with changes" if output_of(["git", "-C", ROOT, "status", "--porcelain", "-uno", "--", ":!docs"]).strip() else "")


def versions(*packages):
    """"torch 2.15.0, …" of those that are installed."""
    from importlib import metadata
    found = []
    for package in packages:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            found.append(f"no {package}")
    return ", ".join(found)


def heading(title, options, table, packages, more=""):
    """The first lines of a page."""
    made = [time.strftime("%Y-%m-%d"), f"commit {commit()}", processor(), f"{options.threads} threads", *([versions(*packages)] if packages else [])]
    rounds = f"{options.rounds} round{'s' if options.rounds > 1 else ''}, programs in turn: median (least to most)."
    return [f"# {title}", "", f"{', '.join(made)}. {rounds} {more}".rstrip(), "", "```", f"./run bench {table}{options.words}", "```", ""]


def threads_of_machine():
    return len(os.sched_getaffinity(0))
