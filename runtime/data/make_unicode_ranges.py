"""Writes unicode_ranges.inc: general categories, \\s and \\p{Han} of every code point as the `tokenizers` package sees them.

    pip install tokenizers && python3 runtime/data/make_unicode_ranges.py > runtime/data/unicode_ranges.inc

The table is kept in the tree, rather than asked of ICU, so that a text has the same tokens on every machine.
"""
import tokenizers
from tokenizers import Regex, pre_tokenizers

# The order is that of Category in unicode.h; what is in none of them is Cn.
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co".split()


def members(pattern, marker):
    """Code points that match `pattern`, found by splitting each one from a neighbour that does not match."""
    split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    points = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF and c != ord(marker)]
    found = set()
    for base in range(0, len(points), 20000):
        text = "".join(chr(c) + marker for c in points[base : base + 20000])
        found.update(ord(p) for p, _ in split.pre_tokenize_str(text) if len(p) == 1 and p != marker)
    return sorted(found)


def class_members(name):
    if name == "Cc":  # the marker itself is one
        return members(r"\p{Cc}", "a")
    return members(rf"\p{{{name}}}", "\x01")


def ranges(points):
    out = []
    for c in points:
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def write(declaration, rows, per_line):
    print(f"constexpr {declaration} = {{")
    for i in range(0, len(rows), per_line):
        print("    " + ", ".join(rows[i : i + per_line]) + ",")
    print("};")


print(f"// Made by make_unicode_ranges.py with tokenizers {tokenizers.__version__}; do not edit.")
print("// clang-format off")
spans = []
for name in CATEGORIES:
    spans += [(a, b, name) for a, b in ranges(class_members(name))]
spans.sort()
assert all(x[1] < y[0] for x, y in zip(spans, spans[1:]))
write("CategoryRange kCategoryRanges[]", [f"{{0x{a:x}, 0x{b:x}, k{name}}}" for a, b, name in spans], 6)
for name, pattern in (("kSpaceRanges", r"\s"), ("kHanRanges", r"\p{Han}")):
    write(f"CodePointRange {name}[]", [f"{{0x{a:x}, 0x{b:x}}}" for a, b in ranges(members(pattern, "\x01"))], 8)
