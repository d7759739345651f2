"""Writes what the `tokenizers` package makes of our files, for the tests beside this script to hold against.

    pip install tokenizers && python3 tests/runtime/data/make_goldens.py

goldens/tokenizer.json is Weft's own: the test BpeTrain.GivesTheVocabularyItGaveBefore writes it when WEFT_UPDATE_GOLDENS
is set. goldens/splits.json and goldens/ids.json are written here.
"""
import json
import pathlib
import random

from tokenizers import Regex, Tokenizer, pre_tokenizers

FOLDER = pathlib.Path(__file__).parent / "goldens"

REGEXES = {
    "llama3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
}
# What the rules turn on: breaks and blanks of all kinds, apostrophes, letters, digits, symbols, marks, odd planes.
PIECES = (
    list(" \t\n\r\v\f'a1!.") + ["\r\n", "  ", "\n\n", "'s", "'S", "'ll", "'lL", "'re", "'VE", "'\u017f", "'d", "n't"]
    + ["\u00a0", "\u0085", "\u2003", "\u2028", "\u3000", "\u200b", "\u00ad", "\u0301", "é", "ß", "я", "中", "ｱ", "٣", "²"]
    + ["½", "Ⅷ", "𝔘", "𝟗", "🙂", "\U0001f468\u200d\U0001f469", "ǅ", "ʰ", "_", "-", "—", "“", "\x00", "\x7f", "\ufffd", "\U0010ffff"]
)


def split_cases():
    rng = random.Random(20261122)
    texts = ["".join(rng.choice(PIECES) for _ in range(rng.randint(1, 12))) for _ in range(400)]
    for name, regex in REGEXES.items():
        split = pre_tokenizers.Split(Regex(regex), behavior="isolated")
        for text in texts:
            yield {"split": name, "text": text, "words": [w for w, _ in split.pre_tokenize_str(text)]}


def id_cases():
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    sample = (FOLDER / "sample.txt").read_bytes().decode()
    rng = random.Random(7)
    texts = [sample, "", " ", "<|endoftext|>", "one<|endoftext|>two <|endoftext|><|endoftext|>\n", "a" * 300, "ab" * 200]
    texts += ["".join(rng.choice(PIECES) for _ in range(rng.randint(1, 40))) for _ in range(100)]
    texts += ["".join(rng.choice(sample) for _ in range(200)) for _ in range(20)]
    for text in texts:
        tokenizer.encode_special_tokens = True
        plain = tokenizer.encode(text, add_special_tokens=False).ids
        assert tokenizer.decode(plain, skip_special_tokens=False) == text, text
        tokenizer.encode_special_tokens = False
        yield {"text": text, "ids": plain, "ids_with_specials": tokenizer.encode(text, add_special_tokens=False).ids}


def write(name, cases):
    lines = ",\n".join(json.dumps(c, ensure_ascii=True, separators=(",", ":")) for c in cases)
    (FOLDER / name).write_text("[\n" + lines + "\n]\n")


write("splits.json", split_cases())
write("ids.json", id_cases())
