// Which line of the model is blamed for what is recorded.
//
// Every call of the DSL captures its caller's std::source_location through a default argument, so an operator written in a model's function
// names its own line. A layer of the library pushes its caller's line with a LineGuard; what it records inside is blamed on that line, because
// only the outermost guard counts. A model's own functions push nothing: the ops in them name their own lines, whoever called them.
//
//   12: Tensor block(Scope s, Tensor x) {
//   13:   x = x + rms_norm(s / "norm", x);     // everything inside rms_norm: line 13
//   14:   return exp(x);                       // exp: line 14, although `block` was called on line 20
//   15: }
//   20: y = block(s, x) * 2;                   // the product: line 20
#pragma once
#include <initializer_list>

#include "frontends/dsl/builder.h"

namespace weft {

inline SourceLine source_line(const std::source_location &at) {
  return {at.file_name(), at.line(), at.column(), at.function_name()};
}

// Last parameter of a function without tensor operands: the line that calls it.
struct Caller {
  SourceLine line;
  Caller(std::source_location at = std::source_location::current()) : line(source_line(at)) {}
  Caller(const SourceLine &at) : line(at) {}
};

namespace detail {
// The outermost guard of this thread, or none. Hidden, so that each loaded model has its own; guards never span two of them.
[[gnu::visibility("hidden")]] inline constinit thread_local const SourceLine *outermost_line = nullptr;
} // namespace detail

// The line blamed for an op whose own line is `at`.
inline const SourceLine &blamed_line(const SourceLine &at) {
  return detail::outermost_line ? *detail::outermost_line : at;
}

// Blames `line` for what is recorded while it lives, unless another guard was there before.
class LineGuard {
public:
  explicit LineGuard(const SourceLine &line) : line_(line), outermost_(!detail::outermost_line) {
    if (outermost_) detail::outermost_line = &line_;
    builder().push_line(line_);
  }
  ~LineGuard() {
    builder().pop_line();
    if (outermost_) detail::outermost_line = nullptr;
  }
  LineGuard(const LineGuard &) = delete;
  LineGuard &operator=(const LineGuard &) = delete;

private:
  SourceLine line_;
  bool outermost_;
};

// A second place that an error names: "my_model.cc:12: left operand made here".
struct Note {
  SourceLine line;
  std::string text;
};

inline std::string line_text(const SourceLine &line) {
  return std::string(line.file) + ":" + std::to_string(line.line) + ": ";
}

// Throws ModelError: "my_model.cc:14: cannot add (16, 256, 384) and (16, 128, 384)", then one line a note.
[[noreturn]] inline void fail(const SourceLine &at, const std::string &what, std::initializer_list<Note> notes = {}) {
  std::string text = line_text(blamed_line(at)) + what;
  for (const Note &note : notes)
    if (note.line.line) text += "\n" + line_text(note.line) + note.text;
  throw ModelError(text);
}

} // namespace weft
