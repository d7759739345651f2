#include "tests/compiler/codegen/gpu_run.h"
#include "passes/codegen/cuda/compile.h"

#include <gtest/gtest.h>

namespace weft::cpu_test {

std::vector<Bytes> runOnGpu(KernelSuite &suite, CudaDevice &gpu, const std::string &name,
                            const std::vector<Bytes> &inputs, const std::vector<Bytes> &results,
                            int64_t blocks, double *ms) {
  constexpr size_t kGuard = 256;
  KernelSuite::Launch launch = suite.prepare(name);
  std::vector<CudaMemory> memory;
  std::vector<Bytes> content(inputs);
  content.insert(content.end(), results.begin(), results.end());
  for (const Bytes &bytes : content) {
    Bytes guarded(bytes.size() + 2 * kGuard, 0x5a);
    std::copy(bytes.begin(), bytes.end(), guarded.begin() + kGuard);
    memory.push_back(*gpu.Allocate(guarded.size()));
    EXPECT_TRUE(gpu.CopyIn(memory.back(), guarded.data()).ok());
  }
  std::vector<int64_t> values; // pointers, sizes, the range of items
  for (size_t i = 0; i < launch.operands.size(); ++i)
    values.push_back(int64_t(memory[launch.operands[i]].address() + kGuard) + launch.offsets[i]);
  values.insert(values.end(), launch.sizes.begin(), launch.sizes.end());
  values.insert(values.end(), {0, launch.items});
  std::vector<void *> arguments;
  for (int64_t &v : values) arguments.push_back(&v);
  auto function = gpu.Find(name);
  EXPECT_TRUE(function.ok()) << function.status();
  blocks = std::min(blocks, launch.items);
  EXPECT_TRUE(gpu.Launch(*function, blocks, cuda::kThreads, arguments).ok());
  absl::Status done = gpu.Synchronize();
  EXPECT_TRUE(done.ok()) << done;
  std::vector<Bytes> out;
  for (size_t i = 0; i < memory.size(); ++i) {
    Bytes guarded(memory[i].bytes());
    EXPECT_TRUE(gpu.CopyOut(memory[i], guarded.data()).ok());
    for (size_t g = 0; g < kGuard; ++g)
      EXPECT_TRUE(guarded[g] == 0x5a && guarded[guarded.size() - 1 - g] == 0x5a)
          << "wrote around buffer " << i;
    if (i >= inputs.size()) out.emplace_back(guarded.begin() + kGuard, guarded.end() - kGuard);
  }
  if (ms) {
    constexpr int kRuns = 50;
    auto time = gpu.Time([&] {
      absl::Status status;
      for (int r = 0; r < kRuns && status.ok(); ++r)
        status = gpu.Launch(*function, blocks, cuda::kThreads, arguments);
      return status;
    });
    EXPECT_TRUE(time.ok()) << time.status();
    *ms = *time / kRuns;
  }
  return out;
}

} // namespace weft::cpu_test
