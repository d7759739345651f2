// The same kernel ops as PTX for sm_90a: assembled by ptxas without spills where ptxas is installed, and run
// where there is such a GPU (./run test-gpu).
#include "passes/codegen/cuda/compile.h"
#include "tests/compiler/codegen/gpu_run.h"
#include "tests/compiler/codegen/row_kernels.h"

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
  suite.add("residual_norm", residualNorm(8, 4096).text());
  suite.add("swiglu", swiglu(8, 1408).text());
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

TEST(LoopsCudaOnAGpu, ComputesWhatTheInterpreterDoes) {
  auto gpu = CudaDevice::Open();
  if (!gpu.ok()) GTEST_SKIP() << gpu.status().message();
  if ((*gpu)->facts().major != 9) GTEST_SKIP() << (*gpu)->facts().name << " is no sm_90";
  KernelSuite suite;
  suite.add("residual_norm", residualNorm(8, 4096).text());
  suite.add("swiglu", swiglu(8, 1408).text());
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
  Loops columns = swiglu(8, 1408);
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
