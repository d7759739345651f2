#!/usr/bin/env bash
# weft profile on compiled models: built in, of several ranks, and one's own; its page in a Chromium; and two compared.
source "$(dirname "$0")/lib.sh"
work=$(mktemp -d "$WEFT_WORK/profile-XXXXXX")
trap 'rm -rf "$work"' EXIT
export XDG_CACHE_HOME=$work/cache
cp -r "$WEFT_WORK/recipe.toml" "$WEFT_WORK/corpus" "$work"
mkdir "$work/run"
cp -r "$WEFT_WORK/reference"/{model.weft,model.weft.key,data} "$work/run/"

profile() { # FOLDER [KEY=VALUE | --option]…
  "$weft_binary" profile "$work/recipe.toml" "run.dir=$work/run" --steps 2 -o "$work/$1" "${@:2}" >"$work/$1.out" 2>"$work/$1.err" </dev/null ||
    fail "profile $*: exit status $?" "$(tail -20 "$work/$1.err")"
  local file
  for file in profile.json trace.json report.html; do [[ -s $work/$1/$file ]] || fail "profile $1 has no $file"; done
  expect_no_leftovers "$work/$1"
}
says() { # FOLDER TEXT…
  local text
  for text in "${@:2}"; do grep -qF -- "$text" "$work/$1.out" || fail "profile $1 does not say \"$text\"" "$(cat "$work/$1.out")"; done
  checks=$((checks + 1))
}

profile first
says first 'matmul_0' 'llama.cc:24 (layers.self_attn)' 'llama.cc:30 (layers.mlp.up_proj)' 'train_step.cpp' 'of roof' 'together' 'first values' 'fma '
! grep -q compiling "$work/first.err" || fail "what the run has compiled is compiled again" "$(cat "$work/first.err")"
# Each thread's parts are the step, and the kernels with all else, too.
awk '/= step, ms$/ { threads = 1; next } /^$/ { threads = 0 }
  threads { sum = 0; for (i = 2; i < NF; ++i) sum += $i; if (sum - $NF > 0.01 || $NF - sum > 0.01) exit 1 }' "$work/first.out" ||
  fail "a thread's parts are not the step" "$(cat "$work/first.out")"

# The same again, other sizes, and several ranks.
profile again
expect_says 'the same code and work' 'together' -- weft profile diff "$work/first" "$work/again"
profile long train.seq=64
expect_says 'setting: seq was 32 and is 64' 'sizes' -- weft profile diff "$work/first" "$work/long"
# All rows: where the machine is slow, other ones are the first twenty.
profile two_ranks run.plan=dp2 train.shards=2 --top 0
says two_ranks '2 ranks of ' 'rank, thread' 'all_reduce'
expect_says 'setting: data_parallel was 1 and is 2' 'all_reduce' -- weft profile diff "$work/first" "$work/two_ranks"
profile pipeline run.plan=pp2 --top 0
says pipeline '2 ranks of ' 'send' 'receive' 'other ranks'

# A model of one's own, by the lines of its file.
cp "$here/../../examples/my_model.cc" "$work/mine.cc"
sed -e 's/^name = .*/file = "mine.cc"/' -e '/^config = /d' "$work/recipe.toml" >"$work/mine.toml"
sed -i '/^\[model\]/a layers = 2\ndim = 64\nffn = 128\nheads = 4\nkv_heads = 2' "$work/mine.toml"
"$weft_binary" profile "$work/mine.toml" "run.dir=$work/none" --steps 1 -o "$work/mine" --top 0 >"$work/mine.out" 2>&1 </dev/null ||
  fail "a model of one's own" "$(tail -20 "$work/mine.out")"
says mine 'mine.cc:'
[[ ! -e $work/none ]] || fail "the run directory was made"

# Errors, and a disk that is full.
expect_error 1 'data.train names no text' -- "$weft_binary" profile "$work/recipe.toml" 'data.train=[]' -o "$work/e"
expect_error 1 'unknown key train.stpes' 'did you mean train.steps' -- "$weft_binary" profile "$work/recipe.toml" train.stpes=3 -o "$work/e"
expect_error 1 'cannot create' -- "$weft_binary" profile "$work/recipe.toml" "run.dir=$work/run" -o /proc/nothing
cp "$work/first/profile.json" "$work/cut.json"
truncate -s -100 "$work/cut.json"
expect_error 1 "$work/cut.json: is not a JSON object" -- "$weft_binary" profile diff "$work/first" "$work/cut.json"
full() { (ulimit -f 400; exec "$weft_binary" profile "$work/recipe.toml" "run.dir=$work/run" --steps 12 -o "$work/first"); } # KiB a file: the artifact fits
expect_error 1 'trace.json' -- full
expect_no_leftovers "$work/first"
[[ -s $work/first/profile.json ]] || fail "the old profile is gone"

cp "$work/again/report.html" "$work/tried.html"
cat >>"$work/tried.html" <<'END'
<script>
const said = [], say = (what, x) => said.push(what + '=' + x), all = x => [...document.querySelectorAll(x)];
window.addEventListener('error', e => say('error', e.message));
say('drawn', document.body.dataset.drawn);
say('wide', document.documentElement.scrollWidth <= innerWidth);
say('dots', all('#roofline .dot').length > 5);
say('roofs', all('#roofline .roof').length >= 2);
say('modules', all('.icicle rect').length > 10);
say('threads', all('.stack').length);
say('memory', all('#memory path').length);
const rows = () => all('#kernels tr.kernel').length, many = rows(), search = all('#kernels input')[0];
search.value = 'matmul_0', search.dispatchEvent(new Event('input'));
say('found', rows() >= 1 && rows() < many);
search.value = '', search.dispatchEvent(new Event('input'));
const first = () => all('#kernels tr.kernel td')[0].textContent, longest = first(), heads = all('#kernels th');
heads[2].click();
say('sorted', first() !== longest && heads[2].getAttribute('aria-sort') === 'ascending');
heads[2].click();
say('back', first() === longest);
all('#kernels tr.kernel')[0].click();
say('detail', all('#kernels .detail dl').length);
say('chosen', all('.dot.chosen').length);
all('.icicle g')[1].dispatchEvent(new MouseEvent('click'));
say('zoomed', all('.icicle rect').length > 0);
all('button').forEach(b => b.click());
say('nan', all('svg *').some(e => [...e.attributes].some(a => /NaN|undefined|Infinity/.test(a.value))));
document.body.dataset.said = said.join(' ');
</script>
END
expect_page "$work/tried.html" drawn=yes wide=true dots=true roofs=true modules=true memory=1 found=true sorted=true back=true detail=1 chosen=1 zoomed=true nan=false
done_testing
