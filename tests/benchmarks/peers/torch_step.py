#!/usr/bin/env python3
"""Training steps in PyTorch as a user would write them, on random tokens: RMSNorm, rotary positions, scaled_dot_product_attention,
SwiGLU, fused AdamW, autocast for bf16; experts as a loop over tokens sorted by expert. Prints one JSON object.

usage: torch_step.py CASE f32|bf16 eager|compile STEPS THREADS"""
import json
import resource
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

from models import CASES


class RotaryAttention(nn.Module):
    def __init__(self, case):
        super().__init__()
        self.heads = case.heads
        self.qkv = nn.Linear(case.dim, 3 * case.dim, bias=False)
        self.out = nn.Linear(case.dim, case.dim, bias=False)
        width = case.dim // case.heads
        angle = torch.outer(torch.arange(case.seq).float(), 10000.0 ** (-torch.arange(0, width, 2).float() / width))
        self.register_buffer("cos", angle.cos().repeat(1, 2))
        self.register_buffer("sin", angle.sin().repeat(1, 2))

    def forward(self, x):  # (batch, seq, dim)
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)

        def rotate(t):
            first, second = t.chunk(2, -1)
            return t * self.cos.to(t.dtype) + torch.cat((-second, first), -1) * self.sin.to(t.dtype)

        y = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        return self.out(y.transpose(1, 2).flatten(2))


class SwiGLU(nn.Module):
    def __init__(self, case):
        super().__init__()
        self.gate, self.up = (nn.Linear(case.dim, case.ffn, bias=False) for _ in range(2))
        self.down = nn.Linear(case.ffn, case.dim, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Experts(nn.Module):
    def __init__(self, case, per_token=2):
        super().__init__()
        self.per_token = per_token
        self.router = nn.Linear(case.dim, case.experts, bias=False)
        self.experts = nn.ModuleList(SwiGLU(case) for _ in range(case.experts))
        self.shared = SwiGLU(case)

    def forward(self, x):
        rows = x.flatten(0, 1)
        gates, chosen = self.router(rows).float().softmax(-1).topk(self.per_token, -1)
        gates = (gates / gates.sum(-1, keepdim=True)).flatten()
        order = chosen.flatten().argsort(stable=True)
        token = order // self.per_token
        counts = torch.bincount(chosen.flatten(), minlength=len(self.experts)).tolist()
        parts = [expert(part) for expert, part in zip(self.experts, rows[token].split(counts))]
        y = self.shared(rows)
        return y.index_add(0, token, (torch.cat(parts) * gates[order, None]).to(y.dtype)).view_as(x)


class Layer(nn.Module):
    def __init__(self, case):
        super().__init__()
        self.before_attention, self.before_mlp = nn.RMSNorm(case.dim), nn.RMSNorm(case.dim)
        self.attention = RotaryAttention(case)
        self.mlp = Experts(case) if case.experts else SwiGLU(case)

    def forward(self, x):
        x = x + self.attention(self.before_attention(x))
        return x + self.mlp(self.before_mlp(x))


class Decoder(nn.Module):
    def __init__(self, case):
        super().__init__()
        self.embedding = nn.Embedding(case.vocab, case.dim)
        self.layers = nn.ModuleList(Layer(case) for _ in range(case.layers))
        self.norm = nn.RMSNorm(case.dim)
        self.head = nn.Linear(case.dim, case.vocab, bias=False)

    def forward(self, tokens, targets):
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1).float(), targets.flatten())


def main():
    name, precision, mode, steps, threads = sys.argv[1:]
    case = CASES[name]
    torch.manual_seed(0)
    torch.set_num_threads(int(threads))
    model = Decoder(case)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    loss_of = torch.compile(model) if mode == "compile" else model
    tokens, targets = (torch.randint(case.vocab, (case.batch, case.seq)) for _ in range(2))
    seconds = []
    for _ in range(int(steps)):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = loss_of(tokens, targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds, "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


main()
