#!/usr/bin/env bash
# A finished run of the tiny model, which the tests of commands and of broken files read and copy.
rm -rf "$WEFT_WORK"
mkdir -p "$WEFT_WORK"
source "$(dirname "$0")/lib.sh"
make_recipe
train reference
for file in recipe.toml model.weft tokenizer.json metrics.jsonl log.txt checkpoints/step-000008/{config.json,model.safetensors,tokenizer.json}; do
  [[ -s $work/reference/$file ]] || fail "the run has no $file"
done
expect_no_leftovers "$work/reference"
done_testing
