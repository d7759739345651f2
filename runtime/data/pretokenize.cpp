#include "runtime/data/pretokenize.h"

#include "runtime/data/regex.h"
#include "runtime/data/str_cat.h"
#include "runtime/data/word_scanners.h"

namespace weft {
namespace {

constexpr std::string_view kLlama3Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt2Regex =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kNumberRegex = R"(\p{N})", kNumbersRegex = R"(\p{N}+)",
                           k3NumbersRegex = R"(\p{N}{1,3})";
constexpr std::string_view kCjkRegex = "[一-龥぀-ゟ゠-ヿ]+";
// With line breaks as they are, not written \r and \n.
constexpr std::string_view kDeepSeek3Regex =
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+";

enum class Scanner { kLlama3, kQwen2, kGpt2, kNumber, kNumbers, k3Numbers, kRegex };

Scanner ScannerFor(std::string_view regex) {
  static constexpr std::pair<std::string_view, Scanner> kKnown[] = {
      {kLlama3Regex, Scanner::kLlama3},   {kQwen2Regex, Scanner::kQwen2},
      {kGpt2Regex, Scanner::kGpt2},       {kNumberRegex, Scanner::kNumber},
      {kNumbersRegex, Scanner::kNumbers}, {k3NumbersRegex, Scanner::k3Numbers}};
  for (const auto &[known, scanner] : kKnown)
    if (regex == known) return scanner;
  return Scanner::kRegex;
}

size_t WordEnd(Scanner scanner, std::string_view text, size_t at) {
  switch (scanner) {
  case Scanner::kLlama3:
    return Llama3WordEnd(text, at, 3);
  case Scanner::kQwen2:
    return Llama3WordEnd(text, at, 1);
  case Scanner::kGpt2:
    return Gpt2WordEnd(text, at);
  case Scanner::kNumber:
    return NumbersEnd(text, at, 1);
  case Scanner::kNumbers:
    return NumbersEnd(text, at, SIZE_MAX);
  case Scanner::k3Numbers:
    return NumbersEnd(text, at, 3);
  case Scanner::kRegex:
    break;
  }
  return text.size();
}

} // namespace

struct PreTokenizer::State {
  std::vector<SplitStep> steps;
  struct Step {
    Scanner scanner;
    std::optional<Regex> regex; // of kRegex
  };
  std::vector<Step> compiled;
  bool is_deep_seek = false; // all steps in one scanner
};

PreTokenizer::PreTokenizer(Split split) {
  auto state = std::make_shared<State>();
  switch (split) {
  case Split::kLlama3:
    state->steps = {{SplitStep::Kind::kSplit, std::string(kLlama3Regex)}};
    break;
  case Split::kQwen2:
    state->steps = {{SplitStep::Kind::kSplit, std::string(kQwen2Regex)}};
    break;
  case Split::kGpt2:
    state->steps = {{SplitStep::Kind::kByteLevel, std::string(kGpt2Regex)}};
    break;
  case Split::kDeepSeek3:
    for (std::string_view regex : {k3NumbersRegex, kCjkRegex, kDeepSeek3Regex})
      state->steps.push_back({SplitStep::Kind::kSplit, std::string(regex)});
    state->is_deep_seek = true;
    break;
  }
  if (!state->is_deep_seek) state->compiled = {{ScannerFor(state->steps[0].regex), std::nullopt}};
  state_ = std::move(state);
}

absl::StatusOr<PreTokenizer> PreTokenizer::Make(std::vector<SplitStep> steps) {
  if (steps.size() > kMaxSteps)
    return absl::InvalidArgumentError(
        StrCat("the text is split ", steps.size(), " times over when at most ", kMaxSteps, " are read"));
  auto state = std::make_shared<State>();
  state->steps = std::move(steps);
  const auto &s = state->steps;
  state->is_deep_seek = s.size() == 3 && s[0].regex == k3NumbersRegex && s[1].regex == kCjkRegex &&
                        s[2].regex == kDeepSeek3Regex;
  if (!state->is_deep_seek)
    for (const SplitStep &step : s) {
      state->compiled.push_back({ScannerFor(step.regex), std::nullopt});
      if (state->compiled.back().scanner != Scanner::kRegex) continue;
      absl::StatusOr<Regex> regex = Regex::Compile(step.regex);
      if (!regex.ok())
        return absl::InvalidArgumentError(
            StrCat("the regex ", step.regex.substr(0, 200), " has ", regex.status().message()));
      state->compiled.back().regex = std::move(*regex);
    }
  return PreTokenizer(std::move(state));
}

absl::Span<const SplitStep> PreTokenizer::steps() const { return state_->steps; }

// The rules have spaces only before other characters and in runs of blanks, and line breaks only there and
// after symbols; and what they look ahead for, a blank before one that is none, is not seen from the
// character before.
bool PreTokenizer::CutsAfterWords() const {
  if (state_->is_deep_seek) return true;
  const auto &steps = state_->compiled;
  if (steps.size() != 1) return false;
  const Scanner s = steps[0].scanner;
  return s == Scanner::kLlama3 || s == Scanner::kQwen2 || s == Scanner::kGpt2;
}

// The pieces that a row of steps leaves, made one at a time so that a long text needs no list of them.
class WordCutter::Pieces {
public:
  Pieces(const PreTokenizer::State &state, std::string_view text) : text_(text) {
    for (const PreTokenizer::State::Step &s : state.compiled) levels_.push_back({&s, {0, 0}, 0, {}, nullptr});
  }
  // The end of the next piece after all steps, or false.
  bool Next(size_t &end) {
    Range piece;
    if (!NextOf(levels_.size(), piece)) return false;
    end = piece.end;
    return true;
  }

private:
  struct Range {
    size_t begin, end;
  };
  struct Level {
    const PreTokenizer::State::Step *step;
    Range piece;              // of the level before, which this one cuts
    size_t at;                // where it goes on
    RegexSearch::Match match; // the next, within the piece, while `at` is before its end
    std::unique_ptr<RegexSearch> search;
  };

  bool NextOf(size_t count, Range &piece) { // after the first `count` steps
    if (count == 0) {
      if (std::exchange(given_, true) || text_.empty()) return false;
      piece = {0, text_.size()};
      return true;
    }
    Level &level = levels_[count - 1];
    if (level.at == level.piece.end) {
      if (!NextOf(count - 1, level.piece)) return false;
      level.at = level.piece.begin;
      level.match = {};
      if (level.step->regex)
        level.search = std::make_unique<RegexSearch>(*level.step->regex, View(level.piece));
    }
    const size_t begin = level.at, from = begin - level.piece.begin;
    size_t end;
    if (!level.search) {
      end = WordEnd(level.step->scanner, View(level.piece), from);
    } else {
      if (level.match.end <= from) level.match = level.search->Next(from);
      end = from < level.match.begin ? level.match.begin : level.match.end;
    }
    level.at = level.piece.begin + end;
    piece = {begin, level.at};
    return true;
  }
  std::string_view View(Range r) const { return text_.substr(r.begin, r.end - r.begin); }

  std::string_view text_;
  std::vector<Level> levels_;
  bool given_ = false;
};

WordCutter::WordCutter(const PreTokenizer &pre_tokenizer, std::string_view text)
    : state_(*pre_tokenizer.state_), text_(text) {
  const auto &steps = state_.compiled;
  if (!state_.is_deep_seek && (steps.size() != 1 || steps[0].scanner == Scanner::kRegex))
    pieces_ = std::make_unique<Pieces>(state_, text);
}

WordCutter::~WordCutter() = default;

absl::Span<const size_t> WordCutter::Next() {
  size_t count = 0;
  const auto fill = [&](auto word_end) {
    while (at_ < text_.size() && count < std::size(ends_)) ends_[count++] = at_ = word_end(text_, at_);
  };
  if (pieces_) {
    while (count < std::size(ends_) && pieces_->Next(ends_[count])) ++count;
  } else if (state_.is_deep_seek) {
    fill([&](std::string_view text, size_t at) {
      if (at == piece_end_) piece_end_ = DeepSeekPieceEnd(text, at);
      return DeepSeekWordEnd(text.substr(0, piece_end_), at);
    });
  } else {
    switch (state_.compiled[0].scanner) { // one loop each, so that the scanner is part of it
    case Scanner::kLlama3:
      fill([](std::string_view text, size_t at) { return Llama3WordEnd(text, at, 3); });
      break;
    case Scanner::kQwen2:
      fill([](std::string_view text, size_t at) { return Llama3WordEnd(text, at, 1); });
      break;
    default:
      fill([&](std::string_view text, size_t at) { return WordEnd(state_.compiled[0].scanner, text, at); });
    }
  }
  return absl::MakeConstSpan(ends_, count);
}

} // namespace weft
