#!/usr/bin/env bash
# An artifact that does not fit on the disk, or whose compiler has no room for its own files, is an error that says so; nothing
# half-written is left, and with room the run goes on. Checkpoints, metrics and data on a full disk: tests/cli/full_disk_test.cpp.
if [[ -z ${WEFT_OWN_MOUNTS:-} ]]; then
  unshare -rm true 2>/dev/null || { echo "SKIPPED: no mount namespace can be made here"; exit 77; }
  WEFT_OWN_MOUNTS=1 exec unshare -rm bash "$0" "$@"
fi
source "$(dirname "$0")/lib.sh"
FROM=$WEFT_WORK/reference
work=$(mktemp -d "$WEFT_WORK/disk-XXXXXX")
trap 'umount "$work"/disk "$work"/tmp 2>/dev/null; rm -rf "$work"' EXIT
cp -r "$WEFT_WORK/recipe.toml" "$WEFT_WORK/corpus" "$work"
cd "$work"
mkdir disk tmp
mount -t tmpfs -o size=64m none disk || skip "no tmpfs can be mounted here"
mount -t tmpfs -o size=40k none tmp

mkdir disk/run
cp -r "$FROM"/{data,tokenizer.json} disk/run
mount -o remount,size=$(($(du -sk disk | cut -f1) + 100))k disk # an artifact takes more
expect_error 1 'disk/run/model.weft' 'No space left on device' 'weftc could not compile' -- weft train recipe.toml run.dir=disk/run
[[ ! -e disk/run/model.weft ]] || fail "an artifact that did not fit is there"
expect_no_leftovers disk
mount -o remount,size=64m disk
compiling() { TMPDIR=$work/tmp weft train recipe.toml run.dir=disk/run; }
expect_error 1 'weftc could not compile' -- compiling
[[ ! -e disk/run/model.weft ]] || fail "an artifact of a compiler without room is there"
expect_no_leftovers disk
[[ -z $(ls -A tmp) ]] || fail "the compiler leaves files" "$(ls -A tmp)"
expect_says 'saved' -- weft train recipe.toml run.dir=disk/run
done_testing
