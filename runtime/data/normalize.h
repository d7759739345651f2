// Unicode normalisation form C, as a tokenizer.json may ask for before anything is cut.
#pragma once

#include <string>
#include <string_view>

namespace weft {

// Puts the normal form of `text` into `out` and returns true, or returns false when `text` is in it already.
// Bytes that are not UTF-8 stay as they are.
bool NormalizeNfc(std::string_view text, std::string &out);

} // namespace weft
