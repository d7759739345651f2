#!/usr/bin/env python3
"""Times Weft's tokenizer beside `tokenizers`, `tiktoken` and `bpe-openai` (by rs-bpe) on one core, in turn, with the vocabulary of GPT-4
(100 256 tokens, as rs-bpe brings it), and checks that all give the same ids: documents of some 10 000 bytes, a call for each, or with --word the
text's letters as one word of so many MiB.

usage: pip install tokenizers tiktoken rs-bpe; tokenizer_peers.py TEXT [--word MIB] [--bench build/bin/tokenizer_bench] [--weft build/bin/weft] [--rounds N]"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import rs_bpe.bpe
import tiktoken
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

# GPT-4's rule as Llama 3 has it, which differs for some blanks; rs-bpe's own is GPT-4's.
PATTERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def pieces_of(token, ranks):
    """The two tokens that the last merge of `token` joined: byte pairs of lower rank are merged first."""
    parts = [bytes([b]) for b in token]
    while len(parts) > 2:
        rank, i = min((ranks.get(parts[i] + parts[i + 1], 1 << 30), i) for i in range(len(parts) - 1))
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return parts


def tokenizer_json(tokens):
    ranks = {t: i for i, t in enumerate(tokens)}
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet(), key=ord)
    printable = [b for b in range(256) if chr(b) in alphabet]
    spelling = {b: chr(b) for b in printable}
    spelling.update({b: chr(256 + i) for i, b in enumerate(b for b in range(256) if b not in printable)})
    spell = lambda token: "".join(spelling[b] for b in token)
    merges = [tuple(map(spell, pieces_of(t, ranks))) for t in tokens if len(t) > 1]
    tokenizer = Tokenizer(models.BPE({spell(t): i for i, t in enumerate(tokens)}, merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(PATTERN), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def cut(text, size=10000):
    """As tokenizer_bench cuts: before a space after a printable ASCII character, or a line break after a letter or digit."""
    ends = lambda at: (text[at] == " " and "!" <= text[at - 1] <= "~") or (text[at] == "\n" and text[at - 1].isascii() and text[at - 1].isalnum())
    documents, begin = [], 0
    while begin < len(text):
        at = begin + size
        while at < len(text) and not ends(at):
            at += 1
        documents.append(text[begin:at])
        begin = at
    return documents


def one_word(text, size):
    """As tokenizer_bench makes it: the text's ASCII letters, over again where there are too few."""
    letters = "".join(c for c in text if c.isascii() and c.isalpha())
    return (letters * (size // len(letters) + 1))[:size]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("text")
    parser.add_argument("--word", type=int, metavar="MIB")
    parser.add_argument("--bench", default="build/bin/tokenizer_bench")
    parser.add_argument("--weft", default="build/bin/weft")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    text = open(args.text, newline="", errors="replace").read()
    documents = [one_word(text, args.word << 20)] if args.word else cut(text)
    size = sum(len(d.encode()) for d in documents)
    openai = rs_bpe.bpe.openai.cl100k_base()
    tokens = [bytes(openai.bpe().decode_tokens([i])) for i in range(100256)]
    tokenizer = tokenizer_json(tokens)
    tik = tiktoken.Encoding("cl100k", pat_str=PATTERN, mergeable_ranks={t: i for i, t in enumerate(tokens)}, special_tokens={})
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(f"{folder}/cl100k.json")
        ours = json.loads(subprocess.run([args.weft, "tokenizer", "encode", "--json", "--tokenizer", f"{folder}/cl100k.json"], check=True,
                                         input=json.dumps(documents).encode(), stdout=subprocess.PIPE).stdout)
        for name, encode in (("tokenizers", lambda d: tokenizer.encode(d).ids), ("tiktoken", tik.encode_ordinary), ("rs-bpe", openai.encode)):
            different = sum(list(encode(d)) != o for d, o in zip(documents, ours))
            print(f"{name}: other ids in {different} of {len(documents)} documents")

        def weft(which):
            command = [args.bench, f"{folder}/cl100k.json", args.text, f"--benchmark_filter=^{which}$", "--benchmark_format=json"]
            run = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
            return run["benchmarks"][0]["bytes_per_second"] / 1e6

        def timed(encode):
            begin = time.process_time()
            for d in documents:
                encode(d)
            return size / 1e6 / (time.process_time() - begin)

        ours = {"Weft": lambda: weft(f"encode_one_word/MiB:{args.word}")} if args.word else {
            "Weft, words seen before": lambda: weft("encode_documents"), "Weft, first time": lambda: weft("encode_first")}
        ways = {**ours, "tokenizers": lambda: timed(tokenizer.encode), "tiktoken": lambda: timed(tik.encode_ordinary),
                "bpe-openai": lambda: timed(openai.encode)}
        rates = {name: [] for name in ways}
        for _ in range(args.rounds):
            for name, way in ways.items():
                rates[name].append(way())
        for name, r in rates.items():
            print(f"{name:24} {statistics.median(r):7.1f} MB/s   ({min(r):.1f} to {max(r):.1f})")


if __name__ == "__main__":
    main()
