#!/usr/bin/env bash
# --check-phases on made-up data: the built-in models, every level, ranks and stages are in order.
source "$(dirname "$0")/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-check-XXXXXX")
trap 'rm -rf "$work"' EXIT
sizes=(--batch 2 --micro-batch 2 --seq 16)
checked() { expect_says 'checked in ' "$@"; }

# The built-in models, in both precisions, with random data; nothing need be kept.
for model in llama qwen3 deepseek_v3; do
  for precision in f32 bf16; do
    checked 'on random data' 'the program as a whole, to the bit' 'not kept: ' 'loops ' 'matmul ' 'attention ' \
      -- weft compile $model --config tiny "${sizes[@]}" --precision $precision --check-phases
  done
done
# Moments that are rounded at the end of a step.
checked 'the program as a whole, to the bit' -- weft compile llama --config tiny "${sizes[@]}" --set optimizer.moments=bf16 --check-phases
# Every level gives the same bits; ranks; virtual shards.
checked '(avx' -- weft compile llama --config tiny "${sizes[@]}" --target cpu --check-phases -o "$work/all.weft"
[[ -s $work/all.weft ]] || fail "-o is not written"
checked 'gradients by differences' 'to the bit' -- weft compile deepseek_v3 --config tiny "${sizes[@]}" --set model.mtp_layers=1 --check-phases # reads what is half written
checked 'to the bit' -- weft compile llama --config tiny --batch 4 --micro-batch 2 --seq 16 --data-parallel 2 --check-phases
# Stages of a pipeline, with data-parallel ranks, with a tied head, with ranges of layers and losses of several.
for precision in f32 bf16; do
  checked 'gradients by differences' 'to the bit' -- weft compile llama --config tiny --batch 4 --micro-batch 2 --seq 16 --precision $precision \
    --set run.plan=dp2,pp2 --set model.tied=true --check-phases
  checked 'gradients by differences' 'to the bit' -- weft compile deepseek_v3 --config tiny "${sizes[@]}" --set model.mtp_layers=1 --precision $precision \
    --set run.plan=pp2 --check-phases
done
checked 'to the bit' -- weft compile llama --config tiny --batch 4 --micro-batch 2 --seq 16 --shards 4 --check-phases
done_testing
