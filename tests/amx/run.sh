#!/usr/bin/env bash
# Runs tests/amx with an interpreter that has its packages: run.sh JOB calls a kernel and run.sh FOLDER those of all jobs
# in it (run_kernel.py), run.sh alone checks the emulated processor (test_emulated.py).
#   PYTHON=…  an interpreter (CPython 3.11) that has requirements.txt's packages; otherwise a venv is made in
#             build/amx-venv
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd) venv=$(cd "$(dirname "$0")/../.." && pwd)/build/amx-venv
if [ -z "${PYTHON:-}" ]; then
  PYTHON=$venv/bin/python
  if [ ! -e "$venv/complete" ]; then
    python3.11 -m venv "$venv" >&2
    "$PYTHON" -m pip install --quiet --no-cache-dir -r "$here/requirements.txt" >&2
    touch "$venv/complete"
  fi
fi
if [ $# -gt 0 ]; then exec "$PYTHON" "$here/run_kernel.py" "$@"; fi
exec "$PYTHON" "$here/test_emulated.py"
