// GPT-2's way to write any bytes as printable text, in which tokenizer.json spells its tokens: printable
// Latin-1 stands for itself, the other bytes follow from U+0100 on, in order. A space is U+0120, "Ġ".
#pragma once

#include <string>
#include <string_view>

namespace weft {

std::string ToByteAlphabet(std::string_view bytes);

// The bytes that `text` spells, or false when one of its characters is not in the alphabet.
bool FromByteAlphabet(std::string_view text, std::string &bytes);

} // namespace weft
