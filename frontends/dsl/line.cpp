#include "frontends/dsl/line.h"

namespace weft {
namespace {
constinit thread_local const SourceLine *outermost_line = nullptr;

std::string line_text(const SourceLine &line) {
  return std::string(line.file) + ":" + std::to_string(line.line) + ": ";
}
} // namespace

const SourceLine &blamed_line(const SourceLine &at) { return outermost_line ? *outermost_line : at; }

LineGuard::LineGuard(const SourceLine &line) : line_(line), outermost_(!outermost_line) {
  builder().push_line(line_);
  if (outermost_) outermost_line = &line_;
}

LineGuard::~LineGuard() {
  builder().pop_line();
  if (outermost_) outermost_line = nullptr;
}

void fail(const SourceLine &at, const std::string &what, std::initializer_list<Note> notes) {
  std::string text = line_text(blamed_line(at)) + what;
  for (const Note &note : notes)
    if (note.line.line) text.append("\n").append(line_text(note.line)).append(note.text);
  throw ModelError(text);
}

} // namespace weft
