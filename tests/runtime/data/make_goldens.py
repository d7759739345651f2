"""Writes what the `tokenizers` package makes of texts, for the tests beside this script to hold against.

    pip install tokenizers && python3 tests/runtime/data/make_goldens.py

goldens/tokenizer.json is Weft's own: the test BpeTrain.GivesTheVocabularyItGaveBefore writes it when WEFT_UPDATE_GOLDENS
is set. goldens/splits.json, goldens/ids.json, and goldens/FAMILY.json and FAMILY.ids.json of tokenizer_families.py are
written here.
"""
import json
import pathlib
import random

from tokenizers import Tokenizer, pre_tokenizers

import tokenizer_families as families

FOLDER = pathlib.Path(__file__).parent / "goldens"
REGEXES = {"llama3": [families.LLAMA3], "qwen2": [families.QWEN2], "gpt2": [families.GPT2], "deepseek3": families.DEEPSEEK3}
PIECES = families.PIECES


def split_cases():
    rng = random.Random(20261122)
    texts = ["".join(rng.choice(PIECES) for _ in range(rng.randint(1, 12))) for _ in range(400)]
    more = [families.hostile_text(rng, 12) for _ in range(80)]
    for name, regexes in REGEXES.items():
        split = pre_tokenizers.Sequence(families.split(*regexes))
        for text in texts + more:
            yield {"split": name, "text": text, "words": [w for w, _ in split.pre_tokenize_str(text)]}


def long_words(rng, sample):
    """Words of several windows (bpe_merge.h): letters of prose, one letter, DNA, Chinese, symbols, what is not assigned."""
    yield "".join(c for c in sample if c.isalpha())[:3000]
    yield "e" * 1999
    yield "=" * 1500 + "-" * 700
    for letters, count in (("ACGT", 3000), ("ab", 1500), ("etaoin", 2000), ("!?.,;:\u2026\u20ac", 1000)):
        yield "".join(rng.choice(letters) for _ in range(count))
    for first, last in ((0x4E00, 0x9FA5), (0x4E00, 0x4E10), (0x1F600, 0x1F64F), (0xE000, 0xE0FF)):
        yield "".join(chr(rng.randint(first, last)) for _ in range(700))


def id_cases():
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    sample = (FOLDER / "sample.txt").read_bytes().decode()
    rng = random.Random(7)
    texts = [sample, "", " ", "<|endoftext|>", "one<|endoftext|>two <|endoftext|><|endoftext|>\n", "a" * 300, "ab" * 200]
    texts += ["".join(rng.choice(PIECES) for _ in range(rng.randint(1, 40))) for _ in range(100)]
    texts += ["".join(rng.choice(sample) for _ in range(200)) for _ in range(20)]
    texts += long_words(rng, sample)
    for text in texts:
        tokenizer.encode_special_tokens = True
        plain = tokenizer.encode(text, add_special_tokens=False).ids
        assert tokenizer.decode(plain, skip_special_tokens=False) == text, text
        tokenizer.encode_special_tokens = False
        yield {"text": text, "ids": plain, "ids_with_specials": tokenizer.encode(text, add_special_tokens=False).ids}


def family_cases(name, path):
    tokenizer = Tokenizer.from_file(str(path))
    sample = (FOLDER / "sample.txt").read_bytes().decode()
    rng = random.Random(9)
    texts = ["", " ", sample[:500], "a" * 100, " " * 70 + "x", "\n" * 70, "\u0301" * 70, "1" * 70]
    texts += [families.hostile_text(rng) for _ in range(24)] + [families.random_text(rng) for _ in range(12)]
    for text in texts:
        yield families.ids(tokenizer, text)


def write(name, cases):
    lines = ",\n".join(json.dumps(c, ensure_ascii=True, separators=(",", ":")) for c in cases)
    (FOLDER / name).write_text("[\n" + lines + "\n]\n")


write("splits.json", split_cases())
write("ids.json", id_cases())
corpus = (FOLDER / "sample.txt").read_bytes().decode() + "".join(families.hostile_text(random.Random(i)) for i in range(300))
for token in families.SPECIAL:  # merges do not make them
    corpus = corpus.replace(token.content, " ")
for name in families.FAMILIES:
    path = FOLDER / f"{name}.json"
    path.write_text(families.make(name, corpus, 420) + "\n")
    write(f"{name}.ids.json", family_cases(name, path))
