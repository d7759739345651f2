#!/usr/bin/env bash
# A run that was stopped, by its limit of steps or by Ctrl-C, and resumed has the bits of one that never stopped:
# its weights, its optimiser's state and its metrics.
source "$(dirname "$0")/../e2e/lib.sh"
FROM=$work/reference
rm -rf "$work"/{limited,whole,stopped}

# Step 6 is no checkpoint of the reference's: the last step always is one.
train limited train.steps=6
train limited --resume
grep -q 'resumed from .*step-000006' "$work/limited.out" || fail "not resumed" "$(cat "$work/limited.out")"
sed -i '/"step":6,"eval_loss"/d' "$work/limited/metrics.jsonl" # its last step was evaluated, too
expect_equal_bits "$work/reference" "$work/limited" 8 "stopped by train.steps"

long=(train.steps=240 train.eval_every=80 run.checkpoint_every=0 run.log_every=1000)
train whole "${long[@]}"
start stopped "${long[@]}"
while [[ $(wc -l 2>/dev/null <"$work/stopped/metrics.jsonl") -lt 20 ]]; do
  kill -0 $child 2>/dev/null || fail "the run ended before it was stopped" "$(cat "$work/stopped.out")"
  sleep 0.01
done
kill -INT $child
status=0
wait $child || status=$?
[[ $status == 130 ]] || fail "exit status $status after Ctrl-C when it should be 130" "$(cat "$work/stopped.out")"
grep -q 'interrupted after step' "$work/stopped.out" || fail "nothing is said of Ctrl-C" "$(cat "$work/stopped.out")"
step=$(basename "$work"/stopped/checkpoints/step-*)
train stopped "${long[@]}" --resume
grep -q "resumed from .*$step" "$work/stopped.out" || fail "not resumed from $step" "$(cat "$work/stopped.out")"
expect_equal_bits "$work/whole" "$work/stopped" 240 "stopped by Ctrl-C at $step"
done_testing
