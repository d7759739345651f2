#!/usr/bin/env python3
"""Trains a llama, a Qwen2 or Qwen3, or a DeepSeek-V3 in PyTorch as a Weft run was trained, and compares the two curves.

usage: llama_torch.py RUN [--steps N] [--dtype f32|f64|bf16] [--threads N] [--tolerance X] [--noise X] [--write-curve FILE]

RUN is a run directory of `weft train … run.save_initial=true`. From it come the step-0 checkpoint, the token file,
the recipe and the learning rate of each step; everything else is PyTorch's: forward, gradients, clipping, AdamW. bf16 is PyTorch's autocast over f32 weights."""
import argparse
import json
import pathlib
import sys
import tomllib

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import weft_files


def mixture(p, config, at, x, experts):
    """DeepSeek-V3's mixture of experts (arXiv:2412.19437, equations 12 to 16) of x (rows, seq, dim); adds how many tokens
    chose each expert to experts["load"][at], and the balance of each row (equations 17 to 20) to experts["balance"]."""
    swiglu = lambda at, h: F.linear(F.silu(F.linear(h, p[at + "gate_proj.weight"])) * F.linear(h, p[at + "up_proj.weight"]), p[at + "down_proj.weight"])
    h = x.flatten(0, 1)
    number, best = config["n_routed_experts"], config["num_experts_per_tok"]
    with torch.autocast("cpu", enabled=False):
        logits = F.linear(h.to(p[at + "gate.weight"].dtype), p[at + "gate.weight"])
    scores = logits.sigmoid() if config["scoring_func"] == "sigmoid" else logits.softmax(-1)
    choice, bias = scores.detach(), p.get(at + "gate.e_score_correction_bias")
    if bias is not None:
        choice = choice + bias
    if config["n_group"] > 1:
        of_groups = choice.unflatten(1, (config["n_group"], -1))
        kept = of_groups.topk(min(2, of_groups.shape[-1]), -1).values.sum(-1).topk(config["topk_group"], -1).indices
        mask = torch.zeros(of_groups.shape[:2], dtype=torch.bool).scatter(1, kept, True)
        choice = of_groups.masked_fill(~mask[..., None], -torch.inf).flatten(1)
    chosen = choice.topk(best, -1).indices
    gates = scores.gather(1, chosen)
    if config["norm_topk_prob"]:
        gates = gates / (gates.sum(-1, keepdim=True) + 1e-20)
    gates = gates * config["routed_scaling_factor"]
    y = torch.zeros_like(h)
    for e in range(number):
        token, place = (chosen == e).nonzero(as_tuple=True)
        y = y.index_add(0, token, (swiglu(f"{at}experts.{e}.", h[token]) * gates[token, place, None]).to(y.dtype))
    if bias is not None:
        experts["load"][at] = experts["load"].get(at, 0) + torch.bincount(chosen.flatten(), minlength=number)
    rows = lambda t: t.unflatten(0, x.shape[:2])  # (rows, seq, experts)
    often = rows(F.one_hot(scores.topk(best, -1).indices, number).sum(1)).double().mean(1) * number / best
    experts["balance"].append((often.to(scores.dtype) * rows(scores / scores.sum(-1, keepdim=True)).mean(1)).sum(-1))
    y = y.view_as(x)
    return y + swiglu(at + "shared_experts.", x) if config["n_shared_experts"] else y


def llama(p, config, tokens, positions, documents, experts):
    """Logits of (rows, seq) tokens, (rows, seq, vocab), and of the tokens after the next, or None. p: parameters by Hugging Face's
    names."""
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    latent = config.get("kv_lora_rank")  # DeepSeek-V3's attention
    size, eps = config.get("qk_rope_head_dim") or config.get("head_dim", config["hidden_size"] // heads), config["rms_norm_eps"]
    rows, seq = tokens.shape
    dtype = p["model.embed_tokens.weight"].dtype

    norm = lambda name, x: F.rms_norm(x, x.shape[-1:], p[name + ".weight"], eps)
    linear = lambda name, x: F.linear(x, p[name + ".weight"], p.get(name + ".bias"))
    head_norm = lambda name, x: norm(name, x) if name + ".weight" in p else x  # Qwen3
    frequency = config["rope_theta"] ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    angle = (positions[..., None] * frequency)[:, None]  # (rows, 1, seq, size / 2) radians
    cos, sin = angle.cos().to(dtype), angle.sin().to(dtype)

    def rotary(x):
        a, b = x.chunk(2, -1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)

    # (rows, 1, query, key): the same document, and not later
    mask = (documents[:, None, :, None] == documents[:, None, None, :]) & torch.ones(seq, seq, dtype=torch.bool).tril()
    split = lambda x, n: x.view(rows, seq, n, -1).transpose(1, 2)  # (rows, n, seq, width)
    rotary_pairs = lambda x: rotary(torch.cat((x[..., ::2], x[..., 1::2]), -1))

    def grouped(at, h):
        """q, k, v of llama and the Qwens: (rows, heads, seq, size)."""
        q = rotary(head_norm(at + "q_norm", split(linear(at + "q_proj", h), heads)))
        k = rotary(head_norm(at + "k_norm", split(linear(at + "k_proj", h), kv_heads)))
        v = split(linear(at + "v_proj", h), kv_heads)
        return q, k.repeat_interleave(heads // kv_heads, 1), v.repeat_interleave(heads // kv_heads, 1)

    def latents(at, h):
        """q, k, v of DeepSeek-V3 (arXiv:2412.19437, equations 1 to 9): k's rotary part is one for all heads."""
        nope = config["qk_nope_head_dim"]
        q = linear(at + "q_b_proj", norm(at + "q_a_layernorm", linear(at + "q_a_proj", h))) if config["q_lora_rank"] else linear(at + "q_proj", h)
        q_nope, q_rope = split(q, heads).split([nope, size], -1)
        c, k_rope = linear(at + "kv_a_proj_with_mqa", h).split([latent, size], -1)
        k_nope, v = split(linear(at + "kv_b_proj", norm(at + "kv_a_layernorm", c)), heads).split([nope, config["v_head_dim"]], -1)
        k_rope = rotary_pairs(split(k_rope, 1)).expand(-1, heads, -1, -1)
        return torch.cat((q_nope, rotary_pairs(q_rope)), -1), torch.cat((k_nope, k_rope), -1), v

    def block(at, x):
        q, k, v = (latents if latent else grouped)(at + "self_attn.", norm(at + "input_layernorm", x))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + linear(at + "self_attn.o_proj", y.transpose(1, 2).flatten(2))
        h = norm(at + "post_attention_layernorm", x)
        if at + "mlp.gate.weight" in p:
            return x + mixture(p, config, at + "mlp.", h, experts)
        gated = F.silu(linear(at + "mlp.gate_proj", h)) * linear(at + "mlp.up_proj", h)
        return x + linear(at + "mlp.down_proj", gated)

    table = p["model.embed_tokens.weight"]
    head = lambda x: linear("model.embed_tokens" if config["tie_word_embeddings"] else "lm_head", x)
    x = table[tokens]
    for i in range(config["num_hidden_layers"]):
        x = block(f"model.layers.{i}.", x)
    h = norm("model.norm", x)
    if not config.get("num_nextn_predict_layers"):
        return head(h), None
    # Multi-token prediction, equations 21 to 23, with [Emb; h] in the order of the published weights; the head reads the norm of h
    at = f"model.layers.{config['num_hidden_layers']}."
    following = table[F.pad(tokens[:, 1:], (0, 1))]
    x = linear(at + "eh_proj", torch.cat((norm(at + "enorm", following), norm(at + "hnorm", h)), -1))
    return head(h), head(norm(at + "shared_head.norm", block(at, x)))


def sum_of_nats(logits, targets, dtype):
    return F.cross_entropy(logits.flatten(0, 1).to(dtype), targets.flatten(), ignore_index=-1, reduction="sum")


def train(run, steps, dtype, autocast=False, noise=0.0):
    """Yields (loss, grad_norm, parameters, mtp_loss) of each step. noise: the relative deviation of the first weights from the run's."""
    run = pathlib.Path(run)
    recipe, metrics = weft_files.recipe(run), weft_files.metrics(run)
    t, o = recipe["train"], recipe["optimizer"]
    # A key that the recipe leaves out is the config's.
    file = pathlib.Path(__file__).parents[2] / "frontends/models" / recipe["model"].get("name", "") / "configs" / (recipe["model"].get("config", "") + ".toml")
    model = {**(tomllib.loads(file.read_text()) if file.is_file() else {}), **recipe["model"]}
    start = run / "checkpoints/step-000000"
    if not start.exists():
        raise SystemExit(f"error: {run} has no checkpoint of step 0; train it with run.save_initial=true")
    if o["name"] != "adamw":
        raise SystemExit(f"error: optimizer.name is {o['name']}, expected adamw")
    config = json.loads((start / "config.json").read_text())
    if config["rope_scaling"]:
        raise SystemExit("error: rope_scaling is not written here; transformers has it")
    p = {k: (v * (1 + noise * torch.randn_like(v))).to(dtype).requires_grad_() for k, v in load_file(start / "model.safetensors").items()}
    biases = {k: v.requires_grad_(False) for k, v in p.items() if k.endswith("e_score_correction_bias")}  # not the optimiser's
    trained = [v for k, v in p.items() if k not in biases]
    matrices, vectors = [v for v in trained if v.dim() > 1], [v for v in trained if v.dim() < 2]
    adamw = torch.optim.AdamW([{"params": matrices, "weight_decay": o["weight_decay"]}, {"params": vectors, "weight_decay": 0}],
                              lr=1, betas=(o["beta1"], o["beta2"]), eps=o["eps"])
    file = weft_files.TokenFile(run / "data/train.tokens")
    rows = weft_files.Rows(file.tokens, file.ends, t["seq"])
    for step in range(min(steps, len(metrics))):
        taken = weft_files.training_rows(step, t["batch"], rows.count, t["seed"])
        tokens, positions, documents, targets = map(torch.from_numpy, rows.batch(taken))
        valid = (targets >= 0).sum()
        # Of each token, the target of the next one of its document.
        same = documents[:, 1:] == documents[:, :-1]
        after_next = F.pad(torch.where(same, targets[:, 1:], -1), (0, 1), value=-1)
        loss = mtp_loss = 0.0
        loads = {}
        for part in range(0, t["batch"], t["micro_batch"]):
            cut = slice(part, part + t["micro_batch"])
            experts = {"load": loads, "balance": []}
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                logits, mtp_logits = llama(p, config, tokens[cut], positions[cut], documents[cut], experts)
            nats = sum_of_nats(logits, targets[cut], dtype) / valid
            loss += nats.item()
            if mtp_logits is not None:
                mtp_nats = sum_of_nats(mtp_logits, after_next[cut], dtype) / valid
                mtp_loss += mtp_nats.item()
                nats = nats + model.get("mtp_weight", 0.3) * mtp_nats
            if experts["balance"]:
                nats = nats + model.get("balance_weight", 1e-4) * sum(experts["balance"]).sum() * t["seq"] / valid
            nats.backward()
        norm = torch.linalg.vector_norm(torch.stack([v.grad.double().norm() for v in trained])).item()
        if o["clip"] > 0 and norm > o["clip"]:
            for v in trained:
                v.grad *= o["clip"] / norm
        for group in adamw.param_groups:
            group["lr"] = metrics[step]["lr"]
        adamw.step()
        if o.get("moments") == "bf16":  # kept rounded; the step was made of what they were before
            for state in adamw.state.values():
                for name in ("exp_avg", "exp_avg_sq"):
                    state[name].copy_(state[name].bfloat16())
        adamw.zero_grad()
        for at, load in loads.items():
            biases[at + "gate.e_score_correction_bias"] += model.get("bias_rate", 1e-3) * torch.sign(load.double().mean() - load).to(dtype)
        yield loss, norm, p, mtp_loss


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--dtype", choices=["f32", "f64", "bf16"], help="default: the run's own precision")
    parser.add_argument("--threads", type=int, default=0, help="0 = torch's own choice")
    parser.add_argument("--tolerance", type=float, help="of a step's loss, in nats (default 1e-3; bf16: 2e-2)")
    parser.add_argument("--noise", type=float, default=0.0, help="moves the first weights by this much of themselves at random: how far "
                        "PyTorch then leaves its own curve says what a tolerance can ask for")
    parser.add_argument("--seed", type=int, default=0, help="of --noise")
    parser.add_argument("--every", type=int, default=10, help="steps between lines")
    parser.add_argument("--write-curve", help="a file for PyTorch's loss and gradient norm, a step a line")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    ours = weft_files.metrics(args.run)
    dtype = args.dtype or weft_files.recipe(pathlib.Path(args.run))["train"]["precision"]
    tolerance = args.tolerance or (2e-2 if dtype == "bf16" else 1e-3)
    if not ours:
        raise SystemExit(f"error: {args.run}/metrics.jsonl has no steps")
    curve, worst, worst_norm, last = [], (0.0, 0), (0.0, 0), None
    worst_mtp = 0.0
    print("step      weft   pytorch  difference  grad_norm   pytorch")
    for i, (loss, norm, last, mtp_loss) in enumerate(train(args.run, args.steps, torch.float64 if dtype == "f64" else torch.float32, dtype == "bf16", args.noise)):
        curve.append((loss, norm))
        line = ours[i]
        worst = max(worst, (abs(line["loss"] - loss), i + 1))
        worst_mtp = max(worst_mtp, abs(line.get("mtp_loss", 0.0) - mtp_loss))
        worst_norm = max(worst_norm, (abs(line["grad_norm"] / norm - 1), i + 1))
        if i == 0 or (i + 1) % args.every == 0:
            print(f"{i + 1:4}  {line['loss']:8.5f}  {loss:8.5f}  {line['loss'] - loss:10.1e}  {line['grad_norm']:9.5f}  {norm:8.5f}", flush=True)
    print(f"largest difference of the loss {worst[0]:.2e} (step {worst[1]}), of the gradient norm {worst_norm[0]:.2e} relative (step {worst_norm[1]})")
    if "mtp_loss" in ours[0]:
        print(f"largest difference of the loss of the tokens after the next {worst_mtp:.2e}")
    end = pathlib.Path(args.run) / f"checkpoints/step-{len(curve):06}/model.safetensors"
    if end.exists():
        theirs = load_file(end)
        far = max((((theirs[k] - v).norm() / v.norm()).item(), k) for k, v in last.items())
        print(f"weights after step {len(curve)}: largest relative distance {far[0]:.2e} ({far[1]})")
    if args.write_curve:
        head = "# step, loss in nats, gradient norm before clipping\n"
        text = "".join(f"{i + 1} {loss:.7f} {norm:.7f}\n" for i, (loss, norm) in enumerate(curve))
        pathlib.Path(args.write_curve).write_text(head + text)
    if not worst_mtp <= tolerance:
        sys.exit(f"error: mtp_loss differs by {worst_mtp:.2e} when it should by at most {tolerance:g}")
    if not worst[0] <= tolerance:
        sys.exit(f"error: the loss of step {worst[1]} differs by {worst[0]:.2e} when it should by at most {tolerance:g}")


if __name__ == "__main__":
    main()
