#!/usr/bin/env bash
# Gradients that a model gives by hand, or computes, train like those that Weft derives.
source "$(dirname "$0")/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-gradients-XXXXXX")
trap 'rm -rf "$work"' EXIT
make_recipe
cat >"$work/model.cc" <<'END'
#include <weft/weft.h>
using namespace weft;

struct Config {
  i64 vocab = 300, dim = 32, layers = 2;
  i64 way = 0; // how the activation's gradient is found
  WEFT_FIELDS(vocab, dim, layers, way)
};

Tensor swish(Tensor x, i64 way) {
  if (way == 1) // by hand: s + x s (1 - s)
    return custom_gradient({x}, [](auto x) { return x[0] * sigmoid(x[0]); },
                           [](auto x, Tensor y, Tensor dy) {
                             Tensor s = sigmoid(x[0]);
                             return std::vector{dy * (s + y * (1 - s))};
                           });
  if (way == 2) // the sigmoid is the derivative of log(1 + e^x)
    return x * grad(x, [](Tensor x) { return sum(log(1 + exp(x))); });
  return x * sigmoid(x);
}

Tensor model(Scope s, const Sequence &seq, const Config &c) {
  Tensor x = embedding(s / "embed_tokens", seq.tokens, c.vocab, c.dim);
  x = repeat(s / "layers", {0, c.layers}, x, [&](Scope s, Tensor x) {
    x = x + attention(s / "self_attn", rms_norm(s / "norm1", x), seq, {.heads = 2});
    return x + linear(s / "down", swish(linear(s / "up", rms_norm(s / "norm2", x), 2 * c.dim), c.way), c.dim);
  });
  return lm_head(s / "lm_head", rms_norm(s / "norm", x), c.vocab);
}
WEFT_MODEL(model)
END
sed -i "s/^name = .*/file = \"model.cc\"/; /^config = /d" "$work/recipe.toml"
for way in 0 1 2; do
  train "way$way" model.way=$way
  sed -E 's/.*"loss":([^,]*),.*/\1/' "$work/way$way/metrics.jsonl" >"$work/way$way.loss"
done
for way in 1 2; do
  paste "$work/way0.loss" "$work/way$way.loss" | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > 1e-5 * $1) exit 1 } END { exit NR < 8 }' ||
    fail "way $way trains otherwise" "$(paste "$work/way0.loss" "$work/way$way.loss")"
  checks=$((checks + 1))
done
done_testing
