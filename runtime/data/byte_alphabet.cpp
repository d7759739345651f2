#include "runtime/data/byte_alphabet.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "runtime/data/unicode.h"

namespace weft {
namespace {

struct Alphabet {
  std::string text[256];  // by byte: UTF-8
  int16_t byte_of[0x144]; // by code point; -1 where it is no byte
  Alphabet() {
    std::fill(std::begin(byte_of), std::end(byte_of), int16_t{-1});
    uint32_t other = 0x100;
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
      const uint32_t point = printable ? static_cast<uint32_t>(b) : other++;
      AppendUtf8(point, text[b]);
      byte_of[point] = static_cast<int16_t>(b);
    }
  }
};

const Alphabet &ByteAlphabet() {
  static const Alphabet alphabet;
  return alphabet;
}

} // namespace

std::string ToByteAlphabet(std::string_view bytes) {
  std::string out;
  for (char c : bytes) out += ByteAlphabet().text[static_cast<uint8_t>(c)];
  return out;
}

bool FromByteAlphabet(std::string_view text, std::string &bytes) {
  bytes.clear();
  for (size_t at = 0, length = 0; at < text.size(); at += length) {
    const uint32_t point = DecodeUtf8(text, at, length);
    if (point >= std::size(ByteAlphabet().byte_of) || ByteAlphabet().byte_of[point] < 0) return false;
    bytes += static_cast<char>(ByteAlphabet().byte_of[point]);
  }
  return true;
}

} // namespace weft
