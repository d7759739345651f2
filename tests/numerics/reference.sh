#!/usr/bin/env bash
# The run that the others are compared with; WEFT_WORK keeps it and what it compiled.
rm -rf "$WEFT_WORK"
mkdir -p "$WEFT_WORK"
source "$(dirname "$0")/../e2e/lib.sh"
make_recipe
train reference
[[ $(grep -c '"loss"' "$work/reference/metrics.jsonl") == 8 ]] || fail "metrics.jsonl has not a line a step"
expect_no_leftovers "$work/reference"
done_testing
