// Large zero-initialised memory, fit for huge pages.
#pragma once
#include "absl/status/statusor.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace weft {

class Memory {
public:
  Memory() = default;
  // `bytes` of zeros, aligned to 2 MiB when there are as many, else to a page; `what` names it in the error
  // (ResourceExhausted). Pages are taken from the system when they are first touched.
  static absl::StatusOr<Memory> Allocate(int64_t bytes, const std::string &what);
  ~Memory() { Release(); }
  Memory(Memory &&other) noexcept { *this = std::move(other); }
  Memory &operator=(Memory &&other) noexcept;

  char *data() const { return data_; }
  int64_t size() const { return size_; }

private:
  void Release();

  char *data_ = nullptr;
  int64_t size_ = 0;
  int64_t mapped_ = 0; // bytes mapped at data_
};

} // namespace weft
