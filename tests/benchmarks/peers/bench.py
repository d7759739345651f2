#!/usr/bin/env python3
"""Measures Weft and its peers in turn, and writes docs/benchmarks.

usage: ./run bench [TABLE...] [options]

tables (all where none is named), each with its page:
  steps       training steps beside PyTorch's and JAX's            steps.md
  generate    prefill and decode beside llama.cpp's                generate.md
  matmul      products of matrices beside torch.matmul's           matmul.md
  compile     compiling, and starting compiled, beside PyTorch     compile.md
  prediction  the cost model beside what is measured               prediction.md

A round runs every program once, one after another, so that a machine whose speed changes changes it for all. Pages give the median round with the least
and the most. The figures that goals are set for go to figures.json, and from there into the table of README.md."""
import argparse
import importlib
import os
import sys

from common import BIN, ROOT, Options, say, threads_of_machine
from goals import keep
from models import CASES

# Table: its module here. What `weft train` and the rest need is built by ./run bench.
TABLES = {"steps": "steps", "generate": "generate", "matmul": "matmul", "compile": "compile_time", "prediction": "prediction"}
PEERS = ["eager", "compile", "jax"]


def words_in(allowed, what):
    def parse(text):
        words = [word for word in text.split(",") if word]
        for word in words:
            if word not in allowed:
                raise argparse.ArgumentTypeError(f"unknown {what} {word}; there are {', '.join(allowed)}")
        if not words:
            raise argparse.ArgumentTypeError(f"names no {what}; there are {', '.join(allowed)}")
        return words
    return parse


def at_least(least):
    def parse(text):
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"is {text} when it should be a number of {least} or more")
        return int(text)
    return parse


def arguments():
    parser = argparse.ArgumentParser(prog="./run bench", usage=argparse.SUPPRESS, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=at_least(1), default=3, help="rounds of each program (3)")
    parser.add_argument("--steps", type=at_least(3), default=8, help="training steps of a program in a round, of which the first two do not count (8)")
    parser.add_argument("--threads", type=at_least(0), default=0, help="0 = as many as there are processors (0); products always take two")
    parser.add_argument("--cases", type=words_in(CASES, "case"), default=list(CASES), help=f"of steps and prediction: {','.join(CASES)}")
    parser.add_argument("--precisions", type=words_in(["f32", "bf16"], "precision"), default=["f32", "bf16"], help="f32,bf16")
    parser.add_argument("--peers", type=words_in(PEERS, "peer"), default=PEERS, help=f"of steps and compile: {','.join(PEERS)}")
    parser.add_argument("--weft", default=str(BIN / "weft"), help="another weft (build/bin/weft)")
    parser.add_argument("--out", default=str(ROOT / "docs/benchmarks"), help="folder for the pages (docs/benchmarks); figures.json and README.md are written there alone")
    found = parser.parse_args()
    for table in found.tables:
        if table not in TABLES:
            parser.error(f"unknown table {table}; there are {', '.join(TABLES)}")
    return found


def options_without(words, names):
    """The command line without tables and without --out."""
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word == "--out":
            skip = True
        elif word not in names and not word.startswith("--out="):
            kept.append(word)
    return "".join(f" {word}" for word in kept)


def main():
    asked = arguments()
    options = Options(weft=asked.weft, rounds=asked.rounds, steps=asked.steps, threads=asked.threads or threads_of_machine(), cases=asked.cases,
                      precisions=asked.precisions, peers=asked.peers, words=options_without(sys.argv[1:], TABLES))
    os.makedirs(asked.out, exist_ok=True)
    failed = False
    for table in asked.tables or TABLES:
        path = os.path.join(asked.out, f"{table}.md")

        def write(lines):
            with open(path, "w") as page:
                page.write("\n".join(lines).rstrip() + "\n")

        try:
            measured = importlib.import_module(TABLES[table]).measure(options, write)
        except RuntimeError as error:
            say(f"error: {table}: {error}")
            failed = True
            continue
        if os.path.samefile(asked.out, ROOT / "docs/benchmarks"):
            keep(measured, options.rounds)
        say(f"wrote {path}")
    return 1 if failed else 0


sys.exit(main())
