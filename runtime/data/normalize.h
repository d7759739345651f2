// Unicode normalisation form C, as a tokenizer.json may ask for before anything is cut.
#pragma once

#include <string>
#include <string_view>

namespace weft {

// Whether the library can: if not, a tokenizer that asks for it must be refused.
bool HasNfc();

// Puts the normal form of `text` into `out` and returns true, or returns false when `text` is in it already.
// Bytes that are not UTF-8 stay as they are. Needs HasNfc.
bool NormalizeNfc(std::string_view text, std::string &out);

} // namespace weft
