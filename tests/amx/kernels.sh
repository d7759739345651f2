#!/usr/bin/env bash
# Runs a test of code generation (tests/compiler/codegen) and then its kernels with AMX on the emulated processor, which
# must compute the same bits: kernels.sh TEST
#   PYTHON=…  an interpreter that has requirements.txt's packages (build/amx-venv, which run.sh makes); the exit status is
#             77 if there is none
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export PYTHON=${PYTHON:-$here/../../build/amx-venv/bin/python}
if ! why=$(PYTHONPATH=$here "$PYTHON" -c 'import run_kernel' 2>&1); then
  echo "skipped: ${why##*$'\n'}; tests/amx/run.sh makes a Python venv for the emulated processor"
  exit 77
fi
jobs=$(mktemp -d "${TMPDIR:-/tmp}/weft-amx-XXXXXX")
trap 'rm -rf "$jobs"' EXIT
WEFT_AMX_JOBS=$jobs "$1"
"$here/run.sh" "$jobs"
