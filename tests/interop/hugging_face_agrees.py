#!/usr/bin/env python3
"""Random models of transformers (Llama, Qwen2, Qwen3, DeepSeek-V3) through `weft import` and `weft export`, live: odd sizes, grouped queries, tied heads, biases, all kinds
of rotary positions, f32, bf16, f16 and 8 bits with scales of blocks, one file and several.

Each token's log-probability after the import is transformers' own within the tolerance; so it is of the folder that is exported, which
transformers and tokenizers load unchanged; and a greedy continuation is the same tokens.

usage: hugging_face_agrees.py [--models N] [--seed S] [--weft build/bin/weft] [--tolerance X]"""
import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "goldens" / "hugging_face"))
import make_goldens

CONTEXT = 96


def rope(r):
    kind = r.choice(["default", "linear", "llama3", "yarn", "yarn"])
    options = dict(rope_type=kind, rope_theta=r.choice([1e3, 1e4, 5e5, 1e6]))
    if kind != "default":
        options["factor"] = r.choice([1.5, 2.0, 4.0, 8.0, 40.0])
    if kind in ("llama3", "yarn"):
        options["original_max_position_embeddings"] = r.choice([8, 16, 48, 4096])
    if kind == "llama3":
        options.update(low_freq_factor=r.choice([1.0, 2.0]), high_freq_factor=r.choice([4.0, 8.0]))
    if kind == "yarn":
        options.update(r.choice([{}, dict(attention_factor=1.25), dict(mscale=1.0, mscale_all_dim=0.707), dict(beta_fast=8.0, beta_slow=2.0, truncate=False)]))
    return options


def model_of(r):
    kind = r.choice(["Llama", "Qwen2", "Qwen3", "DeepseekV3"])
    kv, groups, size = r.choice([1, 2, 3]), r.choice([1, 2, 4]), 2 * r.randint(2, 12)
    heads = kv * groups
    options = dict(hidden_size=heads * r.randint(3, 14), intermediate_size=r.choice([r.randint(5, 90), r.randint(120, 300)]), num_hidden_layers=r.randint(1, 4), num_attention_heads=heads,
                   num_key_value_heads=kv, head_dim=size, vocab_size=300 + r.randint(0, 40), rms_norm_eps=r.choice([1e-5, 1e-6]),
                   tie_word_embeddings=r.random() < 0.5, rope_parameters=rope(r), max_position_embeddings=CONTEXT, bos_token_id=0, eos_token_id=0)
    if kind == "DeepseekV3":
        del options["head_dim"]
        groups = r.choice([1, 2, 3])
        each = r.randint(2, 4)  # experts of a group
        options.update(num_key_value_heads=heads, q_lora_rank=r.choice([None, r.randint(4, 30)]), kv_lora_rank=r.randint(4, 24), qk_rope_head_dim=2 * r.randint(1, 6),
                       qk_nope_head_dim=r.randint(2, 14), v_head_dim=r.randint(2, 16), first_k_dense_replace=r.randint(0, 2), n_group=groups,
                       topk_group=r.randint(1, groups), n_routed_experts=groups * each, num_experts_per_tok=2, moe_intermediate_size=r.randint(5, 40),
                       n_shared_experts=r.randint(1, 2), norm_topk_prob=r.random() < 0.7, routed_scaling_factor=r.choice([1.0, 2.5]))
    config = getattr(transformers, kind + "Config")(**options)
    model = getattr(transformers, kind + "ForCausalLM")(config)
    make_goldens.randomise(model, torch.Generator().manual_seed(r.randrange(1 << 30)))
    return kind, model


def quantise(folder, out):
    """A copy of the folder whose projections are of 8 bits with scales of blocks, as DeepSeek-V3 is published; the folder's own become
    what those stand for, in f32."""
    shutil.copytree(folder, out)
    for file in folder.glob("*.safetensors"):
        narrow, wide = {}, {}
        for name, w in load_file(file).items():
            wide[name] = narrow[name] = w
            if w.dim() == 2 and "_proj" in name:
                rows, columns = (-(-n // 128) for n in w.shape)
                blocks = F.pad(w.float(), (0, columns * 128 - w.shape[1], 0, rows * 128 - w.shape[0])).view(rows, 128, columns, 128)
                scales = blocks.abs().amax((1, 3)).clamp(min=1e-12) / 448
                codes = (blocks / scales[:, None, :, None]).to(torch.float8_e4m3fn)
                whole = lambda x: x.reshape(rows * 128, columns * 128)[:w.shape[0], :w.shape[1]].contiguous()
                narrow[name], narrow[name + "_scale_inv"] = whole(codes.view(torch.uint8)).view(torch.float8_e4m3fn), scales
                wide[name] = whole(codes.float() * scales[:, None, :, None])
        save_file(narrow, out / file.name, {"format": "pt"})
        save_file(wide, file, {"format": "pt"})
    config = json.loads((out / "config.json").read_text())
    config["quantization_config"] = {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128]}
    (out / "config.json").write_text(json.dumps(config))


def weft(binary, *arguments):
    done = subprocess.run([binary, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"error: weft {' '.join(map(str, arguments))}\n{done.stderr}")
    return done.stdout


def ours(binary, checkpoint, ids, out):
    weft(binary, "eval", checkpoint, "--ids", ids, "--logprobs", out)
    return [(*line.split()[:3], float.fromhex(line.split()[3])) for line in out.read_text().splitlines()]


def difference(got, text):
    golden = [line.split() for line in text.splitlines()]
    if [g[:3] for g in got] != [tuple(g[:3]) for g in golden]:
        sys.exit("error: other targets than expected")
    return max(abs(a[3] - float(b[3])) for a, b in zip(got, golden))


def greedy(folder, ids, count):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager").eval()
    for _ in range(count):
        with torch.no_grad():
            ids = ids + [model(input_ids=torch.tensor([ids])).logits[0, -1].argmax().item()]
    return ids


def check(number, r, args, tok, work):
    kind, model = model_of(r)
    eight_bits = r.random() < 0.3
    dtype, shards = r.choice(["float32", "bfloat16", "float16"]), r.choice(["5GB", "40KB"])
    theirs, checkpoint, out = work / "theirs", work / "checkpoint", work / "out"
    model.to(getattr(torch, dtype)).save_pretrained(theirs, max_shard_size="5GB" if eight_bits else shards)
    tok.save(str(theirs / "tokenizer.json"))
    if r.random() < 0.5:
        make_goldens.as_before_5(theirs / "config.json")
    lengths = [r.randint(1, 30), r.randint(30, CONTEXT - 35)]
    documents = [[r.randrange(1, 300) for _ in range(n)] for n in lengths]
    (work / "ids").write_text("".join(" ".join(map(str, ids)) + "\n" for ids in documents))
    ended = [ids + [0] for ids in documents]

    if eight_bits:
        quantise(theirs, work / "of_8_bits")
        dtype = "float8_e4m3"
    weft(args.weft, "import", work / "of_8_bits" if eight_bits else theirs, checkpoint, "--seq", CONTEXT)
    imported = difference(ours(args.weft, checkpoint, work / "ids", work / "logprobs"), make_goldens.logprobs(theirs, ended))
    weft(args.weft, "export", checkpoint, out, "--max-shard-size", r.choice(["5GB", "30KB"]), "--dtype", "bf16" if dtype == "bfloat16" else "f32")
    exported = difference(ours(args.weft, checkpoint, work / "ids", work / "logprobs"), make_goldens.logprobs(out, ended))
    loaded = transformers.AutoTokenizer.from_pretrained(out)
    prompt = "The miller"
    if loaded(prompt)["input_ids"] != tok.encode(prompt).ids:
        sys.exit("error: the exported tokenizer gives other ids")
    generated = json.loads(weft(args.weft, "generate", checkpoint, "--prompt", prompt, "--max-tokens", 12, "--temperature", 0, "--ignore-end", "--json"))
    ids = tok.encode(prompt).ids
    same = generated["tokens"] == greedy(out, ids, 12)[len(ids):]
    rope_type = (model.config.rope_parameters or {}).get("rope_type")
    print(f"{number:3} {kind:6} {rope_type:8} {dtype:11} {'tied' if model.config.tie_word_embeddings else 'own'}: largest difference "
          f"{imported:.1e} imported, {exported:.1e} exported{'' if same else ', OTHER TOKENS'}", flush=True)
    return imported <= args.tolerance and exported <= args.tolerance and same


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--weft", default="build/bin/weft")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="of a log-probability, in nats")
    args = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    tok = make_goldens.tokenizer()
    failed = 0
    for number in range(args.models):
        with tempfile.TemporaryDirectory() as work:
            failed += not check(number, random.Random(args.seed * 1000 + number), args, tok, pathlib.Path(work))
    if failed:
        sys.exit(f"error: {failed} of {args.models} differ by more than {args.tolerance:g} nats or in tokens")


if __name__ == "__main__":
    main()
