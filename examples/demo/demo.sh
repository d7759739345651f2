#!/usr/bin/env bash
# The demo: real text → tokenizer → compile → train → generate. usage: ./run demo [KEY=VALUE …]   (recipe keys, as train.steps=100)
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -d corpus/demo ] && [ -n "$(ls -A corpus/demo)" ] || examples/demo/corpus.sh corpus/demo
build/bin/weft train examples/demo/recipe.toml "$@"
echo
for prompt in "The history of" "People who work together" "It is often said that"; do
  echo "--- $prompt"
  build/bin/weft generate runs/demo --prompt "$prompt" --max-tokens 60 --temperature 0.8 --top-p 0.95 --seed 1
  echo
done
