#!/usr/bin/env python3
"""Loads a Weft checkpoint with transformers and tokenizers, unchanged, and compares with `weft`:

- the number of tokens of the texts, and their mean log-probability (`weft eval`: each file a document, cut into rows);
- a greedy continuation (`weft generate`).

usage: transformers_agrees.py CHECKPOINT FILE... [--weft build/bin/weft] [--tolerance X]"""
import argparse
import json
import subprocess
import sys

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

import weft_files


def mean_nats(model, rows, batch=8):
    """Mean negative log-probability of the targets, and their number."""
    total = count = 0
    for first in range(0, rows.count, batch):
        cut = rows.batch(range(first, min(first + batch, rows.count)))
        tokens, positions, documents, targets = map(torch.from_numpy, cut)
        same = documents[:, None, :, None] == documents[:, None, None, :]
        mask = same & torch.ones(rows.seq, rows.seq, dtype=torch.bool).tril()  # (rows, 1, query, key)
        with torch.no_grad():
            logits = model(input_ids=tokens, position_ids=positions, attention_mask=mask).logits
        nats = torch.nn.functional.cross_entropy(logits.flatten(0, 1).double(), targets.flatten(), ignore_index=-1, reduction="sum")
        total, count = total + nats.item(), count + (targets >= 0).sum().item()
    return total / count, count


def compare_greedy(args, model, tokenizer, prompt="The miller", count=24):
    command = [args.weft, "generate", args.checkpoint, "--prompt", prompt, "--max-tokens", str(count), "--temperature", "0", "--ignore-end", "--no-echo"]
    ours = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()
    ids = tokenizer.encode(prompt, add_special_tokens=False).ids
    for _ in range(count):
        with torch.no_grad():
            ids.append(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax().item())
    theirs = tokenizer.decode(ids, skip_special_tokens=False)[len(prompt):]
    print(f"greedy: {theirs!r}")
    if ours.rstrip("\n") != theirs.rstrip("\n"):
        sys.exit(f"error: weft's greedy text is {ours!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--weft", default="build/bin/weft")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="of the mean, in nats")
    args = parser.parse_args()
    command = [args.weft, "eval", args.checkpoint, "--json"]
    for file in args.files:
        command += ["--data", file]
    ours = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

    tokenizer = Tokenizer.from_file(args.checkpoint + "/tokenizer.json")
    model = AutoModelForCausalLM.from_pretrained(args.checkpoint, dtype=torch.float32, attn_implementation="sdpa", experts_implementation="eager").eval()
    documents = [tokenizer.encode(open(file, newline="").read(), add_special_tokens=False).ids + [model.config.eos_token_id] for file in args.files]
    tokens, ends = np.concatenate(documents), np.cumsum([len(d) for d in documents])
    if len(tokens) != ours["tokens"]:
        sys.exit(f"error: tokenizers makes {len(tokens)} tokens of the text, weft {ours['tokens']}")
    loss, count = mean_nats(model, weft_files.Rows(tokens, ends, ours["row_tokens"]))
    print(f"{count} targets: weft {ours['loss']:.7f}, transformers {loss:.7f} nats a token, difference {ours['loss'] - loss:.1e}")
    if count != ours["targets"] or not abs(ours["loss"] - loss) <= args.tolerance:
        sys.exit(f"error: expected a difference of at most {args.tolerance:g} over {ours['targets']} targets")
    compare_greedy(args, model, tokenizer)


if __name__ == "__main__":
    main()
