#!/usr/bin/env bash
# In a compiled program, a step beyond its limits leaves weights and the optimiser's state as if its batch had not been: by optimiser,
# precision, clipping, ranks and stages.
source "$(dirname "$0")/lib.sh"
make_recipe
train adamw train.steps=1 optimizer.warmup=0
for run in "sgd optimizer.name=sgd" "plain optimizer.name=sgd optimizer.momentum=0 optimizer.clip=0" "bf16 train.precision=bf16" "moments optimizer.moments=bf16" \
  "dp2 run.plan=dp2" "pp2 run.plan=pp2 optimizer.clip=0" "both run.plan=dp2,pp2"; do
  read -ra words <<<"$run"
  mkdir "$work/${words[0]}"
  cp -r "$work/adamw/data" "$work/${words[0]}/"
  train "${words[0]}" train.steps=1 optimizer.warmup=0 "${words[@]:1}"
done
for run in adamw sgd plain bf16 moments dp2 pp2 both; do
  "$WEFT_SKIP_CHECK" "$work/$run" || fail "$run"
  checks=$((checks + 1))
done
done_testing
