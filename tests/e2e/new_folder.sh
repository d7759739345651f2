#!/usr/bin/env bash
# What `weft new` makes trains at once, generates, evaluates and resumes, as its README says.
source "$(dirname "$0")/lib.sh"
cd "$work"
[[ -r /usr/share/common-licenses/GPL-3 ]] || skip "its example text, /usr/share/common-licenses, is missing"

expect_says 'made my_model' 'weft train recipe.toml' -- weft new my_model
expect_error 1 'my_model exists already' -- weft new my_model
expect_error 2 '"9x" cannot name a model' 'weft new my_model' -- weft new 9x
cd my_model
small=(train.batch=4 train.micro_batch=4 train.seq=64 model.layers=2 model.dim=32 run.log_every=1)
expect_says 'compiled my_model' 'step 3/3' 'saved' -- weft train recipe.toml train.steps=3 "${small[@]}"
expect_says 'resumed from' 'step 5/5' -- weft train run train.steps=5 --resume
expect_says 'You may copy' -- weft generate run --prompt 'You may copy' --max-tokens 5
expect_says 'perplexity' -- weft eval run --data /usr/share/common-licenses/Artistic
expect_says matmul_0 'model.cc:' -- weft inspect run --kernels
[[ -s run/checkpoints/step-000005/model.safetensors ]] || fail "no weights"

# A change of the model is noticed: it is compiled again, and is another model than the checkpoint's.
sed -i 's/ffn = 352/ffn = 64/' model.cc
expect_error 1 'compiling again: the model or its settings have changed' 'model.layers.0.mlp' '64' '352' -- weft train run train.steps=6 --resume
done_testing
