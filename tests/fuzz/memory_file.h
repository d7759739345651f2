// A file that has a path but lies in memory, for readers that open one.
#pragma once

#include "tests/fuzz/fuzz_target.h"

#include <sys/mman.h>
#include <unistd.h>

namespace weft::fuzz {

class MemoryFile {
public:
  MemoryFile() : fd_(memfd_create("fuzz", MFD_CLOEXEC)), path_("/proc/self/fd/" + std::to_string(fd_)) {
    Require(fd_ >= 0, "memfd_create works");
  }
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile &) = delete;

  const std::string &path() const { return path_; }
  void Set(std::string_view content) {
    bool written = ftruncate(fd_, 0) == 0 &&
                   pwrite(fd_, content.data(), content.size(), 0) == static_cast<ssize_t>(content.size());
    Require(written, "a file in memory can be written");
  }
  std::string Get() const {
    std::string content(lseek(fd_, 0, SEEK_END), '\0');
    Require(pread(fd_, content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()),
            "a file in memory can be read");
    return content;
  }

private:
  int fd_;
  std::string path_;
};

} // namespace weft::fuzz
