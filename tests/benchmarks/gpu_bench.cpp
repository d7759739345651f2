// GB/s of row kernels on a GPU, as PTX from the same kernel ops, beside a copy by the same code generator.
//   ./run bench-gpu [CHIP]      sm_90a where none is named
// Bytes are those that a kernel must read and write once.
#include "passes/codegen/cuda/compile.h"
#include "tests/compiler/codegen/gpu_run.h"
#include "tests/compiler/codegen/row_kernels.h"

#include <cstdio>

using namespace weft;
using namespace weft::cpu_test;

int main(int argc, char **argv) {
  auto gpu = CudaDevice::Open();
  if (!gpu.ok()) {
    fprintf(stderr, "error: %s\n", std::string(gpu.status().message()).c_str());
    return 1;
  }
  const CudaFacts &facts = (*gpu)->facts();
  printf("%s, %d multiprocessors, sm_%d%d\n", facts.name.c_str(), facts.multiprocessors, facts.major,
         facts.minor);

  constexpr int64_t kRows = 32768, kColumns = 4096;
  struct Kernel {
    const char *name;
    Loops loops;
    std::vector<int64_t> inputs, results; // elements of f32
  };
  int64_t all = kRows * kColumns;
  Loops gate = swiglu(kRows, kColumns), copy = gate;
  gate.blockColumns = copy.blockColumns = 1024; // as schedule-kernels has it
  copy.inputs.resize(1);
  copy.region = "kernel.yield %0 : f32";
  const Kernel kernels[] = {
      {"copy", copy, {all}, {all}},
      {"residual_norm", residualNorm(kRows, kColumns), {all, all, kColumns}, {all, all}},
      {"swiglu", gate, {all, all}, {all}}};
  KernelSuite suite;
  for (const Kernel &k : kernels) suite.add(k.name, k.loops.text());
  auto ptx = cuda::compileToPtx(suite.outlinedKernels(), argc > 1 ? argv[1] : "sm_90a");
  if (mlir::failed(ptx)) return 1;
  if (absl::Status loaded = (*gpu)->Load(*ptx); !loaded.ok()) {
    fprintf(stderr, "error: %s\n", std::string(loaded.message()).c_str());
    return 1;
  }
  for (const Kernel &k : kernels) {
    std::vector<Bytes> inputs, results;
    int64_t bytes = 0;
    for (int64_t n : k.inputs) inputs.push_back(bytesOf(randomFloats(n, int(n))));
    for (int64_t n : k.results) results.emplace_back(n * 4);
    for (const auto *list : {&k.inputs, &k.results})
      for (int64_t n : *list) bytes += n * 4;
    for (int64_t blocks : {int64_t(facts.multiprocessors) * 8, kRows}) {
      double ms = 0;
      runOnGpu(suite, **gpu, k.name, inputs, results, blocks, &ms);
      printf("%-14s %6lld blocks  %8.3f ms  %7.0f GB/s\n", k.name, static_cast<long long>(blocks), ms,
             bytes / ms / 1e6);
    }
  }
}
