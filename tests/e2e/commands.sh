#!/usr/bin/env bash
# Each command explains itself, and `weft inspect` shows what an artifact holds in every view.
source "$(dirname "$0")/lib.sh"
run=$WEFT_WORK/reference

expect_says 'usage: weft COMMAND' train generate eval tokenizer import export compile inspect new -- weft --help
expect_error_usage() { local said; said=$(weft 2>&1) && fail "weft alone succeeds"; grep -q 'usage: weft' <<<"$said" || fail "no usage" "$said"; }
expect_error_usage
for command in new train generate eval profile 'profile diff' 'tokenizer train' 'tokenizer encode' 'tokenizer decode' 'tokenizer inspect' import export compile inspect version; do
  # shellcheck disable=SC2086
  expect_says "usage: weft $command" -- weft $command --help
done
expect_says 'usage: weft tokenizer' -- weft tokenizer --help
expect_says 'weft ' 'artifact format' 'processor avx' -- weft version
for key in 'steps = ' 'batch = ' 'lr = ' 'tokenizer = ' 'dir = ' 'plan = ' 'shards = '; do
  expect_says "$key" -- weft train --help-keys
done

# A table's rows have as many columns as its header, and no view is of nothing.
expect_says 'model ' 'parameters ' 'train_step' 'eval_step' 'decode' -- weft inspect "$run"
expect_says 'matmul_0' 'family' 'launches' 'unit=fma' -- weft inspect "$run" --kernels
expect_says 'parameter' 'optimizer' 'cache' 'arena of train_step' 'together' -- weft inspect "$run" --memory
expect_says 'embed_tokens.weight' '(300, 64)' 'model.layers.{}.self_attn.q_proj.weight {0..1}' -- weft inspect "$run" --params
expect_says 'llama.cc:' 'saved for backward' -- weft inspect "$run/model.weft" --remarks
expect_says '"kernels"' '"train_step"' -- weft inspect "$run" --json
weft inspect "$run" --kernels | awk 'NR == 1 { at = index($0, "schedule") } /^matmul/ && !/°/ && substr($0, at - 2, 2) != "  " { exit 1 }' ||
  fail "the columns of inspect --kernels do not line up"
! weft inspect "$run" --kernels | grep -q '#kernel' || fail "inspect --kernels prints the compiler's syntax"
[[ $(weft inspect "$run" --remarks | sort | uniq -d | wc -l) == 0 ]] || fail "remarks are said twice"

# Output that cannot be written is an error, too.
said=$( (weft inspect "$run" --kernels >/dev/full) 2>&1) && fail "a full disk goes unnoticed"
grep -q 'error: cannot write to the standard output' <<<"$said" || fail "nothing is said of a full disk" "$said"
checks=$((checks + 1))

# The compiler's own views.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tiny=(llama --config tiny --seq 32 --batch 4 --micro-batch 4)
expect_says 'func.func @train_step' 'graph.repeat' -- weft compile "${tiny[@]}" --stop-after trace
weft compile "${tiny[@]}" -o "$folder/a.weft" --dump-phases "$folder/phases" --remarks=matmul --remarks-json "$folder/remarks.json" >"$folder/out" 2>&1 ||
  fail "compile" "$(tail "$folder/out")"
[[ $(ls "$folder/phases" | wc -l) -ge 8 ]] || fail "--dump-phases" "$(ls "$folder/phases")"
[[ -s $folder/a.weft && -s $folder/remarks.json ]] || fail "no artifact or no remarks"
# Sizes that are equal by chance are other sizes to the compiler: 64 tokens at width 64.
weft compile llama --config tiny --seq 64 --batch 2 --micro-batch 1 -o "$folder/b.weft" >"$folder/out" 2>&1 ||
  fail "a context as long as the width" "$(tail "$folder/out")"
checks=$((checks + 1))
expect_error 2 'nothing to compile' -- weft compile
expect_error 2 '-o names the artifact' -- weft compile llama
expect_error 2 'there is no phase nope' -- weft compile llama --stop-after nope
expect_error 1 '/nothing/x.weft' -- weft compile "${tiny[@]}" -o /nothing/x.weft
done_testing
