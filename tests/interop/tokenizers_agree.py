#!/usr/bin/env python3
"""Compares ids with the `tokenizers` package on texts that are hard on a tokenizer, other ones each time: for each family of
tests/runtime/data/tokenizer_families.py a document's, a prompt's and those in the template, with the file as `tokenizers` wrote it
and as Weft writes it again; and what `tokenizers` gives with the file that Weft wrote.

usage: tokenizers_agree.py [--weft build/bin/weft] [--texts N] [--seed S]"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "runtime" / "data"))
import tokenizer_families as families

OPTIONS = {"ids": [], "ids_with_specials": ["--specials"], "ids_in_template": ["--specials", "--template"]}


def long_texts(rng):
    yield " " * 1_000_000 + "x"
    yield "\n" * 300_000 + " \r\n" * 100_000
    yield "a" * 300_000
    yield "".join(rng.choice("etaoinsrhl") for _ in range(300_000))
    yield "漢字かな" * 100_000
    yield "e\u0301" * 200_000
    yield "<think>" * 50_000 + "<|endoftext|>" * 50_000


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weft", default="build/bin/weft")
    parser.add_argument("--texts", type=int, default=3000, help="for each family")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    sample = (HERE.parent / "runtime" / "data" / "goldens" / "sample.txt").read_text()
    corpus = sample + "".join(families.hostile_text(rng) for _ in range(3000))
    for token in families.SPECIAL:
        corpus = corpus.replace(token.content, " ")
    with tempfile.TemporaryDirectory() as folder:
        for name in families.FAMILIES:
            theirs, ours = f"{folder}/{name}.json", f"{folder}/{name}.weft.json"
            pathlib.Path(theirs).write_text(families.make(name, corpus, rng.choice((400, 1000, 3000))))
            subprocess.run([args.weft, "tokenizer", "inspect", theirs, "-o", ours], check=True, stdout=subprocess.DEVNULL)
            texts = [families.hostile_text(rng) for _ in range(args.texts)] + [families.random_text(rng) for _ in range(args.texts)]
            texts += [sample] + list(long_texts(rng))
            tokenizer, again = Tokenizer.from_file(theirs), Tokenizer.from_file(ours)
            expected = [families.ids(tokenizer, text) for text in texts]
            for text, ids in zip(texts[:: 10], expected[:: 10]):
                if families.ids(again, text) != ids:
                    sys.exit(f"error: seed {args.seed}, {name}: tokenizers gives other ids with the file as Weft wrote it for {text[:200]!r}")
            for file in (theirs, ours):
                for key, options in OPTIONS.items():
                    command = [args.weft, "tokenizer", "encode", "--json", "--tokenizer", file, *options]
                    got = json.loads(subprocess.run(command, check=True, input=json.dumps(texts).encode(), stdout=subprocess.PIPE).stdout)
                    for text, ids, want in zip(texts, got, expected):
                        if ids != want[key]:
                            sys.exit(f"error: seed {args.seed}, {name}, {key}: {text[:200]!r} is {ids[:60]} when tokenizers gives {want[key][:60]}")
            print(f"{name}: {len(texts)} texts, {sum(len(e['ids']) for e in expected)} tokens: the same ids (seed {args.seed})")


if __name__ == "__main__":
    main()
