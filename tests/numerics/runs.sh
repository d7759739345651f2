#!/usr/bin/env bash
# The same program on the same data gives the same bits: again, and with any number of threads.
source "$(dirname "$0")/../e2e/lib.sh"
FROM=$work/reference
rm -rf "$work"/{again,threads2,threads3}
train again
expect_equal_bits "$work/reference" "$work/again" 8 "a second run"
for threads in 2 3; do
  train threads$threads run.threads=$threads
  expect_equal_bits "$work/reference" "$work/threads$threads" 8 "$threads threads"
done
# Compiling again gives the same file, byte for byte; nothing of it is found compiled.
for name in first second; do
  WEFT_OBJECT_CACHE=off weft compile llama --config tiny --seq 32 --batch 4 --micro-batch 2 -o "$work/$name.weft" >/dev/null || fail "compile $name"
done
cmp "$work/first.weft" "$work/second.weft" || fail "two compilations differ"
checks=$((checks + 1))
# The comparison sees a difference where there is one.
rm -rf "$work/other"
train other train.seed=2
[[ $(bits "$work/reference" 8) != "$(bits "$work/other" 8)" ]] || fail "another seed gives the same bits"
done_testing
