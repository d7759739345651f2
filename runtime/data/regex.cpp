#include "runtime/data/regex.h"

#include <algorithm>

#include "runtime/data/str_cat.h"
#include "runtime/data/unicode.h"

namespace weft {

class RegexCompiler {
public:
  absl::StatusOr<Regex> Compile(const RegexNode &root) {
    Emit(root);
    Add({.op = Op::kMatch});
    if (full_)
      return absl::InvalidArgumentError(StrCat("more than ", Regex::kMaxInstructions,
                                               " characters and choices once its counts are written out"));
    return Regex(std::make_shared<const Regex::Program>(std::move(program_)));
  }

private:
  using Op = Regex::Instruction::Op;
  using Kind = RegexNode::Kind;

  int32_t Here() const { return static_cast<int32_t>(program_.code.size()); }
  int32_t Add(Regex::Instruction i) {
    if (program_.code.size() >= Regex::kMaxInstructions) {
      full_ = true;
      return 0; // a program that is not used
    }
    if (i.op == Op::kSplit) i.slot = program_.splits++;
    if (i.op == Op::kRun) i.slot = program_.runs++;
    program_.code.push_back(i);
    return Here() - 1;
  }
  int32_t SetIndex(const CharSet &set) {
    program_.sets.push_back(set);
    return static_cast<int32_t>(program_.sets.size()) - 1;
  }
  // A choice between going on and what is reached by Leave(split).
  int32_t Split(bool lazy) {
    const int32_t i = Add({.op = Op::kSplit});
    (lazy ? program_.code[i].y : program_.code[i].x) = i + 1;
    return i;
  }
  void Leave(int32_t split, bool lazy) { (lazy ? program_.code[split].x : program_.code[split].y) = Here(); }

  void Emit(const RegexNode &node) {
    if (full_) return;
    switch (node.kind) {
    case Kind::kEmpty:
      break;
    case Kind::kChar:
      Add({.op = Op::kChar, .set = SetIndex(node.set)});
      break;
    case Kind::kAssert:
      Add({.op = node.assertion});
      break;
    case Kind::kSequence:
      for (const RegexNode &p : node.parts) Emit(p);
      break;
    case Kind::kAlternatives:
      Alternatives(node);
      break;
    case Kind::kLook: {
      const int32_t look = Add({.op = Op::kLook, .negative = node.negative});
      program_.code[look].x = look + 1;
      Emit(node.parts[0]);
      Add({.op = Op::kMatch});
      program_.code[look].y = Here();
      break;
    }
    case Kind::kRepeat:
      Repeat(node);
      break;
    }
  }

  void Alternatives(const RegexNode &node) {
    std::vector<int32_t> jumps;
    for (size_t i = 0; i < node.parts.size(); ++i) {
      const bool last = i + 1 == node.parts.size();
      const int32_t split = last ? -1 : Split(false);
      Emit(node.parts[i]);
      if (last) break;
      jumps.push_back(Add({.op = Op::kJump}));
      Leave(split, false);
    }
    for (int32_t j : jumps) program_.code[j].x = Here();
  }

  void Repeat(const RegexNode &node) {
    const RegexNode &part = node.parts[0];
    for (int i = 0; i < node.least && !full_; ++i) Emit(part);
    if (node.possessive && node.most < 0) {
      Add({.op = Op::kRun, .set = SetIndex(part.set)});
    } else if (node.possessive) { // x?+ : x, or nothing where there is none
      const int32_t split = Split(false);
      Emit(part);
      const int32_t jump = Add({.op = Op::kJump});
      Leave(split, false);
      const int32_t look = Add({.op = Op::kLook, .negative = true});
      program_.code[look].x = look + 1;
      Emit(part);
      Add({.op = Op::kMatch});
      program_.code[look].y = program_.code[jump].x = Here();
    } else if (node.most < 0) {
      const int32_t split = Split(node.lazy);
      Emit(part);
      Add({.op = Op::kJump, .x = split});
      Leave(split, node.lazy);
    } else {
      std::vector<int32_t> splits;
      for (int i = node.least; i < node.most && !full_; ++i) {
        splits.push_back(Split(node.lazy));
        Emit(part);
      }
      for (int32_t s : splits) Leave(s, node.lazy);
    }
  }

  Regex::Program program_;
  bool full_ = false;
};

absl::StatusOr<Regex> Regex::Compile(std::string_view pattern) {
  if (pattern.size() > kMaxPattern)
    return absl::InvalidArgumentError(
        StrCat(pattern.size(), " bytes when at most ", kMaxPattern, " are read"));
  absl::StatusOr<RegexNode> root = ParseRegex(pattern);
  if (!root.ok()) return root.status();
  if (root->MayBeEmpty()) return absl::InvalidArgumentError("a match that may be empty");
  return RegexCompiler().Compile(*root);
}

RegexSearch::RegexSearch(const Regex &regex, std::string_view text)
    : program_(*regex.program_), text_(text), runs_(program_.runs) {}

RegexSearch::Match RegexSearch::Next(size_t from) {
  for (size_t at = from; at < text_.size();) {
    ForgetBefore(at);
    if (const size_t end = Try(0, at, false); end != text_.npos) return {at, end};
    size_t length;
    DecodeUtf8(text_, at, length);
    at += length;
  }
  return {text_.size(), text_.size()};
}

size_t RegexSearch::Try(int32_t start, size_t begin, bool looking) {
  const size_t base = stack_.size();
  stack_.push_back({start, begin});
  while (stack_.size() > base) {
    auto [pc, at] = stack_.back();
    stack_.pop_back();
    if (pc < 0) {
      Remember(kFailed, -1 - pc, at);
      continue;
    }
    for (bool alive = true; alive;) {
      const Regex::Instruction &i = program_.code[pc];
      switch (i.op) {
      case Op::kChar: {
        size_t length = 1;
        uint32_t point = at < text_.size() ? DecodeUtf8(text_, at, length) : 0;
        if (point == kInvalidCodePoint) point = 0xfffd;
        alive = at < text_.size() && program_.sets[i.set].Contains(point);
        at += length, ++pc;
        break;
      }
      case Op::kRun:
        at = RunEnd(i, at), ++pc;
        break;
      case Op::kSplit:
        if (looking && Known(kSucceeded, i.slot, at)) {
          stack_.push_back({-1 - i.slot, at}); // with the others on the way here
          pc = static_cast<int32_t>(program_.code.size()) - 1;
        } else if ((alive = !Known(kFailed, i.slot, at))) {
          stack_.push_back({-1 - i.slot, at});
          stack_.push_back({i.y, at});
          pc = i.x;
        }
        break;
      case Op::kJump:
        pc = i.x;
        break;
      case Op::kLook:
        alive = (Try(i.x, at, true) != text_.npos) != i.negative;
        pc = i.y;
        break;
      case Op::kLineStart:
        alive = at == 0 || (text_[at - 1] == '\n' && at < text_.size()), ++pc;
        break;
      case Op::kLineEnd:
        alive = at == text_.size() || text_[at] == '\n', ++pc;
        break;
      case Op::kTextStart:
        alive = at == 0, ++pc;
        break;
      case Op::kTextEnd:
        alive = at == text_.size(), ++pc;
        break;
      case Op::kMatch:
        if (looking)
          for (size_t k = base; k < stack_.size(); ++k)
            if (stack_[k].pc < 0) Remember(kSucceeded, -1 - stack_[k].pc, stack_[k].at);
        stack_.resize(base);
        return at;
      }
    }
  }
  return text_.npos;
}

// A run that begins within one already seen ends where that does.
size_t RegexSearch::RunEnd(const Regex::Instruction &i, size_t at) {
  Run &run = runs_[i.slot];
  if (run.begin <= at && at <= run.end) return run.end;
  run.begin = run.end = at;
  while (run.end < text_.size()) {
    size_t length;
    uint32_t point = DecodeUtf8(text_, run.end, length);
    if (point == kInvalidCodePoint) point = 0xfffd;
    if (!program_.sets[i.set].Contains(point)) break;
    run.end += length;
  }
  return run.end;
}

bool RegexSearch::Known(Outcome outcome, int32_t slot, size_t at) const {
  const size_t block = at / 64 - first_block_;
  if (block >= blocks_.size() || blocks_[block].empty()) return false;
  return blocks_[block][2 * slot + outcome] >> (at & 63) & 1;
}

void RegexSearch::Remember(Outcome outcome, int32_t slot, size_t at) {
  const size_t block = at / 64 - first_block_;
  if (block >= blocks_.size()) blocks_.resize(block + 1);
  if (blocks_[block].empty()) blocks_[block].assign(2 * program_.splits, 0);
  blocks_[block][2 * slot + outcome] |= uint64_t{1} << (at & 63);
}

// No place before `at` is looked at again.
void RegexSearch::ForgetBefore(size_t at) {
  while (first_block_ < at / 64) {
    if (!blocks_.empty()) blocks_.pop_front();
    ++first_block_;
  }
}

} // namespace weft
