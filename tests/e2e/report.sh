#!/usr/bin/env bash
# report.html: what it holds after a run with samples, and, where there is a Chromium, that it draws it and answers the pointer.
source "$(dirname "$0")/lib.sh"
FROM=$WEFT_WORK/reference
work=$(mktemp -d "$WEFT_WORK/report-XXXXXX")
trap 'rm -rf "$work"' EXIT
cp -r "$WEFT_WORK/recipe.toml" "$WEFT_WORK/corpus" "$work"
train run train.steps=24 train.patience=100 train.spike=warn train.spike_window=4 train.spike_deviations=0.5 \
  'run.sample_prompts=["The ", "</script><b>x</b>"]' run.sample_tokens=8
page=$work/run/report.html
[[ -s $page ]] || fail "there is no report.html"
[[ $(grep -c '"prompt":"The "' "$work/run/samples.jsonl") == 6 ]] || fail "samples.jsonl lacks lines" "$(cat "$work/run/samples.jsonl")"
expect_no_leftovers "$work/run"

# Samples of several ranks are those of one: the weights are the same.
for plan in dp2 pp2; do
  mkdir "$work/$plan"
  cp -r "$FROM/data" "$work/$plan/"
  train $plan train.steps=24 run.plan=$plan train.shards=2 train.micro_batch=4 'run.sample_prompts=["The "]' run.sample_tokens=8
done
train one train.steps=24 train.shards=2 train.micro_batch=4 'run.sample_prompts=["The "]' run.sample_tokens=8
for plan in dp2 pp2; do
  cmp "$work/one/samples.jsonl" "$work/$plan/samples.jsonl" || fail "$plan: other samples"
  checks=$((checks + 1))
done
expect_error 1 'a prompt of run.sample_prompts has 0 tokens when it should have 1 to 32' -- \
  "$weft_binary" train "$work/recipe.toml" "run.dir=$work/one" --resume train.steps=30 'run.sample_prompts=[""]'

# The page with a script behind it that does what a reader does.
cat - "$page" <<<"" >"$work/tried.html"
cat >>"$work/tried.html" <<'END'
<script>
const said = [], say = (what, x) => said.push(what + '=' + x), all = x => [...document.querySelectorAll(x)];
window.addEventListener('error', e => say('error', e.message));
say('drawn', document.body.dataset.drawn);
say('charts', all('svg').length);
say('curves', all('#main-chart polyline').length);
say('injected', all('b').filter(e => e.textContent === 'x').length);
say('samples', all('.sample').length);
say('owners', all('#memory tr').length > 6);
say('wide', document.documentElement.scrollWidth <= innerWidth);
const svg = all('#main-chart svg')[0], box = svg.getBoundingClientRect(), readout = all('#main-chart .readout')[0];
const pointer = (type, x) => svg.dispatchEvent(new PointerEvent(type, {clientX: x, clientY: box.top + 50}));
pointer('pointermove', box.left + 50);
say('first', readout.textContent.startsWith('step 1 '));
pointer('pointermove', box.right);
say('last', readout.textContent.startsWith('step 24 '));
svg.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft'}));
say('before', readout.textContent.startsWith('step 23 '));
all('button').forEach(b => b.click());
say('nan', all('svg *').some(e => [...e.attributes].some(a => /NaN|undefined|Infinity/.test(a.value))));
document.body.dataset.said = said.join(' ');
</script>
END
expect_page "$work/tried.html" drawn=yes curves=2 injected=0 samples=2 owners=true wide=true first=true last=true before=true nan=false
done_testing
