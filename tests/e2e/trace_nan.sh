#!/usr/bin/env bash
# A run that diverges says which op of the model made the first number that is none.
source "$(dirname "$0")/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-nan-XXXXXX")
trap 'rm -rf "$work"' EXIT
make_recipe
cat >"$work/model.cc" <<'END'
#include <weft/weft.h>
using namespace weft;

struct Config {
  i64 vocab = 300, dim = 32, layers = 3;
  i64 way = 0;
  WEFT_FIELDS(vocab, dim, layers, way)
};

Tensor spoilt(Tensor x, i64 way) {
  if (way == 1) return log(x * 0 - 1) + x;  // NaN
  if (way == 2) return exp(x * 0 + 90) * 0 + x; // infinite, then NaN
  if (way == 3) return x * 1e30;            // products leave f32's range
  return x;
}

Tensor model(Scope s, const Sequence &seq, const Config &c) {
  Tensor x = embedding(s / "embed_tokens", seq.tokens, c.vocab, c.dim);
  x = repeat(s / "layers", {0, c.layers}, x, [&](Scope s, Tensor x) {
    x = x + attention(s / "self_attn", rms_norm(s / "norm1", x), seq, {.heads = 2});
    Tensor h = spoilt(tanh(linear(s / "up", rms_norm(s / "norm2", x), 2 * c.dim)), c.way);
    return x + linear(s / "down", c.way == 3 ? h * 1e30 : h, c.dim);
  });
  return lm_head(s / "lm_head", rms_norm(s / "norm", x), c.vocab);
}
WEFT_MODEL(model)
END
sed -i "s/^name = .*/file = \"model.cc\"/; /^config = /d" "$work/recipe.toml"
at() { grep -n "way == $1" "$work/model.cc" | head -1 | cut -d: -f1; }
trains() { # NAME …
  "$weft_binary" train "$work/recipe.toml" run.dir="$work/$1" "${@:2}"
}
# Without being asked, no more is said than that it has diverged.
said=$(trains plain model.way=1 2>&1) && fail "a run of NaN succeeds"
grep -q 'the run has diverged: the loss is -*nan at step 1' <<<"$said" || fail "it does not say that it diverged" "$said"
! grep -q 'the first to make it' <<<"$said" || fail "it was traced without being asked for" "$said"
expect_error 1 'the run has diverged: the loss is' 'at step 1' 'the first to make it: kernel ' 'in train_step, iteration 0, 0' \
  'math.log: -1 gives' "that is graph.log model.cc:$(at 1) (layers)" 'what that launch read is in' 'hint: start again' -- trains one model.way=1 --trace-nan
[[ -s $work/one/not-finite-step-1/inputs.safetensors ]] || fail "what the launch read is not kept"
expect_error 1 'math.exp: 90 gives inf' "that is graph.exp model.cc:$(at 2) (layers)" -- trains two model.way=2 train.trace_nan=true
said=$(trains three model.way=3 --trace-nan 2>&1) && fail "a run of infinities succeeds"
grep -q "op [0-9]* of the kernel, arith.mulf: .* gives -*inf" <<<"$said" || grep -q "sum leaves the range" <<<"$said" || fail "an overflow is not found" "$said"
# Ranks, and a run that skips what is not finite: the request ends it.
expect_error 1 'the first to make it, on rank ' "graph.log model.cc:$(at 1)" -- trains ranks model.way=1 run.ranks=2 run.plan=dp2 --trace-nan
expect_error 1 "graph.log model.cc:$(at 1)" -- trains skips model.way=1 train.spike=skip --trace-nan
# It costs nothing, and changes no bit, of a run that goes well.
trains well >"$work/out" 2>&1 || fail "a good run fails" "$(cat "$work/out")"
trains traced --trace-nan >"$work/out" 2>&1 || fail "a good run fails when it is traced" "$(cat "$work/out")"
[[ $(bits "$work/well" 8) == $(bits "$work/traced" 8) ]] || fail "tracing changes bits"
done_testing
