// The same kernel ops as PTX for sm_90a: assembled by ptxas without spills where ptxas is installed, and run
// where there is such a GPU (./run test-gpu).
#include "passes/codegen/cuda/compile.h"
#include "runtime/device/cuda.h"
#include "tests/compiler/codegen/harness.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace weft::cpu_test {
namespace {

using testing::HasSubstr;
using testing::Not;

Access rows(std::vector<int64_t> shape) { return {tensorType(shape, "f32"), rowMajor(shape)}; }

// y = rms_norm(x + r) * w, and the sum.
Loops residualNorm() {
  int64_t m = 8, n = 4096;
  return {.domain = {m, n},
          .inputs = {rows({m, n}), rows({m, n}), {tensorType({n}, "f32"), {0, 1}}},
          .outputs = {rows({m, n}), rows({m, n})},
          .region = R"(
    %s = arith.addf %0, %1 : f32
    %sq = arith.mulf %s, %s : f32
    %sum = kernel.reduce sum %sq : f32
    %inv = arith.constant 2.44140625e-4 : f32
    %eps = arith.constant 1.0e-5 : f32
    %mean = arith.mulf %sum, %inv : f32
    %shifted = arith.addf %mean, %eps : f32
    %scale = math.rsqrt %shifted : f32
    %y = arith.mulf %s, %scale : f32
    %z = arith.mulf %y, %2 : f32
    kernel.yield %s, %z : f32, f32)"};
}

Loops swiglu() {
  int64_t m = 8, n = 1408;
  return {.domain = {m, n}, .inputs = {rows({m, n}), rows({m, n})}, .outputs = {rows({m, n})}, .region = R"(
    %one = arith.constant 1.0 : f32
    %n = arith.negf %0 : f32
    %e = math.exp %n : f32
    %d = arith.addf %e, %one : f32
    %s = arith.divf %one, %d : f32
    %g = arith.mulf %0, %s : f32
    %y = arith.mulf %g, %1 : f32
    kernel.yield %y : f32)"};
}

// A gather, an index, i1, a value a row, f64 and i64 reductions.
Loops assorted() {
  int64_t m = 4, n = 300, vocab = 10;
  return {
      .domain = {m, n},
      .inputs = {{tensorType({m}, "i32"), {1, 0}}, {tensorType({vocab, n}, "f32"), {0, 1}, 0, 0, n, vocab}},
      .outputs = {{tensorType({m, n}, "i1"), {n, 1}},
                  {tensorType({m}, "f64"), {1, 0}},
                  {tensorType({m}, "i64"), {1, 0}}},
      .region = R"(
    %c = kernel.index 1
    %hit = arith.cmpi eq, %c, %0 : i32
    %t = math.tanh %1 : f32
    %d = arith.extf %t : f32 to f64
    %sum = kernel.reduce sum %d : f64
    %l = arith.extsi %c : i32 to i64
    %max = kernel.reduce max %l : i64
    kernel.yield %hit, %sum, %max : i1, f64, i64)"};
}

std::string findPtxas() {
  for (const char *path : {"/usr/local/cuda/bin/ptxas", "/usr/bin/ptxas"})
    if (access(path, X_OK) == 0) return path;
  return "";
}

// What ptxas says of the text, verbosely.
std::string assemble(const std::string &ptxas, const std::string &text) {
  std::string base = testing::TempDir() + "weft_cuda_" + std::to_string(getpid());
  std::ofstream(base + ".ptx") << text;
  std::string command = ptxas + " -arch=sm_90a -v " + base + ".ptx -o " + base + ".cubin 2>&1; echo exit $?";
  std::string said;
  FILE *pipe = popen(command.c_str(), "r");
  for (int c; (c = fgetc(pipe)) != EOF;) said += char(c);
  pclose(pipe);
  unlink((base + ".ptx").c_str());
  unlink((base + ".cubin").c_str());
  return said;
}

TEST(LoopsCuda, NormAndSwigluAssembleWithoutSpills) {
  KernelSuite suite;
  suite.add("residual_norm", residualNorm().text());
  suite.add("swiglu", swiglu().text());
  suite.add("assorted", assorted().text());
  auto ptx = cuda::compileToPtx(suite.outlinedKernels(), "sm_90a");
  ASSERT_TRUE(mlir::succeeded(ptx));
  EXPECT_THAT(*ptx, HasSubstr(".target sm_90a"));
  EXPECT_THAT(*ptx, HasSubstr(".entry residual_norm"));
  EXPECT_THAT(*ptx, HasSubstr(".entry swiglu"));
  EXPECT_THAT(*ptx, HasSubstr(".maxntid 256"));
  EXPECT_THAT(*ptx, HasSubstr("shfl.sync.bfly.b32")) << "reductions go through the warp";
  EXPECT_THAT(*ptx, Not(HasSubstr(".extern"))) << "a call to a library slipped in";
  std::string ptxas = findPtxas();
  if (ptxas.empty()) GTEST_SKIP() << "ptxas is not installed: the PTX is not assembled";
  std::string said = assemble(ptxas, *ptx);
  EXPECT_THAT(said, HasSubstr("exit 0")) << *ptx;
  EXPECT_THAT(said, Not(HasSubstr("warning"))) << said;
  size_t kernels = 0;
  for (size_t at = 0; (at = said.find("0 bytes spill stores, 0 bytes spill loads", at)) != std::string::npos;
       ++at)
    ++kernels;
  EXPECT_EQ(kernels, 3u) << said;
  printf("%s\n", said.c_str());
}

// Runs the kernel on the GPU, its buffers between guards; the results' buffers, and milliseconds a run in the
// end.
std::vector<Bytes> runOnGpu(KernelSuite &suite, CudaDevice &gpu, const std::string &name,
                            const std::vector<Bytes> &inputs, const std::vector<Bytes> &results,
                            int64_t blocks, double *ms = nullptr) {
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

TEST(LoopsCudaOnAGpu, ComputesWhatTheInterpreterDoes) {
  auto gpu = CudaDevice::Open();
  if (!gpu.ok()) GTEST_SKIP() << gpu.status().message();
  if ((*gpu)->facts().major != 9) GTEST_SKIP() << (*gpu)->facts().name << " is no sm_90";
  KernelSuite suite;
  suite.add("residual_norm", residualNorm().text());
  suite.add("swiglu", swiglu().text());
  suite.add("assorted", assorted().text());
  auto ptx = cuda::compileToPtx(suite.outlinedKernels(), "sm_90a");
  ASSERT_TRUE(mlir::succeeded(ptx));
  absl::Status loaded = (*gpu)->Load(*ptx);
  ASSERT_TRUE(loaded.ok()) << loaded;
  auto floats = [](size_t n, int seed) { return bytesOf(randomFloats(n, seed)); };
  auto check = [&](const std::string &name, const std::vector<Bytes> &in,
                   const std::vector<size_t> &outBytes) {
    SCOPED_TRACE(name);
    std::vector<Bytes> out;
    for (size_t n : outBytes) out.emplace_back(n, 0x77); // what is not written shows
    std::vector<Bytes> first = runOnGpu(suite, **gpu, name, in, out, 1);
    suite.expectInterpreted(name, in, out, first, 1e-5);
    for (int64_t blocks : {3, 100})
      EXPECT_EQ(runOnGpu(suite, **gpu, name, in, out, blocks), first)
          << "bits depend on the number of blocks";
  };
  check("residual_norm", {floats(8 * 4096, 1), floats(8 * 4096, 2), floats(4096, 3)},
        {8 * 4096 * 4, 8 * 4096 * 4});
  check("swiglu", {floats(8 * 1408, 1), floats(8 * 1408, 2)}, {8 * 1408 * 4});
  check("assorted", {bytesOf(randomInts(4, 1, -3, 14)), floats(10 * 300, 2)}, {4 * 300, 4 * 8, 4 * 8});
}

TEST(LoopsCuda, SaysWhatHasNoCudaCode) {
  KernelSuite suite;
  Loops columns = swiglu();
  columns.reduceDims = 1;
  columns.outputs = {{tensorType({1408}, "f32"), {0, 1}}};
  suite.add("columns", columns.text());
  std::string text;
  mlir::ScopedDiagnosticHandler handler(&suite.context(), [&](mlir::Diagnostic &d) {
    text += d.str();
    return mlir::success();
  });
  EXPECT_TRUE(mlir::failed(cuda::compileToPtx(suite.outlinedKernels(), "sm_90a")));
  EXPECT_THAT(text, HasSubstr("with reduce_dims has no CUDA code yet"));
  text.clear();
  EXPECT_TRUE(mlir::failed(cuda::compileToPtx(suite.outlinedKernels(), "sm_91")));
  EXPECT_THAT(text, HasSubstr("chip is 'sm_91' when it should be sm_80, sm_86, sm_89, sm_90 or sm_90a"));
}

} // namespace
} // namespace weft::cpu_test
