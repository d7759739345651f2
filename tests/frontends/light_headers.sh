#!/bin/sh
# light_headers.sh CXX INCLUDE MODEL: a model file reaches no MLIR, LLVM, Abseil or heavy standard header, and few lines in all.
set -e
lines=$("$1" -std=c++20 -E "-I$2" "$3")
for heavy in mlir/ llvm/ absl/ /functional /regex /iostream /sstream /algorithm /unordered_map; do
  if printf '%s\n' "$lines" | grep -q "^# [0-9]* \"[^\"]*$heavy\(\"\|[A-Za-z]\)"; then
    echo "a model file includes $heavy:" && printf '%s\n' "$lines" | grep "^# [0-9]* \"[^\"]*$heavy" | head -3
    exit 1
  fi
done
count=$(printf '%s\n' "$lines" | wc -l)
echo "$count preprocessed lines"
[ "$count" -lt 45000 ] || { echo "more than 45000: a model would no longer compile in about a second"; exit 1; }
