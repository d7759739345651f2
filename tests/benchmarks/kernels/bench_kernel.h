// Kernels of every family, as kernel_bench times them.
#pragma once
#include "tests/compiler/codegen/harness.h"

#include <functional>
#include <string>
#include <vector>

namespace weft::cpu_test {

// The threads that schedules are made for, and the most that kernels are timed with.
inline constexpr int kThreads = 2;

struct BenchKernel {
  std::string name, body;      // body: as for KernelSuite::add
  double flops = 0, bytes = 0; // of one run; bytes that must be read and written once. 0 = not told
  std::function<std::vector<Bytes>()> inputs; // made when it is run: all kernels' together would be gigabytes
  std::vector<int64_t> resultBytes;
};

// `units`: the dot units of f32 and of bf16.
void addProducts(std::vector<BenchKernel> &kernels, KernelSuite &suite,
                 const std::vector<std::string> &units);
void addGroupedProducts(std::vector<BenchKernel> &kernels, KernelSuite &suite,
                        const std::vector<std::string> &units);
void addAttention(std::vector<BenchKernel> &kernels, const std::vector<std::string> &units);
// Rows, sums over rows, scatter-add and the experts' sort.
void addRowKernels(std::vector<BenchKernel> &kernels);

// `count` numbers as f32, or bf16.
inline Bytes randomNumbers(int64_t count, int seed, bool bf16 = false) {
  std::vector<float> values = randomFloats(count, seed);
  return bf16 ? bytesOf(narrowed(values)) : bytesOf(values);
}

} // namespace weft::cpu_test
