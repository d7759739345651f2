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

# A run that stopped after step 4 in one layout goes on in another, here one rank.
moved() { # NAME
  local from=$work/shards4_$1 to=$work/moved_$1
  rm -rf "$to"
  mkdir -p "$to/checkpoints"
  cp -r "$from/checkpoints/step-000004" "$to/checkpoints/"
  cp "$from/metrics.jsonl" "$to/"
  cp -r "$work"/shards4_whole/{model.weft,model.weft.key,data} "$to/"
  train "moved_$1" train.eval_every=0 train.shards=4 train.micro_batch=8 --resume
  ! grep -q warning "$work/moved_$1.out" || fail "the change of layout is warned of" "$(cat "$work/moved_$1.out")"
  expect_equal_bits "$work/shards4_whole" "$to" 8 "from $1 to one rank"
}

case $1 in
accumulation)
  layout whole train.micro_batch=8
  layout two train.micro_batch=4
  layout four train.micro_batch=2
  ;;
data_parallel) # after accumulation
  layout dp2 train.micro_batch=4 run.plan=dp2
  moved dp2
  layout dp2_two train.micro_batch=2 run.plan=dp2
  grep -q '2 ranks of' "$work/shards4_dp2.out" || fail "there are not two ranks" "$(cat "$work/shards4_dp2.out")"
  ;;
pipeline) # after accumulation
  layout pp2 train.micro_batch=4 run.plan=pp2
  grep -q '2 ranks of' "$work/shards4_pp2.out" || fail "there are not two ranks" "$(cat "$work/shards4_pp2.out")"
  moved pp2
  layout dp2pp2 train.micro_batch=2 run.plan=dp2,pp2
  ;;
*) fail "unknown layouts $1" ;;
esac
done_testing
