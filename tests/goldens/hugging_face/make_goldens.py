#!/usr/bin/env python3
"""Makes the folders here anew: small random models as transformers saves them, and what transformers gives for ids.txt.

Odd sizes, grouped queries, tied heads, biases, every kind of rotary positions that Weft reads, and every way in which weights are
kept: f32, bf16, f16, in one file and in several; config.json as transformers 5 writes it and as 4 did.

NAME/ is the folder; NAME.logprobs has a line a target as `weft eval --logprobs`: document, position, id, log-probability (f64).

usage: make_goldens.py [NAME...]      needs tests/interop/requirements.txt's packages"""
import json
import math
import pathlib
import shutil
import sys

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent
# What the models have in common; `rope` is config.json's rope_parameters.
MODELS = {
    "llama_sharded": dict(model="Llama", dtype="float32", shards="60KB", legacy=True, hidden_size=24, intermediate_size=37, num_hidden_layers=3,
                          num_attention_heads=6, num_key_value_heads=2, head_dim=10, vocab_size=307, rms_norm_eps=1e-5, tie_word_embeddings=False,
                          rope=dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                    original_max_position_embeddings=24)),
    "llama_yarn": dict(model="Llama", dtype="bfloat16", hidden_size=20, intermediate_size=52, num_hidden_layers=2, num_attention_heads=2,
                       num_key_value_heads=2, vocab_size=300, rms_norm_eps=1e-6, tie_word_embeddings=True,
                       rope=dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16)),
    "qwen2": dict(model="Qwen2", dtype="float16", hidden_size=36, intermediate_size=31, num_hidden_layers=2, num_attention_heads=3,
                  num_key_value_heads=1, vocab_size=301, rms_norm_eps=1e-6, tie_word_embeddings=True, use_sliding_window=False, max_window_layers=1,
                  rope=dict(rope_type="linear", rope_theta=1000000.0, factor=2.5)),
    "qwen3": dict(model="Qwen3", dtype="float32", hidden_size=28, intermediate_size=44, num_hidden_layers=2, num_attention_heads=4,
                  num_key_value_heads=2, head_dim=12, vocab_size=300, rms_norm_eps=1e-6, tie_word_embeddings=False,
                  rope=dict(rope_type="yarn", rope_theta=10000.0, factor=8.0, original_max_position_embeddings=8, beta_fast=16.0, beta_slow=2.0,
                            mscale=1.0, mscale_all_dim=0.5, truncate=False)),
    "deepseek_v3": dict(model="DeepseekV3", dtype="bfloat16", shards="40KB", hidden_size=22, intermediate_size=30, num_hidden_layers=3, num_attention_heads=2,
                        num_key_value_heads=2, q_lora_rank=14, kv_lora_rank=10, qk_nope_head_dim=6, qk_rope_head_dim=8, v_head_dim=7, first_k_dense_replace=1,
                        n_routed_experts=6, num_experts_per_tok=2, n_group=3, topk_group=2, moe_intermediate_size=9, n_shared_experts=2,
                        routed_scaling_factor=2.5, norm_topk_prob=True, vocab_size=300, rms_norm_eps=1e-6, tie_word_embeddings=False,
                        rope=dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16, mscale=1.0, mscale_all_dim=1.0)),
}
CONTEXT = 64  # tokens: what the tests compile for


def tokenizer():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    t.train([str(f) for f in sorted((HERE.parent / "text").glob("*.txt"))], trainer)
    return t


def randomise(model, generator):
    """Values of the sizes that trained models have: at their first ones, logits hardly depend on the input."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            x = torch.randn(p.shape, generator=generator)
            if name.endswith("norm.weight"):
                p.copy_(1 + 0.3 * x)
            elif p.dim() == 1:
                p.copy_(0.5 * x)
            else:
                p.copy_(x * (0.7 if "embed" in name else 1.3 / math.sqrt(p.shape[-1])))
        for name, buffer in model.named_buffers():
            if name.endswith("e_score_correction_bias"):
                buffer.copy_(0.2 * torch.randn(buffer.shape, generator=generator))


def logprobs(folder, documents):
    """Log-probability of each token but a document's first, in f64."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager")
    model.double().eval()
    lines = []
    for number, ids in enumerate(documents):
        with torch.no_grad():
            rows = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        lines += [f"{number} {at} {ids[at]} {rows[at - 1, ids[at]].item():.9f}" for at in range(1, len(ids))]
    return "\n".join(lines) + "\n"


def as_before_5(path):
    """rope_theta and rope_scaling beside each other, torch_dtype."""
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = rope
    config["torch_dtype"] = config.pop("dtype")
    path.write_text(json.dumps(config, indent=2) + "\n")


def make(name, options, tok, documents):
    options = dict(options)
    kind, dtype, shards, legacy, rope = (options.pop(k, None) for k in ("model", "dtype", "shards", "legacy", "rope"))
    config = getattr(transformers, kind + "Config")(**options, rope_parameters=rope, max_position_embeddings=128, bos_token_id=0, eos_token_id=0)
    model = getattr(transformers, kind + "ForCausalLM")(config)
    randomise(model, torch.Generator().manual_seed(len(name)))
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size=shards or "5GB")
    tok.save(str(folder / "tokenizer.json"))
    if legacy:
        as_before_5(folder / "config.json")
    (HERE / f"{name}.logprobs").write_text(logprobs(folder, documents))
    print(name, sum(f.stat().st_size for f in folder.iterdir()), "bytes", sorted(f.name for f in folder.iterdir()))


def main():
    tok = tokenizer()
    generator = torch.Generator().manual_seed(1)
    documents = [torch.randint(1, 300, (n,), generator=generator).tolist() for n in (1, 16, 43)]  # with their ends within CONTEXT
    (HERE / "ids.txt").write_text("".join(" ".join(map(str, ids)) + "\n" for ids in documents))
    for name in sys.argv[1:] or MODELS:
        make(name, MODELS[name], tok, [ids + [tok.token_to_id("<|endoftext|>")] for ids in documents])


if __name__ == "__main__":
    main()
