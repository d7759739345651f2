#!/usr/bin/env bash
# The log-probability of a generated token, from prefill and decode, is that which evaluation gives the same token,
# bit for bit: whatever the length of the prompt, and wherever its document stands in a packed row.
source "$(dirname "$0")/../e2e/lib.sh"
run=$work/reference
here=$work/rollout
rm -rf "$here"
mkdir "$here"

rollout() { # NAME PROMPT MAX_TOKENS OPTION…: its ids as a line of all.ids, its log-probabilities of new tokens in NAME
  local name=$1 prompt=$2 tokens=$3
  shift 3
  weft generate "$run" --prompt "$prompt" --max-tokens "$tokens" --ignore-end --threads 1 --logprobs "$here/$name" "$@" \
    >"$here/$name.out" || fail "generate $name"
  [[ $(wc -l <"$here/$name") == "$tokens" ]] || fail "not $tokens log-probabilities" "$(cat "$here/$name")"
  ids=$(weft tokenizer encode --tokenizer "$run/tokenizer.json" --specials "$prompt")
  [[ $(wc -w <<<"$ids") == $(head -1 "$here/$name" | cut -d' ' -f1) ]] || fail "the prompt's length" "$ids" "$(head -1 "$here/$name")"
  echo "$ids" $(cut -d' ' -f2 "$here/$name") >>"$here/all.ids"
}

# Rows are 32 tokens. Each of these and the token that ends it stand in one, at positions 0 and 11 to 21 of it:
# cut documents have no context before the cut.
long="The old river follows every engine, but"
prompt_tokens=$(weft tokenizer encode --tokenizer "$run/tokenizer.json" "$long" | wc -w)
((prompt_tokens > 2 && prompt_tokens < 28)) || fail "the prompt has $prompt_tokens tokens"
rollout a "$long" $((31 - prompt_tokens)) --temperature 0 # its row is filled by the token that ends it
rollout b "T" 9 --temperature 1 --seed 7
rollout c " a" 20 --temperature 1 --seed 8
# A prompt's length decides how it is cut into prefills and padded: all lengths of one text.
for n in 2 3 5 8 13; do
  rollout "d$n" "${long:0:n}" 1 --temperature 0
done

weft eval "$run" --ids "$here/all.ids" --logprobs "$here/eval" --json >"$here/eval.json"
document=0
compared=0
for name in a b c d2 d3 d5 d8 d13; do
  [[ $name == d* ]] && break # further documents are cut by rows' ends
  while read -r position id logprob; do
    line="$document $position $id $logprob"
    grep -qxF "$line" "$here/eval" ||
      fail "rollout $name: position $position, token $id is $logprob" "$(grep "^$document $position " "$here/eval")"
    compared=$((compared + 1))
  done <"$here/$name"
  document=$((document + 1))
done
# The short ones one by one, each at a row's beginning.
tail -n +4 "$here/all.ids" >"$here/short.ids"
line=0
for name in d2 d3 d5 d8 d13; do
  line=$((line + 1))
  sed -n ${line}p "$here/short.ids" >"$here/one.ids"
  weft eval "$run" --ids "$here/one.ids" --logprobs "$here/one" --threads 2 >/dev/null
  read -r position id logprob <"$here/$name"
  grep -qxF "0 $position $id $logprob" "$here/one" ||
    fail "prompt $name: position $position, token $id is $logprob" "$(cat "$here/one")"
  compared=$((compared + 1))
done
checks=$((checks + compared))

# --json gives the same numbers, and a rollout the same again with more threads.
weft generate "$run" --prompt T --max-tokens 9 --ignore-end --temperature 1 --seed 7 --threads 3 --logprobs "$here/again" >/dev/null
cmp "$here/b" "$here/again" || fail "3 threads give another rollout"
done_testing
