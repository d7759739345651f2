// A CUDA GPU through its driver (libcuda.so.1), opened at run time: a program that links this starts on a
// machine without a GPU, and nothing of the CUDA toolkit is needed to build it.
//
// One device, one stream, one thread: that which opened it. Reference: NVIDIA, CUDA Driver API 12 and later
// (functions named in cuda.cpp).
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace weft {

class CudaDevice;

// Bytes of a device's memory, freed with it. The device must outlive it.
class CudaMemory {
public:
  CudaMemory() = default;
  CudaMemory(CudaMemory &&other) noexcept { swap(other); }
  CudaMemory &operator=(CudaMemory &&other) noexcept {
    swap(other);
    return *this;
  }
  ~CudaMemory();
  uint64_t address() const { return address_; }
  size_t bytes() const { return bytes_; }

private:
  friend class CudaDevice;
  void swap(CudaMemory &other) noexcept;
  const CudaDevice *device_ = nullptr;
  uint64_t address_ = 0;
  size_t bytes_ = 0;
};

struct CudaFacts {
  std::string name;         // "NVIDIA H200"
  int major = 0, minor = 0; // compute capability
  int multiprocessors = 0;
  size_t memory_bytes = 0;
};

class CudaDevice {
public:
  using Function = void *; // of a loaded module, as long as the device

  // Unavailable when there is no driver or no GPU of that number.
  static absl::StatusOr<std::unique_ptr<CudaDevice>> Open(int number = 0);
  ~CudaDevice();
  CudaDevice(const CudaDevice &) = delete;
  CudaDevice &operator=(const CudaDevice &) = delete;

  const CudaFacts &facts() const { return facts_; }

  // PTX text or a cubin. InvalidArgument, with what the driver's assembler says, when it is neither.
  absl::Status Load(std::string_view image);
  // By its name in what was loaded; NotFound.
  absl::StatusOr<Function> Find(const std::string &name) const;

  // ResourceExhausted when there is not that much; `bytes` may be 0.
  absl::StatusOr<CudaMemory> Allocate(size_t bytes) const;
  // Whole memories; wait for what was launched before.
  absl::Status CopyIn(CudaMemory &to, const void *from) const;
  absl::Status CopyOut(const CudaMemory &from, void *to) const;

  // One dimension of blocks and of threads. `arguments`: the address of each of the kernel's arguments.
  absl::Status Launch(Function function, int64_t blocks, int threads,
                      absl::Span<void *const> arguments) const;
  // Waits, and gives the errors of what was launched.
  absl::Status Synchronize() const;
  // Milliseconds on the device from before the first launch of `work` to after its last.
  template <typename Work> absl::StatusOr<double> Time(Work &&work) const {
    if (absl::Status s = Mark(0); !s.ok()) return s;
    if (absl::Status s = work(); !s.ok()) return s;
    if (absl::Status s = Mark(1); !s.ok()) return s;
    return BetweenMarks();
  }

private:
  friend class CudaMemory;
  struct Driver;
  CudaDevice() = default;
  absl::Status Mark(int which) const;
  absl::StatusOr<double> BetweenMarks() const;
  absl::Status Check(int result, const std::string &what) const;

  std::unique_ptr<Driver> driver_;
  CudaFacts facts_;
};

} // namespace weft
