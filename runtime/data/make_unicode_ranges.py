"""Writes unicode_ranges.inc: the code points in \\p{L}, \\p{N} and \\s as the `tokenizers` package sees them.

    pip install tokenizers && python3 runtime/data/make_unicode_ranges.py > runtime/data/unicode_ranges.inc

The table is kept in the tree, rather than asked of ICU, so that a text has the same tokens on every machine.
"""
import tokenizers
from tokenizers import Regex, pre_tokenizers


def members(pattern):
    """Code points that match `pattern`, found by splitting each one from a neighbour that does not match."""
    split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    points = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF and c != 1]
    found = []
    for base in range(0, len(points), 20000):
        text = "".join(chr(c) + "\x01" for c in points[base : base + 20000])
        found += [ord(p) for p, _ in split.pre_tokenize_str(text) if len(p) == 1 and p != "\x01"]
    return sorted(set(found))


def ranges(points):
    out = []
    for c in points:
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


print(f"// Made by make_unicode_ranges.py with tokenizers {tokenizers.__version__}; do not edit.")
print("// clang-format off")
for name, pattern in (("kLetterRanges", r"\p{L}"), ("kNumberRanges", r"\p{N}"), ("kSpaceRanges", r"\s")):
    rows = [f"{{0x{a:x}, 0x{b:x}}}" for a, b in ranges(members(pattern))]
    print(f"constexpr CodePointRange {name}[] = {{")
    for i in range(0, len(rows), 6):
        print("    " + ", ".join(rows[i : i + 6]) + ",")
    print("};")
