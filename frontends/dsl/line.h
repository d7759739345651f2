// Which line of the model is blamed for what is recorded.
//
// Every call of the DSL captures its caller's std::source_location through a default argument, so an operator
// written in a model's function names its own line. A layer of the library pushes its caller's line with a
// LineGuard; what it records inside is blamed on that line, because only the outermost guard counts. A
// model's own functions push nothing: the ops in them name their own lines, whoever called them.
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

// The line blamed for an op whose own line is `at`: that of the outermost guard on this thread, if there is
// one.
const SourceLine &blamed_line(const SourceLine &at);

// Blames `line` for what is recorded while it lives, unless another guard was there before.
class LineGuard {
public:
  explicit LineGuard(const SourceLine &line);
  ~LineGuard();
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

// Throws ModelError: "my_model.cc:14: cannot add (16, 256, 384) and (16, 128, 384)", then one line a note.
[[noreturn]] void fail(const SourceLine &at, const std::string &what, std::initializer_list<Note> notes = {});

} // namespace weft
