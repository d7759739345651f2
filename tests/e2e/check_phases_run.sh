#!/usr/bin/env bash
# --check-phases on a user's own checkpoint and text: what is in order passes and changes nothing, what is not is named.
source "$(dirname "$0")/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-check-XXXXXX")
trap 'rm -rf "$work"' EXIT
checked() { expect_says 'checked in ' "$@"; }

# A run's own parameters, states and next batch; the recipe is its own.
make_recipe
train run train.steps=4
small=(--set train.batch=4 --set train.micro_batch=2)
checked "run/checkpoints/step-000004 (4 steps), $work/run/data/train.tokens" 'to the bit' \
  -- weft compile --check-phases --checkpoint "$work/run" "${small[@]}"
checked "run/checkpoints/step-000004 (4 steps)" 'gradients by differences' 'to the bit' \
  -- weft compile --check-phases --checkpoint "$work/run" "${small[@]}" --set run.plan=pp2 --set run.ranks=2
before=$(find "$work/run" -type f -printf '%p %T@ %s\n' | sort | sha256sum)
cp -r "$work/run/checkpoints/step-000004" "$work/alone"
# A checkpoint alone, with text of its own, with a token file, with the recipe's text.
checked "alone (4 steps), $work/corpus/" -- weft compile "$work/recipe.toml" --check-phases --checkpoint "$work/alone" "${small[@]}" \
  --check-data "$work/corpus/*.txt" --precision bf16
checked "run/data/train.tokens" -- weft compile "$work/recipe.toml" --check-phases "${small[@]}" --check-data "$work/run/data/train.tokens"
checked "the recipe's text" -- weft compile "$work/recipe.toml" --check-phases "${small[@]}" --check-data recipe
[[ $before == $(find "$work/run" -type f -printf '%p %T@ %s\n' | sort | sha256sum) ]] || fail "checking changes the run"

# Numbers that are none, and some that leave f32's range on the way, which interpreting in f64 does not. An imported
# model has no states of an optimiser.
weft export "$work/run" "$work/folder" --dtype f32 >/dev/null 2>&1 || fail "export fails"
imported() { # NAME VALUE: all of the embedding
  cp -r "$work/folder" "$work/$1.folder"
  [[ -z $2 ]] || python3 - "$work/$1.folder/model.safetensors" "$2" <<'END'
import json, struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
header = 8 + struct.unpack("<Q", data[:8])[0]
tensors = json.loads(data[8:header])
begin, end = next(t for n, t in tensors.items() if "embed_tokens" in n)["data_offsets"]
for at in range(header + begin, header + end, 4):
    data[at:at + 4] = struct.pack("<f", float(sys.argv[2]))
open(sys.argv[1], "wb").write(data)
END
  weft import "$work/$1.folder" "$work/$1" >/dev/null 2>&1 || fail "import of $1 fails"
}
imported good ''
checked 'good (0 steps)' 'to the bit' -- weft compile "$work/recipe.toml" --check-phases --checkpoint "$work/good" "${small[@]}"
imported infinite inf
expect_error 1 'parameter embed_tokens.weight is inf at [0, 0] in ' 'hint: ' \
  -- weft compile "$work/recipe.toml" --check-phases --checkpoint "$work/infinite" "${small[@]}"
imported huge 1e25
expect_error 1 'the compiled program differs from its ops: kernel ' "leaves f32's range" 'input_layernorm' \
  -- weft compile "$work/recipe.toml" --check-phases --checkpoint "$work/huge" "${small[@]}"

# What makes no sense is said.
compile() { weft compile llama --config tiny --batch 2 --micro-batch 2 --seq 16 "$@"; }
expect_error 2 'what --check-phases looks at' -- compile --checkpoint "$work/run" -o "$work/x.weft"
expect_error 1 'holds no checkpoint' -- weft compile "$work/recipe.toml" --check-phases --checkpoint "$work/corpus"
expect_error 1 'no tokenizer for it' -- compile --check-phases --check-data "$work/recipe.toml"
expect_error 1 'data.train names no text' -- compile --check-phases --check-data recipe
head -c 100 "$work/run/data/train.tokens" >"$work/cut.tokens"
expect_error 1 'cut.tokens' -- weft compile "$work/recipe.toml" --check-phases --check-data "$work/cut.tokens"
expect_error 1 'should be a multiple of it' -- weft compile --check-phases --checkpoint "$work/run" --set train.batch=3 --set train.micro_batch=2
done_testing
