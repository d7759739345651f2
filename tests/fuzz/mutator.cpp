#include "tests/fuzz/mutator.h"

#include <algorithm>
#include <cstring>

namespace weft::fuzz {

// An integer that sizes and indices go wrong at: near zero, near a power of two, or any.
uint64_t Mutator::Integer() {
  uint64_t near = static_cast<uint64_t>(static_cast<int64_t>(Below(5)) - 2);
  switch (Below(4)) {
  case 0:
    return near;
  case 1:
    return (uint64_t{1} << Below(64)) + near;
  case 2:
    return ~(uint64_t{1} << Below(64)) + near;
  default:
    return random_() >> Below(64);
  }
}

// Little endian, of 1 to 8 bytes, mostly where an integer of that width would be aligned.
void Mutator::WriteInteger(std::string &text) {
  size_t width = size_t{1} << Below(4);
  if (text.size() < width) return;
  size_t at = Below(text.size() - width + 1);
  if (Below(4) != 0) at -= at % width;
  uint64_t value = 0;
  std::memcpy(&value, &text[at], width);
  value = Below(3) == 0 ? value + Below(33) - 16 : Integer();
  std::memcpy(&text[at], &value, width);
}

// In place of a run of digits, where there is one.
void Mutator::WriteDecimal(std::string &text) {
  size_t first = text.find_first_of("0123456789", Below(text.size()));
  if (first == text.npos) return;
  size_t end = std::min(text.find_first_not_of("0123456789", first), text.size());
  uint64_t value = Integer();
  std::string written = Below(4) == 0 ? std::to_string(static_cast<int64_t>(value)) : std::to_string(value);
  text.replace(first, end - first, written);
}

void Mutator::Change(std::string &text, const std::string &other) {
  if (text.empty()) text.push_back(static_cast<char>(random_()));
  size_t at = Below(text.size()), rest = text.size() - at;
  size_t length = 1 + Below(std::min<size_t>(rest, size_t{1} << Below(10)));
  switch (Below(13)) {
  case 0:
    text[at] = static_cast<char>(text[at] ^ (1 << Below(8)));
    break;
  case 1:
    text[at] = static_cast<char>(random_());
    break;
  case 2:
  case 3:
    WriteInteger(text);
    break;
  case 4:
    WriteDecimal(text);
    break;
  case 5: // cut off
    if (Below(4) == 0) text.resize(at);
    break;
  case 6:
    text.erase(at, length);
    break;
  case 7: // the same again, elsewhere
    text.insert(Below(text.size() + 1), std::string(text, at, length));
    break;
  case 8: // the same again and again: nesting, long runs
    if (Below(4) == 0) {
      std::string piece(text, at, std::min<size_t>(length, 8)), run;
      for (size_t i = size_t{1} << Below(13); i > 0; --i) run += piece;
      text.insert(at, run);
    }
    break;
  case 9:
    if (!words_.empty()) text.insert(at, words_[Below(words_.size())]);
    break;
  case 10:
    if (!words_.empty()) {
      const std::string &word = words_[Below(words_.size())];
      text.replace(at, std::min(rest, word.size()), word);
    }
    break;
  case 11: // this one's beginning, the other's end
    if (!other.empty()) text.replace(at, text.npos, other, Below(other.size()), other.npos);
    break;
  case 12:
    if (!other.empty()) {
      size_t from = Below(other.size());
      text.insert(at, other, from, 1 + Below(std::min<size_t>(other.size() - from, 256)));
    }
    break;
  }
  if (text.size() > most_bytes_) text.resize(most_bytes_);
}

std::string Mutator::Mutate(std::string input, const std::string &other) {
  for (size_t changes = size_t{1} << Below(4); changes > 0; --changes) Change(input, other);
  return input;
}

} // namespace weft::fuzz
