// UTF-8 decoding and the three character classes that the tokenizer's split rule asks about.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

// What `DecodeUtf8` gives for a byte that starts no valid sequence; it is no code point.
inline constexpr uint32_t kInvalidCodePoint = 0xffffffff;

// Decodes the sequence at text[at] (at < text.size()), strictly: no overlong forms, surrogates or values
// above U+10FFFF. `length` is its bytes; an invalid byte gives kInvalidCodePoint and length 1.
uint32_t DecodeUtf8(std::string_view text, size_t at, size_t &length);

// Appends the UTF-8 form of `code_point`; surrogates and values above U+10FFFF become U+FFFD.
void AppendUtf8(uint32_t code_point, std::string &out);

bool IsValidUtf8(std::string_view text);

// Classes of Unicode 16, as a table of our own: the same on every machine, whatever its ICU.
enum class CharClass : uint8_t { kOther, kLetter, kNumber, kSpace };

// \p{L}, \p{N}, \s (White_Space), or none of them; kInvalidCodePoint is kOther.
CharClass ClassOf(uint32_t code_point);

} // namespace weft
