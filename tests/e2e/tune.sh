#!/usr/bin/env bash
# Schedules and fusions chosen by measuring: no bit changes, every later compilation finds them, and whatever the cache holds does no
# harm.
source "$(dirname "$0")/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-tune-XXXXXX")
trap 'rm -rf "$work"' EXIT
unset WEFT_TUNING_CACHE
export XDG_CACHE_HOME=$work/cache
make_recipe
sed -i 's/^config = .*/config = "tiny"\ndim = 128\nffn = 256\nlayers = 2/; s/^seq = .*/seq = 128/' "$work/recipe.toml"
kept=$work/cache/weft/schedules
compile() { weft compile "$work/recipe.toml" -o "$work/x.weft" "$@"; }
times() { weft inspect "$1" --kernels | grep -c ' \*  ' || true; } # kernels with another schedule

# Nothing is known, nothing is said, nothing is written.
compile >"$work/plain.out" 2>&1 || fail "it does not compile" "$(cat "$work/plain.out")"
! grep -q '^tuned' "$work/plain.out" || fail "it has tuned without being asked" "$(cat "$work/plain.out")"
[[ ! -e $kept ]] || fail "there are files in the cache"
cp "$work/x.weft" "$work/plain.weft"
train plain

# Measured, kept, and found again without a flag; with a flag nothing is left to do.
expect_says 'tuned: ' '(0 known before)' 'tuning 1 of ' -- compile --tune=20
expect_no_leftovers "$kept"
(($(ls "$kept" | wc -l) > 0)) || fail "nothing is kept"
# A slow machine has not come to the kernels that take little: another call goes on.
sums() { grep -l 'reduce_dims = 1' "$kept"/*.json | xargs -r grep -l 'kernel.loops'; }
for round in {1..12}; do
  [[ -z $(sums) ]] || break
  compile --tune=20 >"$work/again.out" 2>&1 || fail "it does not go on" "$(cat "$work/again.out")"
done
number=$(ls "$kept" | wc -l)
expect_says "($number known before)" '(from cache)' 'tune: ' -- compile --remarks='tune: '
expect_says "($number known before)" -- compile --tune=1
expect_says 'from cache' -- weft inspect "$work/x.weft" --remarks

# Sums over rows in other blocks, whatever the measuring gave: the same bits after training.
changed=0
for file in $(sums); do
  python3 - "$file" <<'END'
import json, sys
kept = json.load(open(sys.argv[1]))
kept["schedule"] = dict(kept["own"], block_m=32)
json.dump(kept, open(sys.argv[1], "w"))
END
  changed=$((changed + 1))
done
((changed > 0)) || fail "no sum over rows was measured" "$(grep -ho 'kernel\.[a-z]*' "$kept"/*.json | sort | uniq -c)"
expect_says 'block_m 16 → 32' -- compile --remarks='tune: '
(($(times "$work/x.weft") > 0)) || fail "weft inspect --kernels does not mark them"
expect_says 'chosen by measuring' -- weft inspect "$work/x.weft"
kernel=$(weft inspect "$work/x.weft" --json | python3 -c 'import json, sys; print([k["name"] for k in json.load(sys.stdin)["kernels"] if k["tuned"]][0])')
expect_says 'schedule chosen by measuring' -- weft inspect "$work/x.weft" --source "$kernel"
train tuned
grep -q '^tuned: ' "$work/tuned.out" || fail "training does not say that it has tuned kernels" "$(cat "$work/tuned.out")"
expect_equal_bits "$work/plain" "$work/tuned" 8 "tuned schedules"
# By the recipe's key, which weft train --tune sets.
train flag --tune
grep -q '^tune = 60' "$work/flag/recipe.toml" || fail "--tune is not in the run's recipe"
expect_equal_bits "$work/plain" "$work/flag" 8 "weft train --tune"

# What is computed behind a product: measured and kept likewise, here turned round, whatever the measuring gave. A product that the
# machine had no time for is not there.
fusions=$work/cache/weft/fusions
expect_no_leftovers "$fusions"
products=$(ls "$fusions" | wc -l)
((products > 0)) || fail "nothing is known of what is computed behind products"
expect_says "products have a faster way to compute what reads them ($products known before)" 'behind the product that they read' -- compile --remarks='tune: '
python3 - "$fusions"/*.json <<'END'
import json, re, sys
for name in sys.argv[1:]:
    kept = json.load(open(name))
    values = [int(n) for n in re.findall(r"^value (\d+):", kept["key"], re.M)]
    kept["behind"], kept["apart"] = ([], values) if not kept["apart"] else (values, [])
    json.dump(kept, open(name, "w"))
END
expect_says 'tuned: ' ' products have a faster way' ' of them: ' -- compile --remarks='tune: '
! cmp -s "$work/plain.weft" "$work/x.weft" || fail "turning fusions round changes nothing"
train fused
grep -q 'products have a faster way' "$work/fused.out" || fail "training does not say it" "$(cat "$work/fused.out")"
expect_equal_bits "$work/plain" "$work/fused" 8 "other fusions"

# Another number of threads is another machine; and it can be left out.
compile --set run.threads=3 >"$work/other.out" 2>&1
! grep -q '^tuned' "$work/other.out" || fail "schedules of 1 thread are taken for 3" "$(cat "$work/other.out")"
WEFT_TUNING_CACHE=off compile >"$work/off.out" 2>&1
! grep -q '^tuned' "$work/off.out" || fail "WEFT_TUNING_CACHE=off is not heeded" "$(cat "$work/off.out")"
cmp -s "$work/plain.weft" "$work/x.weft" || fail "without the cache it is not the artifact that it was"
checks=$((checks + 3))

# Files that are empty, cut, nonsense, of another kernel, no file at all, or name a schedule that nobody would measure.
# Several of each: not every file is of a kernel that this compilation asks for.
cp -r "$work/cache" "$work/bad"
i=0
for file in "$work/bad/weft"/fusions/*.json; do
  tr '\n' ' ' <"$file" | sed 's/"apart": \[[^]]*\]/"apart": [77777]/' >"$work/changed" && mv "$work/changed" "$file"
done
for file in "$work/bad/weft/schedules"/*.json; do
  case $((i++ % 6)) in
  0) : >"$file" ;;
  1) truncate -s 100 "$file" ;;
  2) head -c 3000 /dev/urandom >"$file" ;;
  3) sed -i 's/threads 1,/threads 2,/' "$file" ;;
  4) rm "$file" && mkdir "$file" ;;
  5) python3 -c '
import json, sys
kept = json.load(open(sys.argv[1]))
kept["schedule"]["block_n"] = 1 << 20
json.dump(kept, open(sys.argv[1], "w"))' "$file" ;;
  esac
done
export XDG_CACHE_HOME=$work/bad
expect_says 'is not a JSON object; it is not used' 'is of another kernel or machine; it is not used' 'is not a regular file; it is not used' \
  "is none of the kernel's candidates; it is not used" 'has a way to fuse that is none of the product' \
  'compiled llama' -- compile
export XDG_CACHE_HOME=$work/recipe.toml # a file
expect_says 'what was measured is not kept' 'tuned: ' -- compile --tune=4

expect_error 2 '--tune is soon when it should be a whole number of seconds' -- compile --tune=soon
expect_error 1 'run.tune' -- compile --set run.tune=-1
done_testing
