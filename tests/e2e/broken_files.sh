#!/usr/bin/env bash
# Files that are missing, cut off, changed in a bit or of another version are refused by name; where a run has an older
# checkpoint that is whole, or can make a file again, it does.
source "$(dirname "$0")/lib.sh"
reference=$WEFT_WORK/reference
work=$(mktemp -d "$WEFT_WORK/broken-XXXXXX")
trap 'rm -rf "$work"' EXIT
cp -r "$WEFT_WORK/recipe.toml" "$WEFT_WORK/corpus" "$work"
cd "$work"

flip() { # FILE OFFSET: changes a bit of that byte
  local byte
  byte=$(od -An -tu1 -j "$2" -N1 "$1")
  printf "\\x$(printf %02x $((byte ^ 4)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
size() { stat -c %s "$1"; }
fresh() { # a copy of the finished run, as `run`
  rm -rf run
  cp -r "$reference" run
}

# Artifacts. inspect reads them; every offset must be refused, none may crash.
expect_error 1 'nothing.weft' -- weft inspect nothing.weft
for bytes in 0 3 40 5000 $(($(size "$reference/model.weft") - 1)); do
  head -c "$bytes" "$reference/model.weft" >cut.weft
  expect_error 1 'cut.weft' -- weft inspect cut.weft
done
for offset in 4 9 100 3000 20000 $(($(size "$reference/model.weft") / 2)) $(($(size "$reference/model.weft") - 2)); do
  cp "$reference/model.weft" flipped.weft
  flip flipped.weft "$offset"
  expect_error 1 'flipped.weft' -- weft inspect flipped.weft
done
expect_error 1 'is not a Weft artifact' -- weft inspect recipe.toml
expect_error 1 'flipped.weft' -- weft generate "$reference" --prompt The --artifact flipped.weft

# A run compiles again what is broken.
fresh
flip run/model.weft 3000
expect_says 'compiling again' 'model.weft' 'resumed from' 'saved' -- weft train recipe.toml run.dir=run train.steps=9 --resume

# Checkpoints: the newest is refused by name and the one before is used; with none left that is an error.
for breakage in 'rm model.safetensors' 'truncate -s -5 model.safetensors' 'flip model.safetensors 999' 'flip weft-state.safetensors 5000' \
  'flip tokenizer.json 300' 'truncate -s 50 weft-state.json' 'flip weft-state.json 40' 'rm weft-state.json'; do
  fresh
  file=$(awk '{ print ($1 == "truncate") ? $4 : $2 }' <<<"$breakage")
  (cd run/checkpoints/step-000008 && eval "$breakage")
  expect_says "step-000008 is broken" "$file" 'using the last good checkpoint' 'step-000004' -- weft generate run --prompt The --max-tokens 1
done
expect_error 1 'run/checkpoints/step-000008' -- weft generate run/checkpoints/step-000008 --prompt The
flip run/checkpoints/step-000008/model.safetensors 2000
rm run/checkpoints/step-000004/model.safetensors
expect_error 1 'step-000004 is broken: model.safetensors is missing' 'every checkpoint' 'start again in another run.dir' -- weft train recipe.toml run.dir=run --resume
fresh
sed -i 's/"format_version": *[0-9]*/"format_version":99/' run/checkpoints/step-000008/weft-state.json
expect_says 'format_version is 99' 'step-000004' -- weft generate run --prompt The --max-tokens 1
expect_error 1 'there is no run or checkpoint nothing' -- weft generate nothing --prompt The
expect_error 1 'corpus holds no checkpoint' 'name a run directory' -- weft generate corpus --prompt The

# A broken checkpoint costs its steps and no bits.
fresh
truncate -s 1000 run/checkpoints/step-000008/weft-state.safetensors
expect_says 'step-000008 is broken' 'resumed from' 'step-000004' -- weft train recipe.toml run.dir=run --resume
expect_equal_bits "$reference" run 8 "resumed past a broken checkpoint"

# Tokenizers.
tokenizer=$reference/tokenizer.json
expect_error 1 'nothing.json' -- weft tokenizer encode --tokenizer nothing.json text
for bytes in 0 100 $(($(size "$tokenizer") / 2)); do
  head -c "$bytes" "$tokenizer" >cut.json
  expect_error 1 'cut.json' -- weft tokenizer encode --tokenizer cut.json text
done
sed 's/"BPE"/"Unigram"/' "$tokenizer" >other.json
expect_error 1 'other.json' 'Unigram' -- weft tokenizer encode --tokenizer other.json text
expect_error 1 '"99999" is no id' 'from 0 to 299' -- weft tokenizer decode --tokenizer "$tokenizer" 5 99999

# Token files of a run are made again from their text, to the same bits.
for breakage in 'rm train.tokens' 'truncate -s 900 train.tokens' 'flip train.tokens 8' 'flip train.tokens 5000' 'flip validation.tokens 100' 'flip data.key 12'; do
  fresh
  (cd run/data && eval "$breakage")
  rm -rf run/checkpoints/step-000008
  expect_says 'held out' 'resumed from' -- weft train recipe.toml run.dir=run --resume
  expect_equal_bits "$reference" run 8 "$breakage"
done
done_testing
