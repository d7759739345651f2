#!/usr/bin/env python3
"""Prefill and decode in llama.cpp, through its C interface: random weights of a case's shape, written once to a GGUF file. Prints one JSON object.

usage: llamacpp_generate.py CASE f32|bf16 FILE.gguf PROMPT TOKENS REPETITIONS THREADS"""
import ctypes
import json
import os
import resource
import sys
import time

import gguf
import llama_cpp
import numpy as np

from models import CASES


def write_weights(path, case, precision):
    kind = {"f32": gguf.GGMLQuantizationType.F32, "bf16": gguf.GGMLQuantizationType.BF16}[precision]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(case.seq)
    writer.add_embedding_length(case.dim)
    writer.add_block_count(case.layers)
    writer.add_feed_forward_length(case.ffn)
    writer.add_head_count(case.heads)
    writer.add_head_count_kv(case.heads)
    writer.add_rope_dimension_count(case.dim // case.heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(case.vocab)
    writer.add_tokenizer_model("none")
    random = np.random.default_rng(0)

    def matrix(name, rows, columns):
        values = 0.02 * random.standard_normal((rows, columns), dtype=np.float32)
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    def gain(name):
        writer.add_tensor(name, np.ones(case.dim, np.float32))

    matrix("token_embd.weight", case.vocab, case.dim)
    matrix("output.weight", case.vocab, case.dim)
    gain("output_norm.weight")
    for layer in range(case.layers):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            matrix(f"blk.{layer}.{name}.weight", case.dim, case.dim)
        for name, rows, columns in (("ffn_gate", case.ffn, case.dim), ("ffn_up", case.ffn, case.dim), ("ffn_down", case.dim, case.ffn)):
            matrix(f"blk.{layer}.{name}.weight", rows, columns)
        gain(f"blk.{layer}.attn_norm.weight")
        gain(f"blk.{layer}.ffn_norm.weight")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def load(path, case, prompt, threads):
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_load_model_from_file(path.encode(), llama_cpp.llama_model_default_params())
    if not model:
        raise RuntimeError(f"llama.cpp does not load {path}")
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx = case.seq
    parameters.n_batch = parameters.n_ubatch = max(prompt, 512)
    parameters.n_threads = parameters.n_threads_batch = threads
    context = llama_cpp.llama_new_context_with_model(model, parameters)
    if not context:
        raise RuntimeError("llama.cpp makes no context")
    return context


def main():
    name, precision, path, *numbers = sys.argv[1:]
    case, (prompt, count, repetitions, threads) = CASES[name], map(int, numbers)
    if not os.path.exists(path):
        write_weights(path, case, precision)
    quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    start = time.perf_counter()
    context = load(path, case, prompt, threads)
    loaded = time.perf_counter() - start
    ids = np.random.default_rng(1).integers(0, case.vocab, prompt + count).astype(np.int32)

    def feed(part):
        tokens = np.ascontiguousarray(part).ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token))
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(tokens, len(part))):
            raise RuntimeError("llama_decode failed")
        llama_cpp.llama_get_logits(context)  # waits until they are there

    prefill, decode = [], []
    for _ in range(repetitions):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        start = time.perf_counter()
        feed(ids[:prompt])
        prefill.append(time.perf_counter() - start)
        start = time.perf_counter()
        for at in range(prompt, prompt + count):
            feed(ids[at:at + 1])
        decode.append(time.perf_counter() - start)
    print(json.dumps({"load": loaded, "prefill": prefill, "decode": decode, "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


main()
