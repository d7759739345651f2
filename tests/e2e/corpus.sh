#!/usr/bin/env bash
# corpus.sh FOLDER: writes the text that these tests train on: about 80 KB of made-up prose in files of uneven
# length, and one with bytes that are hostile to a tokenizer. The same bytes on every machine.
set -euo pipefail
export LC_ALL=C
folder=$1
mkdir -p "$folder"

# A file of about $3 sentences. Numbers come from a linear congruential generator within 2^53, so that every
# awk agrees.
prose() { # FILE SEED SENTENCES
  awk -v seed="$2" -v sentences="$3" '
    function draw(n) { state = (state * 69069 + 12345) % 4294967296; return int(state / 65536) % n }
    function pick(list, parts, n) { n = split(list, parts, "|"); return parts[1 + draw(n)] }
    function subject() { return pick("the|a|every|no|this|her") " " (draw(3) ? "" : pick("old|silent|crooked|seventh|blue|well-read") " ") \
      pick("sailor|clock|garden|letter|machine|river|teacher|crow|window|promise|engine|orchard") }
    function verb() { return pick("remembers|crosses|repairs|forgets|follows|counts|borrows|hides|answers|measures") }
    function sentence(text) {
      text = subject() " " verb() " " subject()
      if (draw(2)) text = text ", " pick("and|but|while|because|although") " " subject() " " verb() " " subject()
      if (!draw(5)) text = text " (" draw(10000) ")"
      if (!draw(9)) text = "\"" text "\", said " pick("Anna|Mr. Okonkwo|José|the captain|nobody")
      return toupper(substr(text, 1, 1)) substr(text, 2) pick(".|.|.|!|?|…")
    }
    BEGIN {
      state = seed
      for (i = 1; i <= sentences; ++i) printf "%s%s", sentence(), i == sentences ? "\n" : draw(6) ? " " : "\n\n"
    }' >"$folder/$1"
}

prose a_long_story.txt 1 700
prose notes.txt 2 120
prose one_line.txt 3 1
prose diary.txt 4 400
prose letters.txt 5 60

{
  printf '\357\273\277A byte order mark, then lines\r\nwith carriage returns\rand \0 zero bytes \0\0.\n'
  printf 'Not UTF-8: \377\376 \200\200 \300\257 \355\240\200 \364\220\200\200 cut off: \360\237\221\n'
  printf 'An ending by name: <|endoftext|> and half of one <|endof\n'
  printf 'Families \360\237\221\250\342\200\215\360\237\221\251\342\200\215\360\237\221\247, e\314\201\314\201\314\201, \330\247\331\204\330\271, \344\270\255\346\226\207\n'
  printf '%0300d\n' 0
  printf '%400s|\n\t\t\t\n' ''
} >"$folder/hostile.txt"
