#!/usr/bin/env bash
# A resumption that does not fit changes nothing of the run, and one that does goes on with what was asked for.
source "$(dirname "$0")/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-resume-XXXXXX")
trap 'rm -rf "$work"' EXIT
make_recipe
train run train.steps=4
files() { (cd "$work/run" && sha256sum recipe.toml model.weft model.weft.key tokenizer.json checkpoints/*/*); }
before=$(files)
expect_error 1 'has the shape' -- weft train "$work/run" --resume train.steps=8 model.dim=32
expect_error 1 'has the type F32 when the model has BF16' 'optimizer.moments=f32' -- weft train "$work/run" --resume train.steps=8 optimizer.moments=bf16
expect_error 1 'the checkpoint has 4 steps when train.steps is 2' -- weft train "$work/run" --resume train.steps=2
expect_error 1 'threads on' 'more than make sense' -- weft train "$work/run" --resume train.steps=8 run.threads=4096
[[ $(files) == "$before" ]] || fail "a refused resumption changed the run" "$(diff <(echo "$before") <(files))"
[[ ! -e $work/run/.resuming ]] || fail "a refused resumption leaves a folder"
weft generate "$work/run" --prompt The --max-tokens 3 >/dev/null || fail "the run does not generate after a refused resumption"
weft train "$work/run" --resume train.steps=6 train.micro_batch=2 >"$work/out" 2>&1 || fail "resume" "$(cat "$work/out")"
grep -q '^micro_batch = 2' "$work/run/recipe.toml" || fail "the resumed run has the old recipe"
[[ ! -e $work/run/.resuming ]] || fail "a resumption leaves a folder"
checks=$((checks + 4))
done_testing
