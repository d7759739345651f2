# What the tests of the commands share; sourced with WEFT_BIN set to the folder of the binaries:
#   source lib.sh; then weft …, train NAME …, expect_error STATUS PATTERN… -- COMMAND…
set -euo pipefail
export LC_ALL=C.UTF-8

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
weft_binary=$WEFT_BIN
work=${WEFT_WORK:-$(mktemp -d "${TMPDIR:-/tmp}/weft-test-XXXXXX")}
[[ -n ${WEFT_WORK:-} ]] || trap 'chmod -R u+w "$work" 2>/dev/null; rm -rf "$work"' EXIT
checks=0

weft() { "$weft_binary" "$@"; }

fail() {
  printf 'FAILED: %s\n' "$1" >&2
  [[ $# -lt 2 ]] || printf '%s\n' "${@:2}" | head -60 >&2
  exit 1
}
skip() { # the status that CTest shows as skipped
  printf 'SKIPPED: %s\n' "$1"
  exit 77
}
done_testing() { printf '%d checks passed\n' "$checks"; }

# Runs a command that should fail with STATUS and say every PATTERN (fixed text) on stderr, as an "error: …" and
# neither as a crash nor with half a sentence of a library.
expect_error() { # STATUS PATTERN… -- COMMAND…
  local status=$1 patterns=() got=0 said pattern
  shift
  while [[ $1 != -- ]]; do patterns+=("$1"); shift; done
  shift
  said=$("$@" 2>&1 >/dev/null </dev/null) || got=$?
  [[ $got == "$status" ]] || fail "exit status $got when it should be $status: $*" "$said"
  grep -q 'error: ' <<<"$said" || fail "no \"error: …\" of: $*" "$said"
  for pattern in "${patterns[@]}"; do
    grep -qF -- "$pattern" <<<"$said" || fail "the error does not say \"$pattern\": $*" "$said"
  done
  if grep -qiE 'assert|terminate called|Segmentation|core dumped|LLVM ERROR|Stack dump' <<<"$said"; then
    fail "the error is a crash or a library's: $*" "$said"
  fi
  checks=$((checks + 1))
}
expect_says() { # PATTERN… -- COMMAND…    succeeds and says so, on stdout or stderr
  local patterns=() said pattern
  while [[ $1 != -- ]]; do patterns+=("$1"); shift; done
  shift
  said=$("$@" 2>&1 </dev/null) || fail "exit status $?: $*" "$said"
  for pattern in "${patterns[@]}"; do
    grep -qF -- "$pattern" <<<"$said" || fail "it does not say \"$pattern\": $*" "$said"
  done
  checks=$((checks + 1))
}

# Opens a page in Chromium, narrow and wide; its script leaves words in the body's data-said, of which each WORD must be one. Without
# a Chromium the test counts as skipped, so this comes last.
expect_page() { # FILE WORD…
  local page=$1 chromium width said expected
  chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
  [[ -n $chromium ]] || skip "there is no Chromium (package chromium) to look at report.html with; all else passed"
  for width in 360 1280; do
    said=$("$chromium" --headless --no-sandbox --disable-gpu --user-data-dir="$work/chromium" --window-size=$width,900 --virtual-time-budget=3000 \
      --dump-dom "file://$page" 2>/dev/null | grep -o 'data-said="[^"]*"') || fail "Chromium shows nothing"
    for expected in "${@:2}"; do
      [[ $said == *" $expected"* || $said == *"\"$expected"* ]] || fail "width $width: not $expected" "$said"
      checks=$((checks + 1))
    done
    [[ $said != *error=* ]] || fail "the page's script throws" "$said"
  done
}

# A recipe of a tiny model (WEFT_MODEL) on the corpus, made on first use.
make_recipe() {
  [[ -d $work/corpus ]] || bash "$here/corpus.sh" "$work/corpus"
  cat >"$work/recipe.toml" <<EOF
[model]
name = "${WEFT_MODEL:-llama}"
config = "tiny"
[data]
train = ["corpus/*.txt"]
validation = 0.05
tokenizer = "train:300"
[train]
steps = 8
batch = 8
micro_batch = 4
seq = 32
eval_every = 4
eval_batches = 4
precision = "${WEFT_PRECISION:-f32}"
[optimizer]
lr = 3e-3
schedule = "constant"
warmup = 2
[run]
checkpoint_every = 4
log_every = 4
threads = 1
EOF
}

# Trains into $work/NAME, in the background: the process is $child. What a run of another name has compiled and
# tokenised is used again where FROM names it.
start() { # NAME …
  local name=$1
  shift
  if [[ -n ${FROM:-} && ! -e $work/$name ]]; then
    mkdir "$work/$name"
    cp -r "$FROM"/{model.weft,model.weft.key,data} "$work/$name/"
  fi
  "$weft_binary" train "$work/recipe.toml" "run.dir=$work/$name" "$@" >"$work/$name.out" 2>&1 </dev/null &
  child=$!
}

# The same, waiting for its success.
train() { # NAME [KEY=VALUE | --option]…
  start "$@"
  wait $child || fail "train $*: exit status $?" "$(tail -20 "$work/$1.out")"
}

# The bits of a run: weights, the optimiser's state, and the metrics but for what a clock says.
bits() { # RUN STEP
  local checkpoint
  checkpoint=$1/checkpoints/step-$(printf %06d "$2")
  sha256sum <"$checkpoint/model.safetensors"
  sha256sum <"$checkpoint/weft-state.safetensors"
  sed -E 's/,"(tokens_per_second|step_ms)":[^,}]*//g' "$1/metrics.jsonl"
}
expect_equal_bits() { # RUN OTHER STEP WHAT
  local a b
  a=$(bits "$1" "$3")
  b=$(bits "$2" "$3")
  [[ $a == "$b" ]] || fail "$4: the bits differ at step $3" "$(diff <(echo "$a") <(echo "$b"))"
  checks=$((checks + 1))
}
# Nothing is left that was meant to be renamed.
expect_no_leftovers() { # FOLDER
  local left
  left=$(find "$1" -name '*.tmp*' -o -name '.*tmp*' | head)
  [[ -z $left ]] || fail "files are left half-written" "$left"
  checks=$((checks + 1))
}
