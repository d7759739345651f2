#!/usr/bin/env bash
# Makes the golden curves (*.curve) anew: PyTorch's losses and gradient norms over the 50 steps of each recipe here,
# from Weft's step-0 checkpoint and the same batches (tests/interop/llama_torch.py; f64, so that none of the digits
# kept depends on the machine). Needed when a recipe, the text, an initialiser or the order of the data changes.
#
# usage: [PYTHON=build/interop-venv/bin/python] tests/goldens/make_goldens.sh [NAME…]
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-build/interop-venv/bin/python} weft=${WEFT:-build/bin/weft}
[ -x "$(command -v "$python")" ] || { echo "error: no $python; ./run interop makes it" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- llama llama_odd llama_moments qwen2 qwen3 deepseek_v3 deepseek_v3_mtp
for name in "$@"; do
  "$weft" train "tests/goldens/$name.toml" run.dir="$work/$name" run.save_initial=true
  # The curve is PyTorch's own; what differs from Weft's is shown and fails here, but is written all the same.
  "$python" tests/interop/llama_torch.py "$work/$name" --dtype f64 --write-curve "tests/goldens/$name.curve"
done
