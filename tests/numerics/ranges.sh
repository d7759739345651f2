#!/usr/bin/env bash
# Layers in several ranges: a model whose ranges have the same body has the bits, and the files, of the one with a single
# range, however it is laid out, and whatever is computed again; and what cannot be is refused by name.
source "$(dirname "$0")/../e2e/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-numerics-XXXXXX")
trap 'rm -rf "$work"' EXIT
make_recipe
cat >"$work/model.cc" <<'END_OF_MODEL'
#include <weft/weft.h>
using namespace weft;

struct Config {
  i64 vocab = 300, dim = 32, ffn = 128, layers = 5, way = 0;
  i64 cut = 0;     // the second range's first layer; 0: one range
  i64 end = 0;     // the first range's end; 0: cut
  bool tied = false;
  WEFT_FIELDS(vocab, dim, ffn, layers, way, cut, end, tied)
};

Tensor model(Scope s, const Sequence &seq, const Config &c) {
  Tensor x = embedding(s / "embed_tokens", seq.tokens, c.vocab, c.dim);
  auto block = [&](Scope l, Tensor x, Tensor weight) {
    x = x + weight * attention(l / "self_attn", rms_norm(l / "norm1", x), seq, {.heads = 2});
    return x + swiglu(l / "mlp", rms_norm(l / "norm2", x), c.ffn);
  };
  Tensor weights = table({c.layers}, {0.9, 0.7, 0.5, 0.3, 0.1});
  x = repeat(s / "layers", {0, c.end ? c.end : c.cut}, x, weights, block);
  Tensor first = x;
  if (c.way == 1) x = 2 * x;
  x = repeat(s / "layers", {c.cut, c.layers}, x, weights, block);
  if (c.way == 2) x = x + first;
  return lm_head(s / (c.tied ? "embed_tokens" : "lm_head"), rms_norm(s / "norm", x), c.vocab);
}
WEFT_MODEL(model)
END_OF_MODEL
sed -i "s/^name = .*/file = \"model.cc\"/; /^config = /d" "$work/recipe.toml"
common=(train.shards=4 train.eval_batches=0)

train whole "${common[@]}"
ranges() { # NAME KEY=VALUE…
  train "$1" "${common[@]}" "${@:2}"
  expect_equal_bits "$work/whole" "$work/$1" 8 "${*:2}"
}
ranges two model.cut=2
ranges one_and_four model.cut=1
ranges accumulated model.cut=2 train.micro_batch=2
ranges dp2 model.cut=2 run.plan=dp2
ranges pp2 model.cut=2 run.plan=pp2     # stages of layers 0-2 and 3-4: the first has both ranges
ranges pp3 model.cut=3 run.plan=pp3     # 0-1, 2-3, 4: the second has both
ranges pp2_last model.cut=4 run.plan=pp2
ranges dp2pp2 model.cut=1 run.plan=dp2,pp2 train.micro_batch=2

# Names do not say the ranges: a run goes on with others.
train moved "${common[@]}" train.steps=4
train moved "${common[@]}" model.cut=3 --resume
expect_equal_bits "$work/whole" "$work/moved" 8 "resumed with two ranges"
for layer in 0 1 2 3 4; do
  grep -q "\"model.layers.$layer.norm1.weight\"" "$work/two/checkpoints/step-000008/model.safetensors" || fail "layer $layer has no name"
done
checks=$((checks + 1))

train tied_whole "${common[@]}" model.tied=true
for plan in "" pp2; do
  train "tied$plan" "${common[@]}" model.tied=true model.cut=2 run.plan=$plan
  expect_equal_bits "$work/tied_whole" "$work/tied$plan" 8 "a tied head, ${plan:-one rank}"
done

# Budgets between what the program takes and the least it can: ops of both ranges are computed again.
compiling=(weft compile "$work/recipe.toml" -o "$work/x.weft" --set=model.cut=2 --set=train.shards=4)
said=$("${compiling[@]}" --memory-budget 1MB 2>&1 || true)
least=$(grep -oE 'takes [0-9.]+ MB' <<<"$said" | grep -oE '[0-9.]+') most=$(grep -oE '\([0-9.]+ MB' <<<"$said" | tr -d '( MB')
[[ -n $least && -n $most ]] || fail "the error does not say what is possible" "$said"
for share in 0.02 0.5; do
  budget=$(awk -v a="$least" -v b="$most" -v s=$share 'BEGIN { printf "%.3fMB", a + s * (b - a) }')
  ranges "budget$share" model.cut=2 run.memory_budget="$budget"
  expect_says 'computed again in backward' 'for the memory budget' -- "${compiling[@]}" --memory-budget "$budget" --remarks='computed again'
done

# Generation through the caches of both ranges.
for name in whole two; do
  weft generate "$work/$name" --prompt "The old river" --max-tokens 12 --temperature 1 --seed 3 --ignore-end --logprobs "$work/$name.logprobs" >"$work/$name.text"
done
cmp "$work/whole.logprobs" "$work/two.logprobs" || fail "two ranges generate another text" "$(cat "$work/whole.text" "$work/two.text")"
checks=$((checks + 1))

train between "${common[@]}" model.cut=2 model.way=1 # one stage may compute there
refused=(weft train "$work/recipe.toml" "run.dir=$work/refused" "${common[@]}")
expect_error 1 'of layer 2 are both called model.layers.{}.' 'should not overlap' -- "${refused[@]}" model.cut=2 model.end=3
for way in 1 2; do
  expect_error 1 'model.cc:22: goes on from something else than the repeat before it' 'pipeline stages' -- \
    "${refused[@]}" model.cut=2 model.way=$way run.plan=pp2
done
expect_error 1 'model.cc:19: 5 layers cannot be cut into 8 pipeline stages' -- "${refused[@]}" model.cut=2 run.plan=pp8
done_testing
