#!/usr/bin/env bash
# levels.sh [UNIT]: the same bits at every CPU level: one artifact holds all, and the level is chosen when it starts. In
# bf16, of the dot unit UNIT, whichever instructions a level has for it.
source "$(dirname "$0")/../e2e/lib.sh"
grep -q avx512bw /proc/cpuinfo || skip "this processor has no AVX-512"
keys=("${@/#/train.dot_unit=}") name=levels_${1:-f32}
rm -rf "$work/$name"*
train "$name" "${keys[@]}"
train "${name}_all" "${keys[@]}" run.target=cpu
expect_equal_bits "$work/$name" "$work/${name}_all" 8 "compiled for all levels"
FROM=$work/${name}_all
for level in avx2 avx512; do
  WEFT_CPU_LEVEL=$level train "${name}_$level" "${keys[@]}" run.target=cpu
  grep -q "thread, $level\$" "$work/${name}_$level.out" || fail "$level was not used" "$(cat "$work/${name}_$level.out")"
  expect_equal_bits "$work/$name" "$work/${name}_$level" 8 "$level"
done
done_testing
