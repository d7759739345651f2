#!/usr/bin/env bash
# Questions to a trained model that cannot be answered, or only just.
source "$(dirname "$0")/lib.sh"
run=$WEFT_WORK/reference

expect_error 1 'the prompt is empty' 'give at least a word' -- weft generate "$run" --prompt ''
long=$(printf 'many words here %.0s' {1..40})
expect_error 1 'tokens when the model'"'"'s context holds 32' 'shorten it by' -- weft generate "$run" --prompt "$long"
expect_error 2 'needs either --prompt TEXT or --prompt-file FILE' 'weft generate --help' -- weft generate "$run"
expect_error 2 '--max-tokens is x' -- weft generate "$run" --prompt hi --max-tokens x
expect_error 2 '--max-tokens is -3' -- weft generate "$run" --prompt hi --max-tokens -3
expect_error 2 '--top-p is 2' 'between 0 and 1' -- weft generate "$run" --prompt hi --top-p 2
expect_error 2 'unknown option --max-token' 'did you mean --max-tokens?' -- weft generate "$run" --prompt hi --max-token 3
expect_error 1 'a stop string is empty' -- weft generate "$run" --prompt hi --stop ''
expect_error 1 'nothing.txt' -- weft generate "$run" --prompt-file nothing.txt
expect_error 1 "cpu level is 'sse' when it should be avx2, avx512, avx512bf16 or amx" -- weft generate "$run" --prompt hi --cpu-level sse
expect_error 2 'unknown command generat' 'did you mean weft generate?' -- weft generat "$run"

# Any bytes are a prompt; the text ends where the context does; more threads than processors change nothing.
weft generate "$run" --prompt $'\377\376' --max-tokens 3 --json | grep -q '"tokens"' || fail "bytes as a prompt"
one=$(weft generate "$run" --prompt The --max-tokens 100 --ignore-end --temperature 0 --threads 1 --json)
many=$(weft generate "$run" --prompt The --max-tokens 100 --ignore-end --temperature 0 --threads 64 --json)
grep -q '"stop":"context"' <<<"$one" || fail "the text does not end with the context" "$one"
strip() { sed -E 's/"(prompt_)?seconds":[^,}]*,?//g'; }
[[ $(strip <<<"$one") == "$(strip <<<"$many")" ]] || fail "64 threads give another text" "$one" "$many"

expect_error 2 'needs either --data FILE or --ids FILE' -- weft eval "$run"
expect_error 1 'nothing.txt' -- weft eval "$run" --data nothing.txt
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
: >"$folder/empty.txt"
expect_error 1 'empty.txt' -- weft eval "$run" --data "$folder/empty.txt"
echo '1 2 x' >"$folder/ids"
expect_error 1 'ids:1: "x" is no id' 'from 0 to 299' -- weft eval "$run" --ids "$folder/ids"
echo >"$folder/ids"
expect_error 1 'has no ids' 'weft tokenizer encode' -- weft eval "$run" --ids "$folder/ids"
weft eval "$run" --data "$WEFT_WORK/corpus/hostile.txt" --json | grep -q '"bits_per_byte"' || fail "eval of hostile bytes"
expect_says 'loss ' 'nats a token' 'perplexity' 'targets' 'boundaries' -- weft eval "$run" --data "$WEFT_WORK/corpus/notes.txt"

# An artifact that continues two texts at once is for other programs; a run that has one generates with another beside it.
weft compile "$run/recipe.toml" -o "$folder/two.weft" --set run.generate_batch=2 >/dev/null
expect_error 1 'takes tokens of shape (2, 1) when it should take one text' 'run.generate_batch=1' -- \
  weft generate "$run" --prompt hi --artifact "$folder/two.weft"
weft train "$run/recipe.toml" run.dir="$folder/two" run.generate_batch=2 train.steps=2 train.eval_every=2 'run.sample_prompts=["The"]' \
  run.sample_tokens=3 >/dev/null 2>&1 || fail "a run with run.generate_batch = 2"
[[ -s $folder/two/samples.jsonl && -s $folder/two/single.weft ]] || fail "no samples of a run with run.generate_batch = 2"
weft generate "$folder/two" --prompt The --max-tokens 2 --json | grep -q '"tokens"' || fail "generating from a run with run.generate_batch = 2"

# A run goes on, or says why not.
cp -r "$run" "$folder/run"
expect_error 1 'holds a run of 8 steps already' '--resume' -- weft train "$WEFT_WORK/recipe.toml" "run.dir=$folder/run"
expect_error 1 'the checkpoint has 8 steps when train.steps is 2' -- weft train "$WEFT_WORK/recipe.toml" "run.dir=$folder/run" train.steps=2 --resume
expect_says 'resumed from' 'step 10/10' -- weft train "$folder/run" train.steps=10 --resume
done_testing
