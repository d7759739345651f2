// CPU levels, and loading an artifact's kernels for the best one this machine has.
#pragma once
#include "runtime/artifact/reader.h"
#include "runtime/kernel_abi.h"

#include "absl/status/statusor.h"

#include <memory>
#include <string>
#include <vector>

namespace weft {

// In rising order. avx2: AVX2 and FMA. avx512: those and AVX-512 F, BW, DQ, VL. avx512bf16: those and
// AVX512_BF16. amx: those and AMX with bf16.
enum class CpuLevel { none, avx2, avx512, avx512bf16, amx };

// The name an artifact's object carries: "avx2", …; "none" below all.
const char *CpuLevelName(CpuLevel level);

// The best level of processor and operating system together.
CpuLevel DetectCpuLevel();

struct CpuOptions {
  std::string level; // "" = the best the machine and the artifact share; else exactly this one
};

// CpuOptions with `level` from the environment variable WEFT_CPU_LEVEL, for programs that want to let it
// through.
CpuOptions CpuOptionsFromEnvironment();

// The kernels of one artifact, ready to call. Closing it unloads them.
class KernelLibrary {
public:
  // Errors: FailedPrecondition when the artifact has no object for a level of this machine, or `options` asks
  // for one that the machine or the artifact lacks; InvalidArgument when the object cannot be loaded or lacks
  // a kernel.
  static absl::StatusOr<std::shared_ptr<const KernelLibrary>> Load(const LoadedArtifact &artifact,
                                                                   const CpuOptions &options = {});
  ~KernelLibrary();
  KernelLibrary(const KernelLibrary &) = delete;
  KernelLibrary &operator=(const KernelLibrary &) = delete;

  // By index into Artifact.kernels.
  KernelFunction function(int32_t kernel) const { return functions_[kernel]; }
  int32_t num_functions() const { return static_cast<int32_t>(functions_.size()); }
  // "" when the artifact has no kernels.
  const std::string &level() const { return level_; }

private:
  KernelLibrary() = default;

  std::vector<KernelFunction> functions_;
  std::string level_;
  void *handle_ = nullptr;
  int fd_ = -1; // open as long as the handle: dlopen tells libraries apart by the name /proc/self/fd/N
};

} // namespace weft
