// Compiled kernels on a GPU.
#pragma once
#include "runtime/device/cuda.h"
#include "tests/compiler/codegen/harness.h"

namespace weft::cpu_test {

// Runs a kernel of the suite, whose PTX the GPU has loaded, as `blocks` blocks (or one an item, where that is
// fewer), with guards around its buffers. The results' buffers; in `ms`, where given, milliseconds a run, of
// fifty.
std::vector<Bytes> runOnGpu(KernelSuite &suite, CudaDevice &gpu, const std::string &name,
                            const std::vector<Bytes> &inputs, const std::vector<Bytes> &results,
                            int64_t blocks, double *ms = nullptr);

} // namespace weft::cpu_test
