// Runs compiled kernels on buffers, at every CPU level this machine has (AMX too) and cut into 1, 2 and 3
// ranges, and holds their bits against each other. Compiles add up: a suite compiles all its kernels at once.
#pragma once
#include "dialects/kernel/kernel.h"
#include "dialects/program/program.h"
#include "passes/codegen/cpu/compile.h"
#include "runtime/kernel_abi.h"

#include "mlir/IR/OwningOpRef.h"

#include <bit>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace weft::cpu_test {

using Bytes = std::vector<char>;

template <typename T> Bytes bytesOf(const std::vector<T> &values) {
  const char *data = reinterpret_cast<const char *>(values.data());
  return Bytes(data, data + values.size() * sizeof(T));
}
template <typename T> std::vector<T> valuesOf(const Bytes &bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// bf16, as its bits.
inline float widened(uint16_t half) { return std::bit_cast<float>(uint32_t(half) << 16); }
uint16_t narrowed(float value); // to nearest even
std::vector<uint16_t> narrowed(const std::vector<float> &values);

// Numbers that look random and depend on `seed` alone: f32 in [low, high).
std::vector<float> randomFloats(size_t count, int seed, float low = -2, float high = 2);
std::vector<int32_t> randomInts(size_t count, int seed, int32_t low, int32_t high); // [low, high)

class AmxJobs;

class KernelSuite {
public:
  KernelSuite();
  ~KernelSuite();

  // `body` is what stands in a program.kernel: `^bb0(%x: tensor<…>, …): … = kernel.loops …`, with static
  // sizes; block arguments are the inputs (matmul: lhs, rhs, extras; and init, last). The kernel is outlined:
  // sizes and strides other than 0 and 1 become arguments, as the pipeline does it. A text that does not
  // parse fails the test.
  void add(const std::string &name, const std::string &body);

  // Compiles what was added, for every level; fails the test on an error.
  void compile();
  // Expects that compiling what was added for the AVX2 level fails; the diagnostics' text.
  std::string compileError();
  double compileSeconds() const { return seconds; } // of the last compile(), all levels together

  // One buffer for each input, then one for each result (its content is where it starts: the init, if there
  // is one). Runs at all levels, in 1, 2 and 3 ranges, with guards around every buffer, and expects the same
  // bytes from all. The results' buffers. `alias` gives, for a result, the input it lies over (in place).
  std::vector<Bytes> run(const std::string &name, const std::vector<Bytes> &inputs,
                         const std::vector<Bytes> &results, const std::map<int, int> &alias = {});
  // The same through the reference interpreter (dialects/kernel/interpret.h), in f64 and independent of the
  // code that is tested. Each result's elements.
  std::vector<std::vector<double>> interpret(const std::string &name, const std::vector<Bytes> &inputs,
                                             const std::vector<Bytes> &results);
  // run(), and each result within `tolerance` of the interpreter's: |got - want| <= tolerance * (|want| +
  // scale); NaN and infinities equal. Integers and i1: equal.
  std::vector<Bytes> check(const std::string &name, const std::vector<Bytes> &inputs,
                           const std::vector<Bytes> &results, double tolerance = 1e-6, double scale = 1);
  // Seconds of one run at `level` as a single range; results are thrown away.
  double time(const std::string &name, const std::string &level, const std::vector<Bytes> &inputs,
              const std::vector<Bytes> &results);

  mlir::MLIRContext &context() { return *owned; }
  mlir::ModuleOp outlinedKernels() { return *outlined; } // the program.kernel ops that are compiled
  // What a launch of the kernel as written passes.
  struct Launch {
    std::vector<int64_t> sizes, offsets; // offsets: bytes, one a buffer
    std::vector<int64_t> elementBytes;   // of each buffer
    std::vector<int> operands;           // the operand (inputs, then results) of each buffer
    int64_t items = 0, piece = 1, scratchBytes = 0;
  };
  Launch prepare(const std::string &name);
  // Expects `got`, one for each result, to be what the interpreter computes, as check() does.
  void expectInterpreted(const std::string &name, const std::vector<Bytes> &inputs,
                         const std::vector<Bytes> &results, const std::vector<Bytes> &got,
                         double tolerance = 1e-6, double scale = 1);

  // The op as written, with static sizes.
  mlir::Operation *kernelOp(const std::string &name);
  std::string llvmIr, assembly; // of the level compiled last, where set before compile()
  bool keepText = false;

private:
  struct Library;
  std::unique_ptr<mlir::MLIRContext> owned;
  mlir::OwningOpRef<mlir::ModuleOp> written, outlined;
  std::vector<std::unique_ptr<Library>> libraries;
  std::unique_ptr<AmxJobs> amxJobs; // where wanted (amx_jobs.h)
  double seconds = 0;
};

// Text of a kernel.loops, for tests that go over sizes.
struct Access {
  std::string type;             // of the tensor: "33x100xf32"
  std::vector<int64_t> strides; // along the domain
  int64_t offset = 0, index = -1, indexStride = 0, indexLimit = 0;
};
struct Loops {
  std::vector<int64_t> domain;
  std::vector<Access> inputs, outputs; // outputs: one a yield, each its own result
  std::string region;                  // the block arguments are %0, %1, …; ends with kernel.yield
  std::vector<int> inits = {};         // results that start from an init
  int64_t reduceDims = 0, blockColumns = 64, blockRows = 0;
  std::string text() const; // for KernelSuite::add
};
std::vector<int64_t> rowMajor(const std::vector<int64_t> &shape);                      // strides
std::string tensorType(const std::vector<int64_t> &shape, const std::string &element); // "33x100xf32"

} // namespace weft::cpu_test
