#!/usr/bin/env bash
# killed.sh N [KEY=VALUE…]: a run that is killed N times, at any moment, and resumed has the bits of one that was left in peace. A third of the
# kills come at a random time; the others strike a place, with half of the bytes written where it is a write (strike.cpp).
source "$(dirname "$0")/lib.sh"
FROM=$WEFT_WORK/reference
times=$1
shift
work=$(mktemp -d "$WEFT_WORK/killed-XXXXXX")
trap 'rm -rf "$work"' EXIT
cp -r "$WEFT_WORK/recipe.toml" "$WEFT_WORK/corpus" "$work"

# NAME|PATTERN|the call of that pattern to strike is drawn from 1 … THIS. The first fsync in a checkpoint's temporary folder begins
# the part that a thread does while the next steps run.
places=(
  "a checkpoint's bytes|^write .*/\.tmp-step-|12"
  "a checkpoint's sync, in the background|^fsync .*/\.tmp-step-|12"
  "a line of metrics|^write .*/metrics\.jsonl|12"
  "an event|^write .*tfevents|12"
  "a checkpoint's new name|^rename .*/\.tmp-step-|3"
  "an old checkpoint's removal|^(rename .*/step-|unlink .*/\.tmp-old-)|12"
  "the metrics' sync, in the background|^fsync .*/(metrics|tensorboard)|4"
  "the start|^(open|write|fsync|rename|ftruncate|mkdir) .*/killed/(recipe|\.resuming|data|tokenizer|metrics|tensorboard|log)|30"
  "any call|/killed/|300"
)
strike=${WEFT_STRIKE:-}
if [[ -z $strike ]] || ! "$strike" nothing 1 -- true; then
  echo "nothing can be traced here: every kill comes at a random time"
  strike=
fi

# There is a checkpoint every second step, so that one is under way most of the time.
steps=$((times * 20))
keys=("train.steps=$steps" train.eval_every=100 run.checkpoint_every=2 run.log_every=1000 "$@")
# Where checkpoints decide what a run goes back to, the reference has them, too.
whole=("${keys[@]}")
[[ $* == *spike=rollback* ]] || whole+=(run.checkpoint_every=0)
train whole "${whole[@]}"
last=$(basename "$(ls -d "$work"/whole/checkpoints/step-* | tail -1)")
last=$((10#${last#step-}))

RANDOM=20261122
FROM= # not even the data is there at first: it is killed while they are made
mkdir "$work/killed"
cp "$WEFT_WORK"/reference/model.weft{,.key} "$work/killed/"
declare -A where
finished=0 strikes=0
for ((i = 1; i <= times; ++i)); do
  status=0
  if [[ -n $strike ]] && ((i % 3)); then
    IFS='|' read -r name rest <<<"${places[strikes++ % ${#places[@]}]}"
    pattern=${rest%|*}
    "$strike" "$pattern" $((1 + RANDOM % ${rest##*|})) --torn -- "$weft_binary" train "$work/recipe.toml" "run.dir=$work/killed" \
      "${keys[@]}" --resume >"$work/killed.out" 2>&1 </dev/null || status=$?
  else
    start killed "${keys[@]}" --resume
    sleep "0.$(printf %03d $((RANDOM % 300)))"
    kill -9 $child 2>/dev/null || true
    wait $child 2>/dev/null || status=$?
    name="a random time, no checkpoint under way"
    if compgen -G "$work/killed/checkpoints/.tmp-step-*/weft-state.json" >/dev/null; then
      name="a random time, a checkpoint in the background"
    elif compgen -G "$work/killed/checkpoints/.tmp-*" >/dev/null; then
      name="a random time, a checkpoint written or removed"
    fi
  fi
  [[ $status == 137 || $status == 0 ]] || fail "after $((i - 1)) kills: exit status $status" "$(cat "$work/killed.out")"
  if [[ $status == 137 ]]; then where[$name]=$((${where[$name]:-0} + 1)); else finished=$((finished + 1)); fi
  ! grep -q 'is broken' "$work/killed.out" || fail "a kill left a broken checkpoint" "$(cat "$work/killed.out")"
done
train killed "${keys[@]}" --resume
expect_equal_bits "$work/whole" "$work/killed" "$last" "killed $times times"
monitor() { sed -n '/^  "monitor": {/,/^  }/p' "$work/$1/checkpoints/step-$(printf %06d "$last")/weft-state.json"; }
[[ -n $(monitor whole) ]] || fail "the checkpoint says nothing of its curves"
if [[ $* == *spike=rollback* ]]; then
  [[ $(monitor whole) == "$(monitor killed)" ]] || fail "what is remembered of the curves differs" "$(diff <(monitor whole) <(monitor killed))"
fi
if [[ $# -gt 0 ]]; then
  [[ $(readlink "$work/whole/checkpoints/best") == $(readlink "$work/killed/checkpoints/best") ]] || fail "another checkpoint is the best"
  grep -o '"event":"[a-z]*"' "$work/whole/metrics.jsonl" | sort | uniq -c
fi
expect_no_leftovers "$work/killed"
for name in "${!where[@]}"; do printf '%5d  %s\n' "${where[$name]}" "$name"; done | sort -rn
echo "killed $((times - finished)) times; $finished runs had ended before"
if [[ -n $strike ]] && ((times >= 100)); then
  for place in "${places[@]}"; do [[ -n ${where[${place%%|*}]:-} ]] || fail "nothing struck ${place%%|*}"; done
fi
done_testing
