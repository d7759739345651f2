#include "runtime/data/normalize.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uniset.h>

#include "runtime/data/unicode.h"

namespace weft {
namespace {

// Of the characters of Unicode 9.0, as `tokenizers` has it: what came later is a mark of no class there, and
// its order among others decides ids. Part of the library, without data files; null if it is broken.
const icu::Normalizer2 *Nfc() {
  static const icu::Normalizer2 *const normalizer = []() -> const icu::Normalizer2 * {
    UErrorCode error = U_ZERO_ERROR;
    const icu::Normalizer2 *nfc = icu::Normalizer2::getNFCInstance(error);
    auto *known =
        new icu::UnicodeSet(icu::UnicodeString("[:age=9.0:]"), error); // lives as long as the process
    if (U_FAILURE(error)) return nullptr;
    known->freeze();
    return new icu::FilteredNormalizer2(*nfc, *known);
  }();
  return normalizer;
}

// The bytes up to which no character can be part of a composition: those below U+0300.
size_t InertEnd(std::string_view text) {
  size_t at = 0;
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0xcc) ++at;
  return at;
}

size_t ValidEnd(std::string_view text, size_t at) {
  for (size_t length; at < text.size(); at += length)
    if (DecodeUtf8(text, at, length) == kInvalidCodePoint) break;
  return at;
}

icu::StringPiece Piece(std::string_view text) {
  return icu::StringPiece(text.data(), static_cast<int32_t>(text.size()));
}

} // namespace

bool HasNfc() { return Nfc() != nullptr; }

bool NormalizeNfc(std::string_view text, std::string &out) {
  constexpr size_t kMost = 1 << 30; // ICU counts in 32 bits
  const icu::Normalizer2 *nfc = Nfc();
  if (!nfc || InertEnd(text) == text.size()) return false;
  out.clear();
  bool changed = false;
  for (size_t at = 0; at < text.size();) {
    size_t end = ValidEnd(text, at);
    if (end - at > kMost) { // at a line, which nothing is composed across
      const size_t line = text.rfind('\n', at + kMost);
      end = line != text.npos && line > at ? line : at + kMost;
    }
    const std::string_view run = text.substr(at, end - at);
    UErrorCode error = U_ZERO_ERROR;
    if (InertEnd(run) == run.size() || nfc->isNormalizedUTF8(Piece(run), error)) {
      out += run;
    } else {
      error = U_ZERO_ERROR;
      const size_t before = out.size();
      icu::StringByteSink<std::string> sink(&out);
      nfc->normalizeUTF8(0, Piece(run), sink, nullptr, error);
      if (U_FAILURE(error)) out.resize(before), out += run;
      changed = true;
    }
    at = end;
    if (at < text.size() && ValidEnd(text, at) == at) out += text[at++]; // a byte that is not UTF-8
  }
  return changed;
}

} // namespace weft
