// Random changes to a file, decided by a seed alone.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace weft::fuzz {

class Mutator {
public:
  // No result has more than `most_bytes`.
  Mutator(uint64_t seed, std::vector<std::string> words, size_t most_bytes)
      : random_(seed), words_(std::move(words)), most_bytes_(most_bytes) {}

  // `input` changed in one to eight places; some changes take from `other`.
  std::string Mutate(std::string input, const std::string &other);
  // A number in [0, end), which must not be empty.
  size_t Below(size_t end) { return random_() % end; }

private:
  void Change(std::string &text, const std::string &other);
  void WriteInteger(std::string &text);
  void WriteDecimal(std::string &text);
  uint64_t Integer();

  std::mt19937_64 random_; // the standard fixes its numbers, unlike those of distributions
  std::vector<std::string> words_;
  size_t most_bytes_;
};

} // namespace weft::fuzz
