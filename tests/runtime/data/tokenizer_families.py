"""Small tokenizers configured as those of well-known models are published, and texts that are hard on them.

Trained by the `tokenizers` package on a little text: what is the families' own is the normaliser, the pre-tokenizer, the
post-processor, the model's options and the kinds of added tokens.
"""
import json
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
DEEPSEEK3 = [
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
]
# Those of GPT-4 and GPT-4o, which have no scanner of their own in Weft.
CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s".replace("{1,3}+", "{1,3}")
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+",
])
# What the rules turn on: breaks and blanks of all kinds, apostrophes, letters, digits, symbols, marks, odd planes.
PIECES = (
    list(" \t\n\r\v\f'a1!.") + ["\r\n", "  ", "\n\n", "'s", "'S", "'ll", "'lL", "'re", "'VE", "'ſ", "'d", "n't"]
    + ["\u00a0", "\u0085", "\u2003", "\u2028", "\u3000", "\u200b", "\u00ad", "\u0301", "é", "ß", "я", "中", "ｱ", "٣", "²"]
    + ["½", "Ⅷ", "𝔘", "𝟗", "🙂", "👨\u200d👩", "ǅ", "ʰ", "_", "-", "—", "“", "\x00", "\x7f", "\ufffd", "\U0010ffff"]
)
# Compositions and their parts, Japanese, Korean, emoji sequences, unassigned and private characters, code, and added tokens.
MORE_PIECES = PIECES + (
    ["e\u0301", "A\u030a", "\u212b", "\u1100\u1161\u11a8", "각", "\u0344", "q\u0307\u0323", "ﬁ", "\u0958", "か\u3099", "が", "ア・イ", "ー", "゠"]
    + ["漢字", "ひらがな", "\u3040", "龥", "龦", "🏳️\u200d🌈", "🇩🇪", "👍🏽", "\ue000", "\u0378", "\u0e33", "สวัสดี", "שָׁלוֹם", "مرحبا", "नमस्ते"]
    + ["    ", "\t\t", "\n \n", " \n", "def f(x):\n    return x", ".split()", "1234567", "3.14", "<", "<|", "the", " the", "Hello", "HELLO wORLD"]
    + ["<|endoftext|>", "<|end", "<|endoftext|><|endoftext|>", "<think>", "</think>", "<thinking>", " <pad> ", "<pad>", "<word>", "<x>", "x<x><x>"]
    + ["e\u0301clair", "\u00e9clair", "<\u007f>", "\u200d", "\u2060", "\ufeff", "!a", "$ab", "-\u0301", " \u0301a", "\u0301"]
)


def hostile_text(rng, most=40, pieces=MORE_PIECES):
    return "".join(rng.choice(pieces) for _ in range(rng.randint(1, most)))


def random_text(rng, most=60):
    """Code points from anywhere."""
    def point():
        c = rng.choice((rng.randrange(0x20, 0x7f), rng.randrange(0x300), rng.randrange(0x3000), rng.randrange(0x11000), rng.randrange(0x110000)))
        return "a" if 0xd800 <= c <= 0xdfff else chr(c)
    return "".join(point() for _ in range(rng.randint(1, most)))


def split(*regexes):
    return [pre_tokenizers.Split(Regex(r), behavior="isolated") for r in regexes]


def byte_level(use_regex=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


SPECIAL = [AddedToken("<|endoftext|>", special=True, normalized=False), AddedToken("<pad>", special=True, normalized=False, lstrip=True, rstrip=True)]
PLAIN = [AddedToken("<think>", special=False, normalized=False), AddedToken("</think>", special=False, normalized=False),
         AddedToken("e\u0301clair", special=False, normalized=True), AddedToken("<word>", special=False, normalized=True, single_word=True),
         AddedToken("x<x>", special=False, normalized=False), AddedToken("<x><x>", special=False, normalized=False, rstrip=True)]

FAMILIES = {
    "llama3": dict(steps=split(LLAMA3) + [byte_level()], ignore_merges=True, template=True),
    "qwen2": dict(steps=split(QWEN2) + [byte_level()], normalizer=normalizers.NFC(), affixes=True, post=processors.ByteLevel(trim_offsets=False)),
    "deepseek3": dict(steps=split(*DEEPSEEK3) + [byte_level()], normalizer=normalizers.Sequence([]), post=processors.ByteLevel(trim_offsets=False)),
    "gpt2": dict(steps=[byte_level(True)]),
    "starcoder": dict(steps=[pre_tokenizers.Digits(individual_digits=True), byte_level(True)]),
    "cl100k": dict(steps=split(CL100K) + [byte_level()]),
    "o200k": dict(steps=split(O200K) + [byte_level()]),
    "bytes": dict(steps=[pre_tokenizers.Digits(individual_digits=False), byte_level()]),
}


def make(name, text, vocab):
    """A tokenizer of the family, trained on `text`, as the JSON that `tokenizers` writes."""
    family = FAMILIES[name]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(family["steps"]) if len(family["steps"]) > 1 else family["steps"][0]
    if "normalizer" in family:
        tokenizer.normalizer = family["normalizer"]
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False, min_frequency=2)
    tokenizer.train_from_iterator([text], trainer)
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.add_tokens(PLAIN)
    if "post" in family:
        tokenizer.post_processor = family["post"]
    if family.get("template"):
        bos = processors.TemplateProcessing(single="<|endoftext|> $A", pair="<|endoftext|> $A <|endoftext|>:1 $B:1",
                                            special_tokens=[("<|endoftext|>", tokenizer.token_to_id("<|endoftext|>"))])
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), bos])
    root = json.loads(tokenizer.to_str())
    root["model"]["ignore_merges"] = bool(family.get("ignore_merges"))
    if family.get("affixes"):
        root["model"]["continuing_subword_prefix"] = root["model"]["end_of_word_suffix"] = ""
    if family.get("ignore_merges"):  # some tokens that no merge makes, so that it matters
        root["model"]["merges"] = root["model"]["merges"][: len(root["model"]["merges"]) * 3 // 4]
    return json.dumps(root, ensure_ascii=False)


def ids(tokenizer, text):
    """What `tokenizers` gives for a document, a prompt, and a text with what the file puts around it."""
    tokenizer.encode_special_tokens = True
    plain = tokenizer.encode(text, add_special_tokens=False).ids
    tokenizer.encode_special_tokens = False
    return {"text": text, "ids": plain, "ids_with_specials": tokenizer.encode(text, add_special_tokens=False).ids,
            "ids_in_template": tokenizer.encode(text).ids}
