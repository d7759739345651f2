#!/usr/bin/env bash
# Text that is missing, empty, hardly there, or not UTF-8; a run directory that cannot be written; files beyond a limit.
source "$(dirname "$0")/lib.sh"
FROM=$WEFT_WORK/reference
work=$(mktemp -d "$WEFT_WORK/text-XXXXXX")
trap 'rm -rf "$work"' EXIT
make_recipe
cd "$work"

: >empty.txt
printf x >one.txt
refuse() { # KEY=VALUE PATTERN…
  expect_error 1 "${@:2}" -- weft train recipe.toml run.dir=run "$1"
  [[ -z $(ls run/checkpoints run/metrics.jsonl run/data/data.key 2>/dev/null) ]] || fail "$1: something was made of it" "$(ls run)"
}
refuse 'data.train=nothing.txt' 'nothing.txt'
refuse 'data.train=nothing/*.txt' 'nothing/*.txt'
refuse 'data.train=corpus' 'corpus'
refuse 'data.train=empty.txt' 'empty.txt'
refuse 'data.train=[]' 'data.train names no text' 'hint: for example data.train'
refuse 'data.train=one.txt' 'the corpus of 1 bytes is too small to hold out 0.05 of it' 'validation = 0'
refuse data.tokenizer=train:10 'a vocabulary of 10 is too small' '257'
refuse data.tokenizer=train:many 'data.tokenizer is "train:many"' 'train:N'
refuse data.tokenizer=nothing.json 'nothing.json'
echo '{"model": {' >broken.json
refuse data.tokenizer=broken.json 'broken.json'

# One byte is enough to train on where nothing is held out, and any bytes are text.
expect_says 'saved' -- weft train recipe.toml run.dir=one data.train=one.txt data.validation=0 train.steps=1 train.eval_every=0 optimizer.warmup=0
head -c 3000 "$WEFT_WORK/reference/model.weft" >bytes.txt
printf '\377\376\200 \355\240\200 \300\257\n' >>bytes.txt
ids=$(weft tokenizer encode --tokenizer "$FROM/tokenizer.json" <bytes.txt)
weft tokenizer decode --tokenizer "$FROM/tokenizer.json" <<<"$ids" | cmp - bytes.txt || fail "bytes do not survive the tokenizer"

# Run directories that cannot be.
expect_error 1 'cannot create the run directory' 'empty.txt' -- weft train recipe.toml run.dir=empty.txt/run
expect_error 1 '/proc/nothing' -- weft train recipe.toml run.dir=/proc/nothing
if [[ $EUID != 0 ]]; then
  mkdir locked
  chmod a-w locked
  expect_error 1 'locked/run' 'Permission denied' -- weft train recipe.toml run.dir=locked/run
fi

# Files beyond the limit on their size are errors with the file's name, and what was whole stays whole. Full disks:
# full_disk.sh and tests/cli/full_disk_test.cpp.
limited() { (ulimit -f "$1" && "$weft_binary" "${@:2}"); }
mkdir full
cp -r "$FROM"/{model.weft,model.weft.key,data} full/
expect_error 1 'warning: the checkpoint of step 4 could not be written' 'the next is due at step 8' \
  'error: the checkpoint of step 8 could not be written' 'step-000008' 'File too large' '--resume starts again' -- \
  limited 500 train recipe.toml run.dir=full
[[ -z $(ls full/checkpoints) ]] || fail "a checkpoint that did not fit was kept" "$(ls full/checkpoints)"
expect_no_leftovers full
expect_error 1 'File too large' -- limited 8 train recipe.toml run.dir=full2
expect_no_leftovers full2
[[ ! -e full2/data/data.key ]] || fail "data that did not fit counts as made"
expect_says 'there is no checkpoint yet' 'saved' -- weft train recipe.toml run.dir=full --resume
done_testing
