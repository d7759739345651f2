#!/usr/bin/env bash
# f32 has the same bits on AVX2 and AVX-512: one artifact holds both, and the level is chosen when it starts.
source "$(dirname "$0")/../e2e/lib.sh"
grep -q avx512bw /proc/cpuinfo || skip "this processor has no AVX-512"
rm -rf "$work"/{both,avx2}
train both run.target=cpu
grep -q avx512 "$work/both.out" || fail "AVX-512 was not chosen" "$(cat "$work/both.out")"
expect_equal_bits "$work/reference" "$work/both" 8 "compiled for both levels"
FROM=$work/both
WEFT_CPU_LEVEL=avx2 train avx2 run.target=cpu
grep -q 'thread, avx2' "$work/avx2.out" || fail "AVX2 was not used" "$(cat "$work/avx2.out")"
expect_equal_bits "$work/reference" "$work/avx2" 8 "AVX2"
done_testing
