#include "frontends/cli/copy_progress.h"
#include "frontends/cli/report.h"
#include "runtime/train/byte_size.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include <cstdio>
#include <unistd.h>

namespace weft {

CopyProgress::CopyProgress(std::string verb) : verb_(std::move(verb)), terminal_(isatty(STDERR_FILENO)) {}

CopyProgress::~CopyProgress() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

void CopyProgress::operator()(uint64_t done, uint64_t all) {
  Clock::time_point now = Clock::now();
  if (begin_ == Clock::time_point()) begin_ = last_ = now; // what comes before the copy does not count
  double seconds = std::chrono::duration<double>(now - begin_).count();
  uint64_t quarters = all > 0 ? done / ((all + 3) / 4) : 0;
  bool due = terminal_ ? now - last_ > std::chrono::milliseconds(200) : quarters > quarters_;
  if (!due || seconds < 1) return;
  last_ = now, quarters_ = quarters;
  double rate = static_cast<double>(done) / seconds;
  std::string text =
      absl::StrCat(verb_, " ", ByteText(static_cast<int64_t>(done)), " of ",
                   ByteText(static_cast<int64_t>(all)), ", ", ByteText(static_cast<int64_t>(rate)), "/s, ",
                   absl::StrFormat("%.0f s left", static_cast<double>(all - done) / rate));
  if (!terminal_) return Notice(text);
  std::fprintf(stderr, "\r%s\033[K", text.c_str());
  shown_ = true;
}

} // namespace weft
