// Kernels with AMX, which this machine may lack: a test run with the environment variable WEFT_AMX_JOBS, the
// path of an existing folder, writes its kernels there as objects of the AMX level, and what they computed at
// the other levels as jobs for tests/amx, which runs them on an emulated processor and compares the bits.
#pragma once
#include "tests/compiler/codegen/harness.h"

namespace weft::cpu_test {

// One call of a kernel, as kernel_abi.h has it.
struct AmxJob {
  struct Buffer {
    Bytes content;
    int64_t offset; // bytes from its start to where the kernel's pointer points
    int64_t elementBytes;
    const Bytes *expected; // afterwards; null: the kernel only reads it
  };
  std::string symbol;
  std::vector<Buffer> buffers;
  std::vector<int64_t> sizes;
  int64_t items, scratchBytes;
};

class AmxJobs {
public:
  static bool wanted(); // the variable is set
  // Writes the object. Files of several instances in one folder have different names.
  explicit AmxJobs(mlir::ModuleOp kernels);
  // Two jobs: all items at once, with unmapped memory behind the buffers; and in three ranges, with unmapped
  // memory before them.
  void add(const AmxJob &job);

private:
  std::string folder, stem;
};

} // namespace weft::cpu_test
