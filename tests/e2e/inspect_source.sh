#!/usr/bin/env bash
# One kernel from the model's line to its assembly, out of an artifact and back in.
source "$(dirname "$0")/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-source-XXXXXX")
trap 'rm -rf "$work"' EXIT
cat >"$work/model.cc" <<'END'
#include <weft/weft.h>
using namespace weft;

struct Config {
  i64 vocab = 100, dim = 32;
  WEFT_FIELDS(vocab, dim)
};

Tensor model(Scope s, const Sequence &seq, const Config &c) {
  Tensor x = embedding(s / "embed_tokens", seq.tokens, c.vocab, c.dim);
  x = x + attention(s / "self_attn", rms_norm(s / "norm1", x), seq, {.heads = 2});
  x = x + linear(s / "down", tanh(linear(s / "up", x, 48)), c.dim); // the line looked for
  return lm_head(s / "lm_head", rms_norm(s / "norm", x), c.vocab);
}
WEFT_MODEL(model)
END
line=$(grep -n 'looked for' "$work/model.cc" | cut -d: -f1)
shape=(--seq 32 --batch 4 --micro-batch 4)
compile() { weft compile "$work/model.cc" "${shape[@]}" "$@"; }
compile -o "$work/m.weft" >/dev/null
artifact=$work/m.weft
tanh=$(weft inspect "$artifact" --json | python3 -c '
import json, sys
line = sys.argv[1]
for k in json.load(sys.stdin)["kernels"]:
    if k["family"] == "matmul" and k["train_step"]["launches"] and any(f"model.cc:{line} " in l for l in k["lines"]):
        print(k["name"]); break' "$line")
[[ -n $tanh ]] || fail "no product is of line $line"

# Every level of one kernel, and the same as JSON.
expect_says "kernel $tanh, matmul, code for" "x = x + linear(s / \"down\", tanh(" "graph.matmul model.cc:$line" "fused multiply-adds" \
  'registers hold a tile of' 'train_step: ' "define void @$tanh(" 'the hot loop' '#' 'vfmadd' 'ret' -- weft inspect "$artifact" --source "$tanh"
weft inspect "$artifact" --source "$tanh" --json | python3 -c '
import json, sys
k = json.load(sys.stdin)
loop = k["loops"][k["hot_loop"]]
assert loop["innermost"] and loop["fmas"] > 0, loop
assert loop["mix"]["kinds"]["fma"] == loop["fmas"], loop
assert sum(i["mnemonic"].startswith("vfmadd") for i in k["assembly"][loop["first"]:loop["last"] + 1]) == loop["fmas"]
assert k["assembly"][loop["last"]]["target"] == k["assembly"][loop["first"]]["offset"]
assert any("line" in i for i in k["assembly"]), "no instruction has a line"
assert k["note"] == "" and k["llvm_ir"] and k["model"][0]["text"], k["note"]
' || fail "the JSON does not hold together"
# Ops of a fused kernel are each of their graph op, and the code of every kernel generated again is the artifact's.
for kernel in $(weft inspect "$artifact" --json | python3 -c 'import json, sys; print(*(k["name"] for k in json.load(sys.stdin)["kernels"]))'); do
  weft inspect "$artifact" --source "$kernel" >"$work/source.txt" || fail "inspect --source $kernel fails"
  ! grep -q '^note: ' "$work/source.txt" || fail "$kernel" "$(grep '^note: ' "$work/source.txt")"
  cat "$work/source.txt" >>"$work/all.txt"
done
grep -qE "math.tanh.*// graph.tanh model.cc:$line" "$work/all.txt" || fail "tanh is not found again"

# Names: the beginning is enough, a wrong one is suggested for.
expect_error 1 'there is no kernel matmull_0' 'did you mean matmul_0?' -- weft inspect "$artifact" --source matmull_0
expect_error 1 'kernels have names that begin with mat' 'matmul_0, matmul_1' -- weft inspect "$artifact" --source mat
expect_error 1 "has code for" "when cpu level 'sse' was asked for" -- weft inspect "$artifact" --source "$tanh" --cpu-level sse
expect_error 2 '--dump-kernel needs a folder' -- weft inspect "$artifact" --dump-kernel "$tanh"
expect_error 2 'of the whole artifact' -- weft inspect "$artifact" --source "$tanh" --kernels
expect_error 2 '-o and --cpu-level are of' -- weft inspect "$artifact" --cpu-level avx2
# A model that has changed since is said to have.
sed -i '1i // another line' "$work/model.cc"
expect_says 'has changed since it was compiled' -- weft inspect "$artifact" --source "$tanh"
mv "$work/model.cc" "$work/gone.cc"
expect_says "model.cc cannot be read" -- weft inspect "$artifact" --source "$tanh"
sed 1d "$work/gone.cc" >"$work/model.cc"

# A folder of its own, which builds with the C++ compiler alone and gives the same bits from each text.
weft inspect "$artifact" --dump-kernel "$tanh" -o "$work/k" >/dev/null
expect_error 1 'not an empty folder' -- weft inspect "$artifact" --dump-kernel "$tanh" -o "$work/k"
make="make -s -C $work/k WEFTC=$(dirname "$WEFT_BIN")/weftc"
$make baseline >"$work/baseline.out" 2>&1 || fail "the dumped kernel does not build" "$(cat "$work/baseline.out")"
for from in ll mlir; do
  $make "compare-$from" "ARGS=--seconds 0" >"$work/compare.out" 2>&1 || fail "kernel.$from computes something else" "$(cat "$work/compare.out")"
  grep -q 'the same bits' "$work/compare.out" || fail "nothing was compared" "$(cat "$work/compare.out")"
  grep -q 'GFLOP/s' "$work/compare.out" || fail "nothing was timed" "$(cat "$work/compare.out")"
done

# Another schedule: other work items, the same bits; the artifact says so.
sed 's/block_m = [0-9]*/block_m = 48/' "$work/k/kernel.mlir" >"$work/other.mlir"
expect_says "substituted $tanh: schedule from" 'the same bits on' -- compile -o "$work/other.weft" --substitute-kernel "$tanh=$work/other.mlir"
expect_says 'block_m=48' -- weft inspect "$work/other.weft" --kernels
expect_says 'substituted' "$tanh: schedule from" -- weft inspect "$work/other.weft"
expect_says "kernel $tanh is substituted" -- weft inspect "$work/other.weft" --remarks
cp "$work/k/kernel.mlir" "$work/wrong.mlir"
sed -i 's/tile_n = [0-9]*/tile_n = 7/' "$work/wrong.mlir"
expect_error 1 'tile_n is 7 when it should be a multiple of 16' -- compile -o "$work/x.weft" --substitute-kernel "$tanh=$work/wrong.mlir"
sed 's/lanes = 16/lanes = 8/' "$work/k/kernel.mlir" >"$work/wrong.mlir"
expect_error 1 'in more than the schedule' 'lanes = 8' -- compile -o "$work/x.weft" --substitute-kernel "$tanh=$work/wrong.mlir"
echo 'no MLIR' >"$work/wrong.mlir"
expect_error 1 'wrong.mlir:1:1' -- compile -o "$work/x.weft" --substitute-kernel "$tanh=$work/wrong.mlir"

# Code: the same, other bits, nonsense, and what a kernel may not do.
expect_says 'code from' 'the same bits on' -- compile -o "$work/code.weft" --substitute-kernel "$tanh=$work/k/kernel.s"
expect_says 'the same bits on' -- compile -o "$work/code.weft" --substitute-kernel "$tanh=$work/k/kernel.ll"
cat >"$work/nothing.ll" <<END
define void @$tanh(ptr %0, ptr %1, i64 %2, i64 %3, ptr %4) {
  ret void
}
END
expect_error 1 'computes something else' '--no-substitution-check' -- compile -o "$work/x.weft" --substitute-kernel "$tanh=$work/nothing.ll"
expect_says 'not compared' -- compile -o "$work/unseen.weft" --substitute-kernel "$tanh=$work/nothing.ll" --no-substitution-check
cat >"$work/crash.ll" <<END
define void @$tanh(ptr %0, ptr %1, i64 %2, i64 %3, ptr %4) {
  store i64 1, ptr null
  ret void
}
END
said=$(compile -o "$work/x.weft" --substitute-kernel "$tanh=$work/crash.ll" 2>&1 >/dev/null) && fail "a kernel that crashes is taken"
grep -q 'error: kernel .*: it was ended by Segmentation fault on launch 0' <<<"$said" || fail "nothing is said of a crash" "$said"
checks=$((checks + 1))
cat >"$work/type.ll" <<END
define i32 @$tanh(ptr %0) {
  ret i32 0
}
END
expect_error 1 'when it should be void (ptr, ptr, i64, i64, ptr)' -- compile -o "$work/x.weft" --substitute-kernel "$tanh=$work/type.ll"
cat >"$work/calls.ll" <<END
declare float @expf(float)
define void @$tanh(ptr %0, ptr %1, i64 %2, i64 %3, ptr %4) {
  %x = call float @expf(float 1.0)
  store float %x, ptr %4
  ret void
}
END
expect_error 1 'leaves expf undefined' -- compile -o "$work/x.weft" --substitute-kernel "$tanh=$work/calls.ll"
printf '.globl %s\n%s:\n  frobnicate %%eax\n' "$tanh" "$tanh" >"$work/wrong.s"
expect_error 1 'wrong.s:3: ' 'frobnicate' -- compile -o "$work/x.weft" --substitute-kernel "$tanh=$work/wrong.s"
printf '.globl other\n.type other,@function\nother:\n  ret\n.size other, .-other\n' >"$work/wrong.s"
expect_error 1 "defines other when it should define $tanh" -- compile -o "$work/x.weft" --substitute-kernel "$tanh=$work/wrong.s"
expect_error 1 'code is of one level' "$tanh@" -- compile --target cpu -o "$work/x.weft" --substitute-kernel "$tanh=$work/k/kernel.s"
expect_error 1 'has no kernel matmul_999' -- compile -o "$work/x.weft" --substitute-kernel "matmul_999=$work/k/kernel.s"
expect_error 1 'cannot read' 'none.s' -- compile -o "$work/x.weft" --substitute-kernel "$tanh=$work/none.s"
expect_error 2 'should be KERNEL=FILE' -- compile -o "$work/x.weft" --substitute-kernel "$tanh"
[[ ! -e $work/x.weft ]] || fail "an artifact was written all the same"
done_testing
