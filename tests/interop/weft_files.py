"""Weft's run directories as Python reads them: recipes, metrics, checkpoints, token files, and the order of training.

The order is a port of runtime/data/{philox.h,permutation.cpp,loader.cpp}, written from their comments, so that
PyTorch is fed the very batches that `weft train` was."""
import json
import math
import pathlib
import tomllib

import numpy as np


def recipe(run):
    return tomllib.loads((pathlib.Path(run) / "recipe.toml").read_text())


def metrics(run):
    """The steps of metrics.jsonl, in order; evaluations are left out."""
    file = pathlib.Path(run) / "metrics.jsonl"
    if not file.exists():
        raise SystemExit(f"error: {run} has no metrics.jsonl; is it the directory of a run that has trained?")
    return [line for line in map(json.loads, file.read_text().splitlines()) if "loss" in line]


class TokenFile:
    """tokens: (T) int64; ends: (D), where each document ends."""

    def __init__(self, path):
        data = pathlib.Path(path).read_bytes()
        if data[:8] != b"WEFTTOK\0":
            raise SystemExit(f"error: {path} is not a token file")
        version, size = np.frombuffer(data, "<u4", 2, 8)
        if version != 1:
            raise SystemExit(f"error: {path} is of version {version}, expected 1")
        self.vocab, count, documents = (int(v) for v in np.frombuffer(data, "<u8", 3, 16))
        self.tokens = np.frombuffer(data, f"<u{size}", count, 72).astype(np.int64)
        self.ends = np.frombuffer(data, "<u8", documents, (72 + count * int(size) + 7) // 8 * 8).astype(np.int64)


class Rows:
    """A stream of documents cut into rows of `seq` tokens, as the head of runtime/data/loader.h shows."""

    def __init__(self, tokens, ends, seq):
        self.tokens, self.seq = tokens, seq
        self.count = -(-len(tokens) // seq)
        self.document = np.searchsorted(ends, np.arange(len(tokens)), side="right")

    def batch(self, rows):
        """tokens, positions, documents, targets: each (rows, seq) int64; a target of -1 is none."""
        parts = [self._row(row) for row in rows]
        return tuple(np.stack(part) for part in zip(*parts))

    def _row(self, row):
        begin, end = row * self.seq, min((row + 1) * self.seq, len(self.tokens))
        n, pad = end - begin, self.seq - (end - begin)
        document = self.document[begin:end]
        starts = np.flatnonzero(np.diff(document, prepend=document[0] - 1))
        ordinal = document - document[0]
        positions = np.arange(n) - starts[ordinal]
        following = np.append(self.tokens[begin + 1:end], self.tokens[end] if end < len(self.tokens) else -1)
        owner = np.append(document[1:], self.document[end] if end < len(self.tokens) else -1)
        targets = np.where(owner == document, following, -1)
        fill = lambda values, rest: np.concatenate([values, rest]).astype(np.int64)
        return (fill(self.tokens[begin:end], np.zeros(pad)), fill(positions, np.arange(pad)),
                fill(ordinal, np.full(pad, ordinal[-1] + 1)), fill(targets, np.full(pad, -1)))


def training_rows(step, batch, count, seed):
    """The rows of `count` that step (from 0) takes."""
    rows = (step * batch + i for i in range(batch))
    return [permuted_index(seed, row // count, count, row % count) for row in rows]


M32 = 0xFFFFFFFF


def philox(counter, key):
    """Philox4x32-10 of Random123."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b & M32, a >> 32 ^ c[3] ^ k[1], a & M32]
        k = [k[0] + 0x9E3779B9 & M32, k[1] + 0xBB67AE85 & M32]
    return c


def permuted_index(seed, stream, n, i):
    """The image of i under the permutation of 0 … n-1 that seed and stream (the epoch) choose."""
    if n <= 1:
        return 0
    a = math.isqrt(n)
    b = -(-n // a)
    key = (seed & M32 ^ 0x73687566, seed >> 32 ^ 0x666C6521)

    def draw(turn, half):
        r = philox((half & M32, half >> 32 ^ turn << 28, stream & M32, stream >> 32), key)
        return r[1] << 32 | r[0]

    while True:
        left, right = divmod(i, b)
        for turn in range(0, 8, 2):
            left = (left + draw(turn, right)) % a
            right = (right + draw(turn + 1, left)) % b
        i = left * b + right
        if i < n:
            return i
