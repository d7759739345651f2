#!/usr/bin/env bash
# What backward computes again, because the model or a memory budget says so, has the bits it would have had, and takes
# less memory.
source "$(dirname "$0")/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-recompute-XXXXXX")
trap 'rm -rf "$work"' EXIT
make_recipe
cat >"$work/model.cc" <<'END'
#include <weft/weft.h>
using namespace weft;

struct Config {
  i64 vocab = 300, dim = 32, ffn = 128, layers = 3;
  i64 again = 0; // 1: blocks keep their input alone; 2: so does the head
  WEFT_FIELDS(vocab, dim, ffn, layers, again)
};

Tensor block(Scope s, Tensor x, const Sequence &seq, const Config &c) {
  x = x + attention(s / "self_attn", rms_norm(s / "norm1", x), seq, {.heads = 2});
  return x + swiglu(s / "mlp", rms_norm(s / "norm2", x), c.ffn);
}

Tensor model(Scope s, const Sequence &seq, const Config &c) {
  Tensor x = embedding(s / "embed_tokens", seq.tokens, c.vocab, c.dim);
  x = repeat(s / "layers", {0, c.layers}, x, [&](Scope s, Tensor x) {
    if (c.again) return checkpoint([&] { return block(s, x, seq, c); });
    return block(s, x, seq, c);
  });
  auto head = [&] { return lm_head(s / "lm_head", rms_norm(s / "norm", x), c.vocab); };
  return c.again == 2 ? checkpoint(head) : head();
}
WEFT_MODEL(model)
END
sed -i "s/^name = .*/file = \"model.cc\"/; /^config = /d" "$work/recipe.toml"

arena() { # KEY=VALUE…  bytes of the training step's arena
  weft compile "$work/recipe.toml" -o "$work/arena.weft" "${@/#/--set=}" >"$work/arena.out" 2>&1 || fail "weft compile $*" "$(cat "$work/arena.out")"
  weft inspect "$work/arena.weft" --json | grep -oE '"arena_bytes": *[0-9]+' | grep -oE '[0-9]+' | sort -n | tail -1
}

for precision in f32 bf16; do
  train "kept-$precision" train.precision=$precision
  kept=$(arena train.precision=$precision)
  for again in 1 2; do
    train "again$again-$precision" train.precision=$precision model.again=$again
    expect_equal_bits "$work/kept-$precision" "$work/again$again-$precision" 8 "checkpoint ($again) in $precision"
    less=$(arena train.precision=$precision model.again=$again)
    ((less < kept)) || fail "checkpoint ($again) in $precision takes $less bytes, not less than $kept"
    checks=$((checks + 1))
  done
done

# The phases keep values, from the rounding on.
for precision in f32 bf16; do
  expect_says 'parameters' -- weft compile "$work/recipe.toml" -o "$work/x.weft" --precision $precision --set=model.again=1 --check-phases
done

# A budget between what the program takes and the least it can.
expect_error 1 'more than the memory budget of 1.00 MB' 'hint: a smaller train.micro_batch' -- \
  weft compile "$work/recipe.toml" -o "$work/x.weft" --memory-budget 1MB
said=$(weft compile "$work/recipe.toml" -o "$work/x.weft" --memory-budget 1MB 2>&1 || true)
least=$(grep -oE 'takes [0-9.]+ MB' <<<"$said" | grep -oE '[0-9.]+') whole=$(grep -oE '\([0-9.]+ MB' <<<"$said" | tr -d '( MB')
[[ -n $least && -n $whole ]] || fail "the error does not say what is possible" "$said"
budget=$(awk -v a="$least" -v b="$whole" 'BEGIN { printf "%.3fMB", (a + b) / 2 }')
train budget run.memory_budget="$budget"
expect_equal_bits "$work/kept-f32" "$work/budget" 8 "within $budget"
expect_says 'computed again in backward' 'for the memory budget' -- \
  weft compile "$work/recipe.toml" -o "$work/x.weft" --memory-budget "$budget" --remarks='computed again'
# It says what the budget cost, and of each value what it costs or would.
compiling=(weft compile "$work/recipe.toml" --memory-budget "$budget")
expect_says "memory budget" 'recomputed, +' '% predicted step time' -- "${compiling[@]}" -o "$work/x.weft"
expect_says 'computed again in backward: takes' 'saved for backward: ' 'off the peak, predicted to cost ' 'model.cc:11: memory-budget: ' \
  '[layers.self_attn.' -- "${compiling[@]}" -o "$work/x.weft" --remarks=memory-budget
expect_says 'enough for all that is kept' -- weft compile "$work/recipe.toml" -o "$work/x.weft" --memory-budget 1TB
expect_says 'memory budget 1.00 TB' -- weft compile "$work/recipe.toml" -o "$work/x.weft" --memory-budget 1000000000000
grep -q '"memory_budget": *"'"$budget"'"' <(weft inspect "$work/budget/model.weft" --json) || fail "the artifact does not name its budget"

# The least that the error names can be had.
said=$(weft compile "$work/recipe.toml" -o "$work/x.weft" --memory-budget 1MB 2>&1 || true)
least=$(grep -oE 'takes [0-9.]+ MB' <<<"$said" | grep -oE '[0-9.]+')
expect_says 'recomputed, +' -- weft compile "$work/recipe.toml" -o "$work/x.weft" --memory-budget "${least}MB"

# Nothing that was measured enters the choice: whatever the machine's file says, the same artifact comes out.
mkdir -p "$work/cache"
XDG_CACHE_HOME="$work/cache" weft profile "$work/recipe.toml" --steps 1 -o "$work/profile" >/dev/null 2>&1 || fail "weft profile"
"${compiling[@]}" -o "$work/first.weft" >/dev/null
for machine in "$work"/cache/weft/machine-*.json; do
  [[ -e $machine ]] || break # what is measured while the processors are busy is not kept
  sed -i -E 's/"all": [0-9.e+]+/"all": 7e15/; s/"one": [0-9.e+]+/"one": 7/' "$machine"
done
XDG_CACHE_HOME="$work/cache" WEFT_OBJECT_CACHE=off "${compiling[@]}" -o "$work/second.weft" >/dev/null
cmp "$work/first.weft" "$work/second.weft" || fail "two compilations within $budget differ"
checks=$((checks + 2))

expect_error 1 'run.memory_budget is "lots" when it should be a size like 1.5GB or 800MB' -- \
  weft compile "$work/recipe.toml" -o "$work/x.weft" --memory-budget lots
done_testing
