#!/usr/bin/env bash
# layouts.sh accumulation|data_parallel|pipeline: with the same virtual shards, how the global batch is cut into
# micro-batches and ranks does not show in the bits. (The micro-batches of an evaluation may differ, so there is none.)
source "$(dirname "$0")/../e2e/lib.sh"

layout() { # NAME KEY=VALUE…
  local name=shards4_$1
  shift
  rm -rf "${work:?}/$name"
  train "$name" train.eval_every=0 train.shards=4 "$@"
  [[ $name == shards4_whole ]] || expect_equal_bits "$work/shards4_whole" "$work/$name" 8 "$*"
}

case $1 in
accumulation)
  layout whole train.micro_batch=8
  layout two train.micro_batch=4
  layout four train.micro_batch=2
  ;;
data_parallel) # after accumulation
  layout dp2 train.micro_batch=4 run.plan=dp2
  layout dp2_two train.micro_batch=2 run.plan=dp2
  grep -q '2 ranks of' "$work/shards4_dp2.out" || fail "there are not two ranks" "$(cat "$work/shards4_dp2.out")"
  ;;
pipeline) # after accumulation
  layout pp2 train.micro_batch=4 run.plan=pp2
  grep -q '2 ranks of' "$work/shards4_pp2.out" || fail "there are not two ranks" "$(cat "$work/shards4_pp2.out")"
  layout dp2pp2 train.micro_batch=2 run.plan=dp2,pp2
  ;;
*) fail "unknown layouts $1" ;;
esac
done_testing
