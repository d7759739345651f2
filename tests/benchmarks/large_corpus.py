#!/usr/bin/env python3
"""Writes a large text out of a small one, for timing `weft tokenizer train`: the text so many times over, in each copy other words, for one to
five letters are added to about one word in 70. The same arguments give the same file.

usage: large_corpus.py TEXT COPIES > FILE"""
import random
import sys

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.split("\n\n")[1])
    text = open(sys.argv[1], "rb").read()
    words = text.split(b" ")
    rng = random.Random(20261126)
    for _ in range(int(sys.argv[2])):
        copy = list(words)
        for _ in range(len(words) // 70):
            copy[rng.randrange(len(copy))] += "".join(rng.choices(LETTERS, k=rng.randint(1, 5))).encode()
        sys.stdout.buffer.write(b" ".join(copy) + b"\n")


if __name__ == "__main__":
    main()
