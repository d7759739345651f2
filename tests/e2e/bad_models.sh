#!/usr/bin/env bash
# Mistakes in a model of the user's own: the error names the model's lines, and nothing is written.
source "$(dirname "$0")/lib.sh"
work=$(mktemp -d "$WEFT_WORK/models-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

model() { # FILE LINE: a model whose tenth line is LINE
  cat >"$1" <<EOF
#include <weft/weft.h>
using namespace weft;
struct Config {
  i64 vocab = 256, dim = 64;
  WEFT_FIELDS(vocab, dim)
};
Tensor bad(Scope s, const Sequence &seq, const Config &c) {
  auto x = embedding(s / "embed_tokens", seq.tokens, c.vocab, c.dim);
  auto narrow = linear(s / "narrow", x, c.dim / 2);
  $2
  return lm_head(s / "lm_head", x, c.vocab);
}
WEFT_MODEL(bad)
EOF
}
refuse() { # FILE PATTERN…
  local file=$1
  shift
  expect_error 1 "$@" -- weft compile "$file" -o out.weft
  [[ ! -e out.weft ]] || fail "$file: an artifact was written all the same"
}

model shape.cc 'x = x + narrow;'
refuse shape.cc 'shape.cc:10: cannot add (16, 256, 64) and (16, 256, 32)' 'shape.cc:8: left operand made here' 'shape.cc:9: right operand made here'
model type.cc 'x = x + seq.tokens;'
refuse type.cc 'type.cc:10: cannot add f32 (16, 256, 64) and i32 (16, 256): cast one of them' 'type.cc:8: left operand made here'
model head.cc 'return x;'
refuse head.cc 'model bad gives f32' 'when it should give logits' 'lm_head' 'head.cc:8: result made here'
model twice.cc 'x = x + linear(s / "narrow", x, c.dim);'
refuse twice.cc 'twice.cc:10' 'narrow.weight'
model syntax.cc 'x = x + narrow'
refuse syntax.cc 'syntax.cc does not compile' 'syntax.cc:10:' "expected ‘;’"
model none.cc 'x = x + x;'
sed -i /WEFT_MODEL/d none.cc
refuse none.cc 'none.cc holds no model' 'WEFT_MODEL(name)'
echo >empty.cc
refuse empty.cc 'empty.cc holds no model'
refuse missing.cc 'missing.cc'

# A model whose own code fails ends the compiler, and this is said.
model throws.cc 'throw 1;'
said=$(weft compile throws.cc -o out.weft 2>&1) && fail "a model that throws compiles"
grep -q "error: weftc was ended by signal" <<<"$said" && grep -q "hint: a model's own code runs in the compiler" <<<"$said" ||
  fail "nothing is said of a model that throws" "$said"
checks=$((checks + 1))

# A field that the model's Config has not, and one of another type.
model good.cc 'x = x + x;'
expect_error 1 "unknown key 'dimm'" "did you mean 'dim'?" -- weft compile good.cc --set model.dimm=3 -o out.weft
expect_error 1 "dim" -- weft compile good.cc --set 'model.dim="wide"' -o out.weft
expect_error 1 "lama" -- weft compile lama -o out.weft
expect_error 1 "no config named tny" "tiny" -- weft compile llama --config tny -o out.weft
[[ ! -e out.weft ]] || fail "an artifact was written all the same"
done_testing
