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
refuse head.cc "head.cc:8: model bad gives logits of (16, 256, 64) when Config's vocab is 256; end it with lm_head"
model flat.cc 'return sum(x);'
refuse flat.cc 'model bad gives f32 () when it should give logits (16, 256, vocab)' 'flat.cc:10: result made here'
model twice.cc 'x = x + linear(s / "narrow", x, c.dim);'
refuse twice.cc 'twice.cc:10: variable narrow.weight is (64, 64) here and was (32, 64)' 'twice.cc:9: first made here'
model syntax.cc 'x = x + narrow'
refuse syntax.cc 'syntax.cc does not compile' 'syntax.cc:10:' "expected ‘;’"
model none.cc 'x = x + x;'
sed -i /WEFT_MODEL/d none.cc
refuse none.cc 'none.cc holds no model' 'WEFT_MODEL(name)'
echo >empty.cc
refuse empty.cc 'empty.cc holds no model'
refuse missing.cc 'missing.cc'

# A model whose own code fails.
model throws.cc 'throw 1;'
refuse throws.cc "throws.cc: the model's code ended with an exception"
model range.cc 'std::vector<int>().at(3);'
refuse range.cc "range.cc: the model's code ended with an exception: vector"
model ends.cc 'abort();'
said=$(weft compile ends.cc -o out.weft 2>&1) && fail "a model that aborts compiles"
grep -q "error: weftc was ended by signal" <<<"$said" && grep -q "hint: a model's own code runs in the compiler" <<<"$said" ||
  fail "nothing is said of a model that aborts" "$said"
checks=$((checks + 1))

# Logits of another width than the vocabulary, and options that name nothing.
model wide.cc 'return lm_head(s / "head", x, 300);'
refuse wide.cc 'wide.cc:10: model bad gives logits of' "when Config's vocab is 256"
model rows.cc 'x = embedding(s / "second", seq.tokens, 200, c.dim);'
refuse rows.cc "rows.cc:10: embedding of 200 rows for tokens when Config's vocab is 256"
model good.cc 'x = x + x;'
expect_error 1 'good.cc has no config named big: there is no' -- weft compile good.cc --config big -o out.weft
expect_error 2 '--remarks=[ is no regular expression' -- weft compile good.cc -o out.weft '--remarks=['
expect_error 2 '"class" cannot name a model' 'no word of C++' -- weft new class

# Sizes that cannot be.
model negative.cc 'x = linear(s / "fc", x, -4);'
refuse negative.cc 'negative.cc:10: parameter fc.weight has the shape (-4, 64) when each size should be 1 or more'
model huge.cc 'x = linear(s / "fc", x, i64(1) << 40);'
refuse huge.cc 'huge.cc:10: parameter fc.weight has the shape (1099511627776, 64), more than 2^40 elements'
# Gradients of what has none, or with the wrong shape.
model scalar.cc 'x = grad(x, [](Tensor x) { return x * x; });'
refuse scalar.cc 'scalar.cc:10: the function of value_and_grad gives (16, 256, 64) when it should give a scalar'
model given.cc 'x = custom_gradient({x}, [](auto x) { return x[0]; }, [&](auto, Tensor, Tensor) { return std::vector{narrow}; });'
refuse given.cc 'given.cc:10: the backward of custom_gradient gives f32 (16, 256, 32) as gradient number 0 when it should be f32 (16, 256, 64)'

# A field that the model's Config has not, and one of another type.
model good.cc 'x = x + x;'
expect_error 1 "unknown key 'dimm'" "did you mean 'dim'?" -- weft compile good.cc --set model.dimm=3 -o out.weft
expect_error 1 "dim" -- weft compile good.cc --set 'model.dim="wide"' -o out.weft
expect_error 1 "no built-in model is named lama" "did you mean llama?" -- weft compile lama -o out.weft
expect_error 1 "no config named tny" "tiny" -- weft compile llama --config tny -o out.weft
[[ ! -e out.weft ]] || fail "an artifact was written all the same"
done_testing
