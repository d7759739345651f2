#!/usr/bin/env bash
# --check-phases with a kernel that is wrong or crashes: it is named, with a way out; and what would take too long.
source "$(dirname "$0")/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-check-XXXXXX")
trap 'rm -rf "$work"' EXIT
sizes=(--batch 2 --micro-batch 2 --seq 16)
checked() { expect_says 'checked in ' "$@"; }

# A kernel put in the place of the compiler's own, and wrong: that one is named.
compile() { weft compile llama --config tiny "${sizes[@]}" "$@"; }
compile -o "$work/m.weft" >/dev/null
kernel=$(weft inspect "$work/m.weft" --json | python3 -c '
import json, sys
print(next(k["name"] for k in json.load(sys.stdin)["kernels"] if k["family"] == "loops" and k["train_step"]["launches"] and any("layernorm" in l for l in k["lines"])))')
weft inspect "$work/m.weft" --dump-kernel "$kernel" -o "$work/k" >/dev/null
sed '0,/fmul/s//fadd/' "$work/k/kernel.ll" >"$work/wrong.ll"
! cmp -s "$work/k/kernel.ll" "$work/wrong.ll" || fail "nothing was changed in $kernel"
checked "substituted $kernel" -- compile --check-phases --no-substitution-check --substitute-kernel "$kernel=$work/k/kernel.ll"
expect_error 1 "the compiled program differs from its ops: kernel $kernel, launch " 'substituted: code from ' ' when it should be ' 'is tolerated)' \
  "weft inspect F.weft --source $kernel" -- compile --check-phases --no-substitution-check --substitute-kernel "$kernel=$work/wrong.ll"
# One that reaches behind a buffer ends its own process, not the compiler.
cat >"$work/crash.ll" <<END
define void @$kernel(ptr %buffers, ptr %sizes, i64 %begin, i64 %end, ptr %scratch) {
  %p = load ptr, ptr %buffers
  %q = getelementptr i8, ptr %p, i64 1073741824
  store float 0.0, ptr %q
  ret void
}
END
said=$(compile --check-phases --no-substitution-check --substitute-kernel "$kernel=$work/crash.ll" 2>&1) && fail "a kernel that crashes passes"
grep -q "error: .*kernel $kernel was ended by Segmentation fault: does it reach behind a buffer" <<<"$said" || fail "the crash is not said" "$said"

# What takes too long is said beforehand; what makes no sense, too.
expect_error 1 '--check-phases would take about ' 'hint: smaller sizes' -- weft compile llama --config demo --batch 64 --seq 1024 --check-phases
expect_error 1 'would take about ' -- compile --check-phases --check-limit 0.001
expect_error 2 '--check-limit is soon' -- compile --check-phases --check-limit soon
done_testing
