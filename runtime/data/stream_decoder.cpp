#include <cstdint>
#include <utility>

#include "runtime/data/bpe.h"

namespace weft {
namespace {

// The bytes at the end of `text` that begin a UTF-8 sequence which more bytes could complete.
size_t IncompleteTail(std::string_view text) {
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto lead = static_cast<uint8_t>(text[text.size() - back]);
    if ((lead & 0xc0) == 0x80) continue; // a continuation: its lead is further back
    const size_t need = lead >= 0xc2 && lead < 0xe0    ? 2
                        : lead >= 0xe0 && lead < 0xf0  ? 3
                        : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                       : 1;
    if (need <= back) return 0;
    if (back == 1) return back;
    // The second byte rules out overlong forms, surrogates and values that are too large: those never
    // complete.
    const auto second = static_cast<uint8_t>(text[text.size() - back + 1]);
    const bool dead = (lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
                      (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f);
    return dead ? 0 : back;
  }
  return 0;
}

} // namespace

std::string StreamDecoder::Push(int32_t id) {
  held_ += tokenizer_.Decode({&id, 1}, skip_specials_);
  const size_t keep = IncompleteTail(held_);
  std::string out = held_.substr(0, held_.size() - keep);
  held_.erase(0, out.size());
  return out;
}

std::string StreamDecoder::Flush() { return std::exchange(held_, std::string()); }

} // namespace weft
