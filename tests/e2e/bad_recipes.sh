#!/usr/bin/env bash
# Mistakes in a recipe: named with their line or key, before anything is made.
source "$(dirname "$0")/lib.sh"
make_recipe
cd "$work"
refuse() { # KEY=VALUE PATTERN…
  local override=$1
  shift
  expect_error 1 "$@" -- weft train recipe.toml run.dir=run "$override"
}
refuse_recipe() { # TEXT PATTERN…
  printf '%s\n' "$1" >bad.toml
  expect_error 1 "${@:2}" -- weft train bad.toml
}

# Keys that do not exist, with the nearest that does.
refuse train.stepz=3 'unknown key train.stepz' 'did you mean train.steps?'
refuse trian.steps=3 'unknown key trian.steps' 'did you mean train.steps?'
refuse optimizer.steps=3 'unknown key optimizer.steps' 'did you mean train.steps?'
refuse zzzzzzz=3 'unknown key zzzzzzz' 'weft train --help-keys'
refuse steps 'is not of the form KEY=VALUE' 'train.steps=100'
refuse_recipe $'[model]\nname = "llama"\n[trainn]\nsteps = 1' 'bad.toml:3: unknown section [trainn]' 'did you mean [train]?'
refuse_recipe $'[train]\nsteps = 1\nbacth = 4' 'bad.toml:3: unknown key train.bacth' 'did you mean train.batch?'
refuse_recipe $'[train\nsteps = 1' 'bad.toml:1: not valid TOML'
refuse_recipe $'[train]\nsteps = 1\nsteps = 2' 'bad.toml:3: not valid TOML'
refuse_recipe 'steps = 1' 'steps' 'train.steps'

# Values of a wrong type or out of range.
refuse train.steps=abc 'train.steps is "abc" when it should be a whole number'
refuse train.steps=1.5 'train.steps is 1.5 when it should be a whole number'
refuse train.steps=0 'train.steps is 0 when it should be at least 1'
refuse train.batch=-4 'train.batch is -4 when it should be at least 1'
refuse optimizer.lr=fast 'optimizer.lr is "fast" when it should be a number'
refuse optimizer.lr=nan 'optimizer.lr is nan'
refuse data.validation=half 'data.validation is "half" when it should be a number'
refuse data.validation=0.9 'data.validation is 0.9 when it should be between 0 and 0.5'
refuse optimizer.moments=f16 'optimizer.moments is "f16" when it should be one of f32, bf16'
refuse optimizer.name=adam 'optimizer.name is "adam" when it should be one of adamw, sgd' 'did you mean adamw?'
refuse train.precision=f64 'train.precision is "f64" when it should be one of f32, bf16'
refuse run.threads=-1 'run.threads is -1'
refuse run.threads=100000000 'run.threads'
refuse_recipe $'[run]\nsave_initial = "yes"' 'bad.toml:2: run.save_initial is "yes" when it should be true or false'
refuse_recipe $'[data]\ntrain = [1, 2]' 'bad.toml:2: data.train' 'a list of texts in quotes'

# What does not fit together.
refuse_recipe $'[optimizer]\nmoments = "bf16"\nbeta2 = 0.999' 'optimizer.beta2 is 0.999 when it should be at most 0.99' 'optimizer.moments=f32'
refuse train.batch=7 'train.micro_batch is 4 rows' '(train.batch 7 over 1 data-parallel ranks)' 'divides them'
refuse train.shards=3 'train.shards is 3 when train.batch, 8 rows, should be a multiple of it'
refuse train.shards=16 'train.shards is 16' 'a shard is a whole number of rows'
refuse run.ranks=16 'there are 16 data-parallel ranks when train.batch has 8 rows' 'use at most 8 ranks'
refuse run.plan=dp3 'train.batch is 8 rows when it should be a multiple of the 3 data-parallel ranks' 'train.batch=9'
refuse run.plan=xx2 'run.plan is "xx2" when it should be like dp2, pp2 or dp2,pp2'
refuse run.dir= 'run.dir is empty'
refuse optimizer.warmup=100 'optimizer.warmup (100 steps) does not fit into' 'train.steps (8)' 'lower optimizer.warmup'

# Nothing was made so far.
[[ ! -e run ]] || fail "a run directory was made" "$(ls -A run)"

expect_error 2 'needs a recipe or a run directory' 'weft new NAME' -- weft train
expect_error 1 'nothing.toml' -- weft train nothing.toml
expect_error 1 'recipe.toml' -- weft train corpus
done_testing
