#!/usr/bin/env python3
"""GFLOP/s of torch.matmul on random matrices, the mean over some time. Prints one JSON object: by product, by type.

usage: torch_matmul.py THREADS SECONDS"""
import json
import sys
import time

import torch

# Name: M, K, N, and whether M x K lies transposed (a weight's gradient), or K x N does (a weight).
PRODUCTS = {"forward_1024x384": (4096, 384, 1024, "weight"), "square_1024": (1024, 1024, 1024, "weight"), "dw_1024x384": (1024, 4096, 384, "gradient")}


def rate(m, k, n, kind, dtype, seconds):
    a = (torch.randn(k, m, dtype=dtype).T if kind == "gradient" else torch.randn(m, k, dtype=dtype))
    b = (torch.randn(n, k, dtype=dtype).T if kind == "weight" else torch.randn(k, n, dtype=dtype))
    for _ in range(3):
        torch.matmul(a, b)
    times, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        torch.matmul(a, b)
        times += 1
    return 2 * m * k * n * times / (time.perf_counter() - start) / 1e9


def main():
    torch.manual_seed(0)
    torch.set_num_threads(int(sys.argv[1]))
    print(json.dumps({name: {"bf16": rate(*shape, torch.bfloat16, float(sys.argv[2])), "f32": rate(*shape, torch.float32, float(sys.argv[2]))}
                      for name, shape in PRODUCTS.items()}))


main()
