#!/usr/bin/env bash
# --check-phases on made-up data and on a user's checkpoint and text: what is in order passes, and what is not is
# named: a kernel, a parameter, a way out.
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

# A kernel put in the place of the compiler's own, and wrong: that one is named.
compile() { weft compile llama --config tiny "${sizes[@]}" "$@"; }
compile -o "$work/m.weft" >/dev/null
kernel=$(weft inspect "$work/m.weft" --json | python3 -c '
import json, sys
print(next(k["name"] for k in json.load(sys.stdin)["kernels"] if k["family"] == "loops" and k["train_step"]["launches"] and any("layernorm" in l for l in k["lines"])))')
weft inspect "$work/m.weft" --dump-kernel "$kernel" -o "$work/k" >/dev/null
sed '0,/fmul/s//fadd/' "$work/k/kernel.ll" >"$work/wrong.ll"
! cmp -s "$work/k/kernel.ll" "$work/wrong.ll" || fail "nothing was changed in $kernel"
checked "substituted $kernel" -- compile --check-phases --no-substitution-check --substitute-kernel "$kernel=$work/k/kernel.ll"
expect_error 1 "the compiled program differs from its ops: kernel $kernel, launch " 'substituted: code from ' ' when it should be ' 'is tolerated)' \
  "weft inspect F.weft --source $kernel" -- compile --check-phases --no-substitution-check --substitute-kernel "$kernel=$work/wrong.ll"
# One that reaches behind a buffer ends its own process, not the compiler.
cat >"$work/crash.ll" <<END
define void @$kernel(ptr %buffers, ptr %sizes, i64 %begin, i64 %end, ptr %scratch) {
  %p = load ptr, ptr %buffers
  %q = getelementptr i8, ptr %p, i64 1073741824
  store float 0.0, ptr %q
  ret void
}
END
said=$(compile --check-phases --no-substitution-check --substitute-kernel "$kernel=$work/crash.ll" 2>&1) && fail "a kernel that crashes passes"
grep -q "error: .*kernel $kernel was ended by Segmentation fault: does it reach behind a buffer" <<<"$said" || fail "the crash is not said" "$said"

# What takes too long is said beforehand; what makes no sense, too.
expect_error 1 '--check-phases would take about ' 'hint: smaller sizes' -- weft compile llama --config demo --batch 64 --seq 1024 --check-phases
expect_error 1 'would take about ' -- compile --check-phases --check-limit 0.001
expect_error 2 '--check-limit is soon' -- compile --check-phases --check-limit soon
expect_error 2 'what --check-phases looks at' -- compile --checkpoint "$work/run" -o "$work/x.weft"
expect_error 1 'holds no checkpoint' -- weft compile "$work/recipe.toml" --check-phases --checkpoint "$work/corpus"
expect_error 1 'no tokenizer for it' -- compile --check-phases --check-data "$work/recipe.toml"
expect_error 1 'data.train names no text' -- compile --check-phases --check-data recipe
head -c 100 "$work/run/data/train.tokens" >"$work/cut.tokens"
expect_error 1 'cut.tokens' -- weft compile "$work/recipe.toml" --check-phases --check-data "$work/cut.tokens"
expect_error 1 'should be a multiple of it' -- weft compile --check-phases --checkpoint "$work/run" --set train.batch=3 --set train.micro_batch=2
done_testing
