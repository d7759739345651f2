#!/usr/bin/env bash
# weft import and weft export with bad input, from a checkpoint on, and on a full disk: errors name what is wrong and leave nothing.
if [[ -z ${WEFT_OWN_MOUNTS:-} ]] && unshare -rm true 2>/dev/null; then
  WEFT_OWN_MOUNTS=1 exec unshare -rm bash "$0" "$@" # for a disk of our own
fi
source "$(dirname "$0")/lib.sh"
goldens=$here/../goldens
cd "$work"
fresh() { # a copy of a folder of transformers, as `hf`
  rm -rf hf
  cp -r "$goldens/hugging_face/${1:-qwen3}" hf
  chmod -R u+w hf
}
edit() { sed -i "$1" hf/config.json; }
expect_nothing_left() {
  [[ -z $(find . -path ./tmp -prune -o \( -name 'out*' -o -name '.tmp-*' \) -print) ]] || fail "something is left of an import" "$(ls -A)"
  checks=$((checks + 1))
}
refused() { # PATTERN…: importing hf
  expect_error 1 "$@" -- weft import hf out
  expect_nothing_left
}
mkdir tmp
export TMPDIR=$work/tmp

# Usage, and folders that are none.
expect_error 2 'needs' -- weft import hf
expect_error 2 '--precision is f16' -- weft import hf out --precision f16
expect_error 2 '--max-shard-size is big' -- weft export run out --max-shard-size big
expect_error 1 'there is no folder nothing' -- weft import nothing out
expect_error 1 'has no config.json' -- weft import tmp out
expect_error 1 'there is no run or checkpoint nothing' -- weft export nothing out
expect_nothing_left

# config.json. All that is refused of one: tests/frontends/decoder_config_test.cpp.
fresh; edit 's/"silu"/"gelu"/'
refused 'hf/config.json: hidden_act is "gelu" when only "silu" is supported'
fresh; edit 's/Qwen3ForCausalLM/MambaForCausalLM/'
refused 'architectures is ["MambaForCausalLM"] when models are built in for' 'Qwen3ForCausalLM' '--model FILE.cc'
fresh; truncate -s 100 hf/config.json
refused 'hf/config.json is not a JSON object'
fresh; edit 's/"intermediate_size": 44/"intermediate_size": 45/'
refused 'the weights do not fit config.json' 'model.layers.0.mlp.down_proj.weight has the shape (28, 44) when config.json makes it (28, 45)' 'and'
fresh; edit 's/"num_hidden_layers": 2/"num_hidden_layers": 3/'
refused 'model.layers.2.input_layernorm.weight is missing'
fresh; edit 's/"num_hidden_layers": 2/"num_hidden_layers": 1/'
refused 'model.layers.1.input_layernorm.weight is no tensor of this model'
fresh; edit 's/"vocab_size": 300/"vocab_size": 299/'
refused 'the model has 299 tokens when its tokenizer has 300'
fresh; rm hf/tokenizer.json
refused 'hf/tokenizer.json' '--tokenizer FILE'
fresh; edit 's/"tie_word_embeddings": false/"tie_word_embeddings": true/'
refused 'tensors lm_head.weight and model.embed_tokens.weight differ'
expect_error 1 'no built-in model is named qwen9' -- weft import hf out --model qwen9
expect_error 1 'the model is for LlamaForCausalLM' -- weft import hf out --model llama
expect_nothing_left

# The weights' files.
fresh; truncate -s -1 hf/model.safetensors
refused 'hf/model.safetensors: tensor' 'it may be cut off'
fresh; rm hf/model.safetensors
refused 'has neither model.safetensors nor model.safetensors.index.json'
fresh llama_sharded; rm hf/model-00002-of-00003.safetensors
refused 'the file model-00002-of-00003.safetensors is missing'
fresh llama_sharded; sed -i 's|model-00002-of-00003|../hf/model-00002-of-00003|' hf/model.safetensors.index.json
refused 'model.safetensors.index.json: puts' 'should be the name of a .safetensors file in the same folder'

# A folder that is there is not touched.
fresh
mkdir out && touch out/mine
expect_error 1 'out is there already' -- weft import hf out
[[ $(ls -A out) == mine ]] || fail "import has changed a folder that was there" "$(ls -A out)"
rm -r out

# Told to stop, and killed.
stopped() { # SIGNAL STATUS: an import that is compiling
  rm -f stopped.said
  "$weft_binary" import hf out 2>stopped.said &
  local process=$! status=0
  for _ in {1..300}; do grep -qs compiling stopped.said && break; sleep 0.1; done
  kill "-$1" $process
  wait $process || status=$?
  [[ $status == "$2" ]] || fail "exit status $status when it should be $2 after SIG$1" "$(cat stopped.said)"
  checks=$((checks + 1))
}
stopped TERM 130
expect_nothing_left
stopped KILL 137
[[ -d .tmp-out ]] || fail "nothing was under way when the import was killed"
for _ in {1..100}; do [[ -e .tmp-out/weft-compiled/single.weft ]] && break; sleep 0.1; done # its compiler goes on
expect_says 'imported 25 tensors' -- weft import hf out --seq 64
[[ ! -e .tmp-out ]] || fail "what a killed import left is still there"
rm -r out

# What is imported is enough by itself: asked where it may only be read, moved, fine-tuned, and exported.
expect_says "note: config.json's added is not known to the model and left out" 'imported 25 tensors' -- \
  bash -c 'sed "s/^{/{\"added\": 7,/" -i hf/config.json && "$0" import hf base --seq 64' "$weft_binary"
mv base moved
rm -r hf
expect_says 'perplexity' -- weft eval moved --data "$goldens/text/03.txt"
expect_says 'The' -- weft generate moved --prompt The --max-tokens 2
[[ -z $(find . -newer moved/weft-state.json -path './moved/*' -name 'single.weft') ]] || fail "a checkpoint that was moved is compiled again"
cat >tune.toml <<END
[data]
train = ["$goldens/text/*.txt"]
[train]
init = "moved"
steps = 4
batch = 2
seq = 64
[optimizer]
schedule = "constant"
lr = 1e-3
warmup = 0
[run]
dir = "tuned"
checkpoint_every = 2
threads = 1
END
expect_says 'starting from the weights of' 'tokenizer.json' 'saved' -- weft train tune.toml
cmp -s moved/generation_config.json tuned/checkpoints/step-000004/generation_config.json || fail "a run's checkpoints lose generation_config.json"
expect_says 'resumed from' -- weft train tuned train.steps=6 --resume
weft train tune.toml run.dir=split train.steps=2 >split.out 2>&1
mv moved gone # is needed no more
weft train split train.steps=6 --resume >>split.out 2>&1 || fail "a run goes not on without its train.init" "$(cat split.out)"
cmp -s {split,tuned}/checkpoints/step-000006/model.safetensors || fail "a fine-tuning run that is resumed has other bits"
expect_error 1 'train.init is' 'moved, which is no checkpoint or run' 'weft import' -- weft train tune.toml run.dir=other
mv gone moved
expect_error 1 'train.init: ' 'has the shape' -- weft train tune.toml run.dir=other model.ffn=45
expect_error 1 'train.init: ' 'is broken' -- bash -c 'cp -r moved broken && truncate -s -4 broken/model.safetensors && "$0" train tune.toml train.init=broken run.dir=other2' "$weft_binary"
expect_says 'exported 25 tensors' -- weft export tuned exported --dtype bf16
grep -q '"torch_dtype": "bfloat16"' exported/config.json || fail "an export does not say its type" "$(cat exported/config.json)"
expect_error 1 'exported is there already' -- weft export tuned exported

# A full disk.
fresh
mkdir disk
if [[ -n ${WEFT_OWN_MOUNTS:-} ]] && mount -t tmpfs -o size=200k none disk; then
  trap 'umount "$work/disk"; rm -rf "$work"' EXIT
  expect_error 1 'No space left on device' -- weft import hf disk/out
  [[ -z $(ls -A disk) ]] || fail "something is left on a full disk" "$(ls -A disk)"
  mount -o remount,size=100k disk
  expect_error 1 'disk/' 'No space left on device' -- weft export moved disk/out
  [[ -z $(ls -A disk) ]] || fail "something is left on a full disk" "$(ls -A disk)"
fi
done_testing
