#!/usr/bin/env bash
# layouts.sh accumulation|data_parallel|pipeline|moments|tied|mtp|balance: with the same virtual shards, how the global batch is cut into
# micro-batches and ranks does not show in the bits: of the weights, the losses, and the validation losses.
source "$(dirname "$0")/../e2e/lib.sh"

layout() { # NAME KEY=VALUE…: NAME_whole is what NAME's other layouts are compared with
  local name=shards4_$1 whole=shards4_${1%_*}_whole
  shift
  rm -rf "${work:?}/$name"
  train "$name" train.eval_batches=0 train.shards=4 "$@"
  [[ $name == "$whole" ]] || expect_equal_bits "$work/$whole" "$work/$name" 8 "$*"
}

# A run that stopped after step 4 in one layout goes on in another, here one rank.
moved() { # NAME [KEY=VALUE]…
  local from=$work/shards4_$1 to=$work/moved_$1 whole=$work/shards4_${1%_*}_whole
  rm -rf "$to"
  mkdir -p "$to/checkpoints"
  cp -r "$from/checkpoints/step-000004" "$to/checkpoints/"
  cp "$from/metrics.jsonl" "$to/"
  cp -r "$whole"/{model.weft,model.weft.key,data} "$to/"
  train "moved_$1" train.eval_batches=0 train.shards=4 train.micro_batch=8 "${@:2}" --resume
  ! grep -q warning "$work/moved_$1.out" || fail "the change of layout is warned of" "$(cat "$work/moved_$1.out")"
  expect_equal_bits "$whole" "$to" 8 "from $1 to one rank"
}

case $1 in
accumulation)
  layout own_whole train.micro_batch=8
  layout own_two train.micro_batch=4
  layout own_four train.micro_batch=2
  # A shard of several micro-batches goes on where the one before ended; but in bf16 an expert's rows in one of them
  # are no whole number of groups.
  if [[ $WEFT_PRECISION != bf16 || $WEFT_MODEL != deepseek_v3 ]]; then
    layout one_whole train.micro_batch=8 train.shards=1
    layout one_two train.micro_batch=4 train.shards=1
    layout one_eight train.micro_batch=1 train.shards=1
  fi
  ;;
data_parallel) # after accumulation
  layout own_dp2 train.micro_batch=4 run.plan=dp2
  moved own_dp2
  layout own_dp2two train.micro_batch=2 run.plan=dp2
  grep -q '2 ranks of' "$work/shards4_own_dp2.out" || fail "there are not two ranks" "$(cat "$work/shards4_own_dp2.out")"
  ;;
pipeline) # after accumulation
  layout own_pp2 train.micro_batch=4 run.plan=pp2
  grep -q '2 ranks of' "$work/shards4_own_pp2.out" || fail "there are not two ranks" "$(cat "$work/shards4_own_pp2.out")"
  moved own_pp2
  layout own_dp2pp2 train.micro_batch=2 run.plan=dp2,pp2
  ;;
moments) # kept in bf16: rounded at the end of a step, by whichever rank
  layout moments_whole train.micro_batch=8 optimizer.moments=bf16
  layout moments_two train.micro_batch=4 optimizer.moments=bf16
  layout moments_dp2 train.micro_batch=4 optimizer.moments=bf16 run.plan=dp2
  layout moments_pp2 train.micro_batch=4 optimizer.moments=bf16 run.plan=pp2
  moved moments_dp2 optimizer.moments=bf16
  moved moments_pp2 optimizer.moments=bf16
  ;;
tied) # the head is the embedding's table: the first and the last stage hold it
  layout tied_whole train.micro_batch=8 model.tied=true
  layout tied_two train.micro_batch=4 model.tied=true
  layout tied_dp2 train.micro_batch=2 model.tied=true run.plan=dp2
  layout tied_pp2 train.micro_batch=4 model.tied=true run.plan=pp2
  layout tied_dp2pp2 train.micro_batch=2 model.tied=true run.plan=dp2,pp2
  ;;
mtp) # a second loss, whose head and embedding are those of the first
  for tied in false true; do
    keys=(model.mtp_layers=1 model.tied=$tied)
    layout mtp${tied}_whole train.micro_batch=8 "${keys[@]}"
    layout mtp${tied}_two train.micro_batch=4 "${keys[@]}"
    layout mtp${tied}_dp2 train.micro_batch=2 "${keys[@]}" run.plan=dp2
    layout mtp${tied}_pp2 train.micro_batch=4 "${keys[@]}" run.plan=pp2
    layout mtp${tied}_dp2pp2 train.micro_batch=2 "${keys[@]}" run.plan=dp2,pp2
    # A chain a use: a shard of several micro-batches goes on with each where the one before ended (as above).
    [[ $WEFT_PRECISION != bf16 ]] || continue
    layout mtp1${tied}_whole train.micro_batch=8 train.shards=1 "${keys[@]}"
    layout mtp1${tied}_two train.micro_batch=4 train.shards=1 "${keys[@]}"
    layout mtp1${tied}_pp2 train.micro_batch=2 train.shards=1 "${keys[@]}" run.plan=pp2
  done
  grep -q '^{"step":1,"loss":[0-9.]*,"mtp_loss":[0-9.]*,' "$work/shards4_mtptrue_pp2/metrics.jsonl" || fail "no mtp_loss" "$(head -1 "$work/shards4_mtptrue_pp2/metrics.jsonl")"
  # It is no part of evaluation and generation.
  weft generate "$work/shards4_mtpfalse_pp2" --prompt "The" --max-tokens 3 >"$work/mtp.out" || fail "no text" "$(cat "$work/mtp.out")"
  checks=$((checks + 1))
  ;;
balance) # a loss whose parts the layers add up in a second value that they carry, which a stage sends on, too
  keys=(model.balance_weight=0.05)
  layout balance_whole train.micro_batch=8 "${keys[@]}"
  layout balance_two train.micro_batch=4 "${keys[@]}"
  layout balance_dp2 train.micro_batch=2 "${keys[@]}" run.plan=dp2
  layout balance_pp2 train.micro_batch=4 "${keys[@]}" run.plan=pp2       # the cut is between the two repeats …
  layout balance_pp3 train.micro_batch=4 "${keys[@]}" run.plan=pp3       # … and within the second, too
  layout balance_dp2pp2 train.micro_batch=2 "${keys[@]}" run.plan=dp2,pp2
  grep -q '^{"step":1,"loss":[0-9.]*,"balance_loss":[0-9.]*,' "$work/shards4_balance_pp3/metrics.jsonl" ||
    fail "no balance_loss" "$(head -1 "$work/shards4_balance_pp3/metrics.jsonl")"
  checks=$((checks + 1))
  ;;
*) fail "unknown layouts $1" ;;
esac
done_testing
