#!/usr/bin/env bash
# killed.sh N: a run that is killed N times, at any moment, and resumed has the bits of one that was left in peace.
source "$(dirname "$0")/lib.sh"
FROM=$WEFT_WORK/reference
times=$1
work=$(mktemp -d "$WEFT_WORK/killed-XXXXXX")
trap 'rm -rf "$work"' EXIT
cp -r "$WEFT_WORK/recipe.toml" "$WEFT_WORK/corpus" "$work"

# Killed most often while a checkpoint is written: there is one every second step.
steps=$((times * 30))
keys=("train.steps=$steps" train.eval_every=100 run.checkpoint_every=2 run.log_every=1000)
train whole "${keys[@]}"

RANDOM=20261122
FROM= # not even the data is there at first: it is killed while they are made
mkdir "$work/killed"
cp "$WEFT_WORK"/reference/model.weft{,.key} "$work/killed/"
finished=0
for ((i = 1; i <= times; ++i)); do
  start killed "${keys[@]}" --resume
  sleep "0.$(printf %03d $((RANDOM % 300)))"
  kill -9 $child 2>/dev/null || true
  status=0
  wait $child 2>/dev/null || status=$?
  [[ $status == 137 || $status == 0 ]] || fail "after $((i - 1)) kills: exit status $status" "$(cat "$work/killed.out")"
  [[ $status == 137 ]] || finished=$((finished + 1))
  ! grep -q 'is broken' "$work/killed.out" || fail "a kill left a broken checkpoint" "$(cat "$work/killed.out")"
done
train killed "${keys[@]}" --resume
expect_equal_bits "$work/whole" "$work/killed" "$steps" "killed $times times"
expect_no_leftovers "$work/killed"
echo "killed $((times - finished)) times; $finished runs had ended before"
done_testing
