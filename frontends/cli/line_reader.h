// Lines from the standard input, and Ctrl-C while a program talks with somebody.
#pragma once

#include <string>

namespace weft {

// While it lives, Ctrl-C is noted and not the end of the process; a second one, where nobody has taken note
// of the first, is. One at a time.
class CtrlC {
public:
  CtrlC();
  ~CtrlC();
  CtrlC(const CtrlC &) = delete;
  bool pressed() const;
  bool Take();    // whether it was pressed; notes nothing from then on
  int fd() const; // can be read from when it was pressed
};

class LineReader {
public:
  enum class Got { line, end, interrupted, too_long, failed };
  static constexpr size_t kMaxBytes = 1 << 20; // of a line

  explicit LineReader(const CtrlC &ctrl_c) : ctrl_c_(ctrl_c) {}
  // A line without its end; a last one that has no end is a line. `too_long`: it was left out.
  Got Read(std::string &line);

private:
  const CtrlC &ctrl_c_;
  std::string buffer_;
  bool end_ = false;
};

} // namespace weft
