#!/usr/bin/env python3
"""Writes text/*.txt, the goldens' corpus: sentences of a small grammar, the same whenever it is run.

Documents are of very different lengths, down to one letter, so that rows hold several, and ends fall anywhere."""
import pathlib
import random

WHO = "the miller|a heron|my aunt|the old clock|nobody|the ferryman|a girl from Skåne|the seventh brother|our neighbour's goat|the rain".split("|")
DOES = "carries|forgets|counts|sells|paints|waits for|listens to|returns|hides|repairs".split("|")
WHAT = "three green bottles|the letter|a bridge of straw|every window|the tide|a small café|twelve spoons|the long road|an unlit lamp|what was left".split("|")
WHERE = "by the river|before dawn|in the market|under a pale moon|without a word|on the second of May|for 40 days|again and again".split("|")
LINK = "and then|but|because|so|while|although".split("|")
LENGTHS = [30, 1, 0, 12, 55, 3, 80, 2, 21, 7, 60, 1, 34]  # sentences; 0: a single letter


def sentence(r):
    clause = lambda: f"{r.choice(WHO)} {r.choice(DOES)} {r.choice(WHAT)}"
    text = clause()
    if r.random() < 0.6:
        text += " " + r.choice(WHERE)
    if r.random() < 0.4:
        text += f", {r.choice(LINK)} {clause()}"
    return text[0].upper() + text[1:] + r.choice("....!?")


def main():
    r = random.Random(20)
    folder = pathlib.Path(__file__).parent / "text"
    for i, length in enumerate(LENGTHS):
        sentences = [sentence(r) for _ in range(length)]
        paragraphs = [" ".join(sentences[j:j + 6]) for j in range(0, length, 6)]
        (folder / f"{i:02}.txt").write_text("\n\n".join(paragraphs) + "\n" if length else "x", encoding="utf-8", newline="")


if __name__ == "__main__":
    main()
