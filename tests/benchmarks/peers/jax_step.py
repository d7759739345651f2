#!/usr/bin/env python3
"""The dense model's training step in JAX, jitted, layers as a scan; AdamW of optax. Prints one JSON object.

usage: jax_step.py CASE f32|bf16 STEPS"""
import json
import resource
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from models import CASES


def main():
    name, precision, steps = sys.argv[1:]
    case = CASES[name]
    compute = jnp.bfloat16 if precision == "bf16" else jnp.float32
    width = case.dim // case.heads
    keys = iter(jax.random.split(jax.random.PRNGKey(0), 9))
    normal = lambda *shape: 0.02 * jax.random.normal(next(keys), shape)
    stack = lambda *shape: normal(case.layers, *shape)
    parameters = {
        "embedding": normal(case.vocab, case.dim), "head": normal(case.dim, case.vocab), "norm": jnp.ones(case.dim),
        "layers": {"qkv": stack(case.dim, 3 * case.dim), "out": stack(case.dim, case.dim), "gate": stack(case.dim, case.ffn),
                   "up": stack(case.dim, case.ffn), "down": stack(case.ffn, case.dim),
                   "norms": jnp.ones((case.layers, 2, case.dim))}}
    angle = np.outer(np.arange(case.seq), 10000.0 ** (-np.arange(0, width, 2) / width))
    cos, sin = (jnp.asarray(np.tile(f(angle), 2), compute) for f in (np.cos, np.sin))
    causal = jnp.tril(jnp.ones((case.seq, case.seq), bool))

    def rms_norm(x, weight):
        x = x.astype(jnp.float32)
        return (x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-6) * weight).astype(compute)

    def rotate(x):
        first, second = jnp.split(x, 2, -1)
        return x * cos + jnp.concatenate((-second, first), -1) * sin

    def layer(x, p):
        cast = lambda w: w.astype(compute)
        heads = lambda t: t.reshape(*t.shape[:2], case.heads, width).swapaxes(1, 2)
        q, k, v = map(heads, jnp.split(rms_norm(x, p["norms"][0]) @ cast(p["qkv"]), 3, -1))
        scores = (rotate(q) @ rotate(k).swapaxes(-1, -2)).astype(jnp.float32) / width**0.5
        y = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), -1).astype(compute) @ v
        x = x + y.swapaxes(1, 2).reshape(x.shape) @ cast(p["out"])
        h = rms_norm(x, p["norms"][1])
        return x + (jax.nn.silu(h @ cast(p["gate"])) * (h @ cast(p["up"]))) @ cast(p["down"]), None

    def loss_of(p, tokens, targets):
        x, _ = jax.lax.scan(layer, p["embedding"].astype(compute)[tokens], p["layers"])
        logits = (rms_norm(x, p["norm"]) @ p["head"].astype(compute)).astype(jnp.float32)
        return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()

    optimizer = optax.adamw(1e-3)

    @jax.jit
    def step(p, state, tokens, targets):
        loss, gradients = jax.value_and_grad(loss_of)(p, tokens, targets)
        updates, state = optimizer.update(gradients, state, p)
        return optax.apply_updates(p, updates), state, loss

    state = optimizer.init(parameters)
    tokens, targets = np.random.default_rng(0).integers(0, case.vocab, (2, case.batch, case.seq))
    seconds = []
    for _ in range(int(steps)):
        start = time.perf_counter()
        parameters, state, loss = step(parameters, state, tokens, targets)
        loss.block_until_ready()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds, "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


main()
