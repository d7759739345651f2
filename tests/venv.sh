# A Python venv with what a requirements file names, made once: `python_venv FOLDER REQUIREMENTS` sets PYTHON, unless it is set.
# A line "torch" is taken from PyTorch's index of CPU builds where that can be reached, which is smaller.
python_venv() {
  local folder=$1 requirements=$2 index=https://download.pytorch.org/whl/cpu
  [ -z "${PYTHON:-}" ] || return 0
  PYTHON=$folder/bin/python
  ! cmp -s "$requirements" "$folder/complete" || return 0 # else there is none yet, or it lacks a package
  local torch=() size=1.5 kilobytes=2000000
  if curl -sfI -m 10 "$index/torch/" >/dev/null 2>&1; then
    torch=(--index-url "$index")
  else # PyPI's wheel of torch brings CUDA's libraries along
    size=6 kilobytes=9000000
  fi
  echo "making $folder: PyTorch and the others take about $size GB of disk there, and as much of pip's cache and /tmp while it works"
  mkdir -p "$folder"
  local free
  free=$(df --output=avail -k "$folder" | tail -1)
  [ "$free" -ge "$kilobytes" ] || { echo "error: $((free / 1000000)) GB are free in $folder when it should be $((kilobytes / 1000000)) GB" >&2; exit 1; }
  python3 -m venv "$folder"
  "$PYTHON" -m pip install --quiet --no-cache-dir "${torch[@]}" torch
  "$PYTHON" -m pip install --quiet --no-cache-dir -r "$requirements"
  cp "$requirements" "$folder/complete"
}
