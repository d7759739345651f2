#include "runtime/device/memory.h"

#include "absl/strings/str_format.h"

#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace weft {

absl::StatusOr<Memory> Memory::Allocate(int64_t bytes, const std::string &what) {
  constexpr int64_t kHugePage = int64_t{2} << 20;
  if (bytes < 0) return absl::InvalidArgumentError(absl::StrFormat("%s has %d bytes", what, bytes));
  Memory memory;
  if (bytes == 0) return memory;
  int64_t page = sysconf(_SC_PAGESIZE);
  bool huge = bytes >= kHugePage;
  int64_t unit = huge ? kHugePage : page;
  int64_t wanted = 0;
  if (__builtin_add_overflow(bytes, unit - 1, &wanted))
    return absl::ResourceExhaustedError(absl::StrFormat("cannot get %d bytes for %s", bytes, what));
  wanted = wanted / unit * unit;
  int64_t asked = huge ? wanted + kHugePage : wanted;
  void *address = mmap(nullptr, asked, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED)
    return absl::ResourceExhaustedError(absl::StrFormat("cannot get %.2f GiB of memory for %s: %s",
                                                        bytes / double(1 << 30), what, std::strerror(errno)));
  char *start = static_cast<char *>(address);
  if (huge) {
    // Cut the mapping down to whole huge pages.
    int64_t head = (kHugePage - reinterpret_cast<uintptr_t>(start) % kHugePage) % kHugePage;
    if (head) munmap(start, head);
    if (int64_t tail = asked - head - wanted) munmap(start + head + wanted, tail);
    start += head;
    madvise(start, wanted, MADV_HUGEPAGE); // a wish: a system without huge pages serves as well
  }
  memory.data_ = start;
  memory.size_ = bytes;
  memory.mapped_ = wanted;
  return memory;
}

Memory &Memory::operator=(Memory &&other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

void Memory::Release() {
  if (data_) munmap(data_, mapped_);
  data_ = nullptr;
  size_ = mapped_ = 0;
}

} // namespace weft
