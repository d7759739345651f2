#!/usr/bin/env bash
# Models that are not llama keep the promises too: constants given to each layer, gradients of the model's own, parameters
# used twice; and pipelines refuse what would need gradients from several stages.
source "$(dirname "$0")/../e2e/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-numerics-XXXXXX")
trap 'rm -rf "$work"' EXIT
make_recipe
cat >"$work/model.cc" <<'END'
#include <weft/weft.h>
using namespace weft;

struct Config {
  i64 vocab = 300, dim = 32, layers = 4, way = 0;
  WEFT_FIELDS(vocab, dim, layers, way)
};

Tensor model(Scope s, const Sequence &seq, const Config &c) {
  Tensor x = embedding(s / "embed_tokens", seq.tokens, c.vocab, c.dim), start = x;
  if (c.way == 1) x = x + grad(linear(s / "before", x, c.dim), [](Tensor y) { return sum(y * y * y); });
  auto block = [&](Scope l, Tensor x, Tensor weight) {
    x = x + weight * attention(l / "self_attn", rms_norm(l / "norm1", x), seq, {.heads = 2});
    Tensor h = linear(l / "up", rms_norm(l / "norm2", x), c.dim);
    if (c.way == 2) h = linear(l / "up", silu(h), c.dim); // the same parameter once more
    if (c.way == 3) x = x + 0.3 * start;
    if (c.way == 4) h = h + linear(s / "shared", h, c.dim);
    return x + silu(h);
  };
  if (c.way == 4) x = linear(s / "shared", x, c.dim);
  x = repeat(s / "layers", {0, c.layers}, x, table({c.layers}, {0.9, 0.6, 0.3, 0.1}), block);
  if (c.way == 5) x = x + start;
  return lm_head(s / "lm_head", rms_norm(s / "norm", x), c.vocab);
}
WEFT_MODEL(model)
END
sed -i "s/^name = .*/file = \"model.cc\"/; /^config = /d" "$work/recipe.toml"
for way in 0 1 2; do
  train "whole$way" model.way=$way train.shards=4 train.micro_batch=8 train.eval_batches=0
  train "two$way" model.way=$way train.shards=4 train.micro_batch=2 train.eval_batches=0
  expect_equal_bits "$work/whole$way" "$work/two$way" 8 "model $way, micro-batches of 2"
  train "stages$way" model.way=$way train.shards=4 train.micro_batch=4 train.eval_batches=0 run.plan=pp2
  expect_equal_bits "$work/whole$way" "$work/stages$way" 8 "model $way, two stages"
done
for way in 3 5; do
  expect_error 1 'model.cc:10: parameter embed_tokens.weight is read by the layers or behind them through a value from before them' \
    'run with one stage' -- weft train "$work/recipe.toml" run.dir="$work/refused$way" model.way=$way run.plan=pp2
done
expect_error 1 'parameter shared.weight is shared by the layers' -- \
  weft train "$work/recipe.toml" run.dir="$work/refused4" model.way=4 run.plan=pp2
expect_error 1 'model.cc:21: 4 layers cannot be cut into 5 pipeline stages' -- \
  weft train "$work/recipe.toml" run.dir="$work/refused" run.plan=pp5
done_testing
