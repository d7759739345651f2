// The regular expressions of a tokenizer.json, as Oniguruma (the engine of the `tokenizers` package) reads
// them in its Ruby syntax, searched in time and memory that grow with the pattern times the text, whatever
// the pattern: a state of the pattern that has failed at a place is not tried there again. That is what keeps
// a file from a stranger from hanging whoever encodes with it, and it is why this is no library: those that
// read look-ahead backtrack without bound, and have the Unicode of the machine.
//
// Read: literals; . ^ $ \A \z; \t \n \r \f \v \a \e \xHH \x{H…} \uHHHH; \s \d \w \h and their negations;
// \p{…} of a general category or Han; classes with ranges, negation, classes within and &&; groups, (?i:…)
// for ASCII, look-ahead; | ? * + {n,m}, lazy ones too, and possessive ones of a single character. Anything
// else (look-behind, references to groups, \b, atomic groups, …) is refused by name, and so is what could
// match the empty text.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/data/char_set.h"

namespace weft {

struct RegexNode; // regex_parse.cpp

// Immutable and cheap to copy.
class Regex {
public:
  static constexpr size_t kMaxPattern = 4096;      // bytes
  static constexpr size_t kMaxInstructions = 2048; // after counts are written out

  // InvalidArgument names what of the pattern is not read, and where.
  static absl::StatusOr<Regex> Compile(std::string_view pattern);

  struct Instruction {
    enum class Op : uint8_t {
      kChar,      // one character of `set`
      kRun,       // as many as there are, and never fewer
      kSplit,     // goes to x, and to y when that fails
      kJump,      // to x
      kLook,      // x is the look-ahead's start; goes on to y
      kLineStart, // ^
      kLineEnd,   // $
      kTextStart, // \A
      kTextEnd,   // \z
      kMatch,
    } op;
    bool negative = false; // of kLook
    int32_t x = -1, y = -1;
    int32_t slot = -1; // of kSplit and kRun: its number among its kind
    int32_t set = -1;
  };

private:
  friend class RegexSearch;
  friend class RegexCompiler;
  struct Program {
    std::vector<Instruction> code;
    std::vector<CharSet> sets;
    int32_t splits = 0, runs = 0;
  };
  explicit Regex(std::shared_ptr<const Program> program) : program_(std::move(program)) {}
  std::shared_ptr<const Program> program_;
};

// The matches of a regex in one text, from left to right. Both have to outlive it.
class RegexSearch {
public:
  RegexSearch(const Regex &regex, std::string_view text);
  struct Match {
    size_t begin, end; // begin == text.size() where there is none
  };
  // The first match that begins at `from` or after; `from` never falls from call to call.
  Match Next(size_t from);

private:
  using Op = Regex::Instruction::Op;
  enum Outcome { kFailed, kSucceeded };
  struct Entry {
    int32_t pc; // -1 - slot: when this is reached, the split has failed at `at`
    size_t at;
  };
  struct Run {
    size_t begin = 1, end = 0;
  };
  // The end of a match that begins at `at`, or npos; with `looking` only whether there is one.
  size_t Try(int32_t pc, size_t at, bool looking);
  size_t RunEnd(const Regex::Instruction &i, size_t at);
  bool Known(Outcome outcome, int32_t slot, size_t at) const;
  void Remember(Outcome outcome, int32_t slot, size_t at);
  void ForgetBefore(size_t at);

  const Regex::Program &program_;
  std::string_view text_;
  std::vector<Entry> stack_;
  std::vector<Run> runs_;
  // For each 64 places a word for each split and outcome; empty until something is remembered there.
  std::deque<std::vector<uint64_t>> blocks_;
  size_t first_block_ = 0;
};

// A pattern as a tree. What an alternative or sequence is made of stands in `parts`.
struct RegexNode {
  enum class Kind { kEmpty, kChar, kSequence, kAlternatives, kRepeat, kLook, kAssert } kind = Kind::kEmpty;
  std::vector<RegexNode> parts;
  CharSet set;             // of kChar
  int least = 1, most = 1; // of kRepeat; most -1 = any number
  bool lazy = false, possessive = false;
  bool negative = false;              // of kLook
  Regex::Instruction::Op assertion{}; // of kAssert
  bool MayBeEmpty() const;
};

absl::StatusOr<RegexNode> ParseRegex(std::string_view pattern);

} // namespace weft
