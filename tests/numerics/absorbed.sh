#!/usr/bin/env bash
# Latent attention in its absorbed form (run.absorbed, --absorbed): its tokens' log-probabilities are those of evaluation, which
# is in the expanded form, within the tolerance of docs/numerics.md; training does not know of it; its cache is as small as it says.
source "$(dirname "$0")/../e2e/lib.sh"
here=$work/absorbed
rm -rf "$here"
mkdir "$here"
tolerance=1e-5
[[ ${WEFT_PRECISION:-f32} == f32 ]] || tolerance=2e-2
element=$([[ ${WEFT_PRECISION:-f32} == f32 ]] && echo 4 || echo 2)

# The absorbed form's own tokens, evaluated.
expect_close() { # RUN NAME PROMPT MAX_TOKENS OPTION…
  local run=$1 name=$2 prompt=$3 tokens=$4 compared=0
  shift 4
  weft generate "$run" --prompt "$prompt" --max-tokens "$tokens" --ignore-end --threads 1 --logprobs "$here/$name" "$@" \
    >"$here/$name.out" 2>&1 || fail "generate $name" "$(cat "$here/$name.out")"
  echo "$(weft tokenizer encode --tokenizer "$run/tokenizer.json" --specials "$prompt")" $(cut -d' ' -f2 "$here/$name") >"$here/$name.ids"
  weft eval "$run" --ids "$here/$name.ids" --logprobs "$here/$name.eval" --threads 2 >/dev/null
  while read -r position id logprob; do
    read -r _ _ _ exact < <(grep "^0 $position $id " "$here/$name.eval") || fail "$name: position $position is not evaluated"
    printf '%.9f %.9f\n' "$logprob" "$exact"
  done <"$here/$name" >"$here/$name.both"
  [[ $(wc -l <"$here/$name.both") == "$tokens" ]] || fail "$name: not $tokens tokens"
  awk -v most=$tolerance '{ d = $1 - $2; if (d < 0) d = -d; if (!(d <= most)) exit 1 }' "$here/$name.both" ||
    fail "$name: beyond $tolerance nats" "$(cat "$here/$name.both")"
  compared=$(wc -l <"$here/$name.both")
  checks=$((checks + compared))
}
expect_all_close() { # RUN NAME OPTION…
  local run=$1 name=$2 text="The old river follows every engine, but"
  shift 2
  expect_close "$run" "$name-one" T 25 --temperature 1 --seed 3 "$@" # decode alone
  for n in 3 11 ${#text}; do                                       # prefills, padded, of several lengths
    expect_close "$run" "$name-$n" "${text:0:n}" 8 --temperature 1 --seed 4 "$@"
  done
}
expect_all_close "$work/reference" asked --absorbed

# As the recipe's key; with YaRN, whose score factor both forms have, and at a rate at which attention is not even any more.
train yarn run.absorbed=true model.rope_type=yarn model.rope_factor=4 model.rope_context=16 model.rope_mscale_all_dim=1 optimizer.lr=2e-2
expect_all_close "$work/yarn" yarn
cmp "$here/yarn-3" <(weft generate "$work/yarn" --prompt The --max-tokens 8 --ignore-end --temperature 1 --seed 4 --threads 3 \
  --logprobs "$here/again" >/dev/null && cat "$here/again") || fail "3 threads give other bits"
checks=$((checks + 1))

train key run.absorbed=true
expect_equal_bits "$work/reference" "$work/key" 8 "run.absorbed"

# rank 24 + rope 8 for all heads of 3 layers, beside 4 heads' keys of 24 and values of 20.
expect_says "$((element * 3 * 32)) bytes a token" -- weft inspect "$work/reference/absorbed.weft"
expect_says "$((element * 3 * 4 * 44)) bytes a token" -- weft inspect "$work/reference/model.weft"

expect_error 1 'was compiled without run.absorbed = true' 'leave out --absorbed' -- \
  weft generate "$work/reference" --prompt T --absorbed --artifact "$work/reference/model.weft"
expect_error 1 'absorbed: model llama has no latent attention' -- weft compile llama --config tiny --set run.absorbed=true -o "$here/x.weft"
[[ ! -e $here/x.weft ]] || fail "an artifact of what was refused"
done_testing
