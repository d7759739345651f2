// GFLOP/s of compiled matmul and attention kernels beside the core's peak, at 1 and 2 threads; and
// milliseconds to compile them.
//   ninja kernel_bench && build/bin/kernel_bench [--level=avx2|avx512|avx512bf16|amx]
//   [--benchmark_filter=REGEX]
// The shapes are those of a model of width 384 (feed-forward 1024) on 4096 tokens: forward (x Wᵀ), dX (dy W),
// dW (dyᵀ x); then decode.
#include "passes/codegen/cpu/attention_heuristics.h"
#include "passes/codegen/cpu/emit.h"
#include "passes/codegen/cpu/matmul_heuristics.h"
#include "runtime/device/cpu.h"
#include "runtime/device/thread_pool.h"
#include "tests/compiler/codegen/attention_text.h"
#include "tests/compiler/codegen/matmul_text.h"

#include <benchmark/benchmark.h>
#include <dlfcn.h>
#include <immintrin.h>
#include <sys/mman.h>
#include <unistd.h>

namespace weft::cpu_test {
namespace {

constexpr int kThreads = 2;

__attribute__((target("avx512f"))) float peak512(int64_t n) {
  __m512 acc[24], x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(0.001f);
  for (auto &a : acc) a = y;
  for (int64_t i = 0; i < n; ++i)
#pragma GCC unroll 24
    for (auto &a : acc) a = _mm512_fmadd_ps(a, x, y);
  float sum = 0;
  for (auto &a : acc) sum += _mm512_cvtss_f32(a);
  return sum;
}
__attribute__((target("avx2,fma"))) float peak256(int64_t n) {
  __m256 acc[12], x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(0.001f);
  for (auto &a : acc) a = y;
  for (int64_t i = 0; i < n; ++i)
#pragma GCC unroll 12
    for (auto &a : acc) a = _mm256_fmadd_ps(a, x, y);
  float sum = 0;
  for (auto &a : acc) sum += _mm256_cvtss_f32(a);
  return sum;
}

// The runtime's own pool, as a launch uses it.
ThreadPool &poolOf(int threads) {
  static std::map<int, std::unique_ptr<ThreadPool>> pools;
  auto &pool = pools[threads];
  if (!pool) pool = std::make_unique<ThreadPool>(ThreadPoolOptions{.threads = threads});
  return *pool;
}

void peak(benchmark::State &state, bool wide) {
  constexpr int64_t kSteps = 100000;
  int threads = int(state.range(0));
  for (auto _ : state)
    poolOf(threads).ParallelFor(threads, 1, [&](int64_t, int64_t, int) {
      benchmark::DoNotOptimize(wide ? peak512(kSteps) : peak256(kSteps));
    });
  double flops = threads * kSteps * (wide ? 24 * 32 : 12 * 16);
  state.counters["FLOP/s"] =
      benchmark::Counter(flops * double(state.iterations()), benchmark::Counter::kIsRate);
}

// On cache lines of its own, as a program's buffers are.
template <typename T> struct Aligned {
  using value_type = T;
  T *allocate(size_t n) { return static_cast<T *>(::operator new (n * sizeof(T), std::align_val_t{64})); }
  void deallocate(T *p, size_t) { ::operator delete (p, std::align_val_t{64}); }
  bool operator==(const Aligned &) const { return true; }
};

struct Kernel {
  std::string name;
  double flops;
  std::vector<int64_t> bufferElements; // of four bytes
  std::vector<int> integers;           // buffers that hold causal ranges: begin, end
  int64_t tokens = 0;
  bool bf16 = false; // buffers but integers, lse and delta hold bf16
};

struct Runner {
  Kernel kernel;
  KernelFunction function;
  std::vector<int64_t> sizes;
  int64_t items, scratchBytes;

  void operator()(benchmark::State &state) const {
    int threads = int(state.range(0));
    std::vector<std::vector<float, Aligned<float>>> memory;
    std::vector<char *> buffers;
    for (size_t i = 0; i < kernel.bufferElements.size(); ++i) {
      auto values = randomFloats(kernel.bufferElements[i], int(i));
      memory.emplace_back(values.begin(), values.end());
      if (kernel.bf16 && i != 5 && i != 6) {
        auto halves = narrowed(values);
        std::memcpy(memory[i].data(), halves.data(), 2 * halves.size());
      }
      for (size_t r = 0; r < kernel.integers.size(); ++r)
        for (int64_t t = 0; kernel.integers[r] == int(i) && t < kernel.bufferElements[i]; ++t)
          reinterpret_cast<int32_t *>(memory[i].data())[t] = r ? int32_t(t % kernel.tokens + 1) : 0;
      buffers.push_back(reinterpret_cast<char *>(memory[i].data()));
    }
    int64_t share = (scratchBytes + 63) / 64 * 64;
    std::vector<char> scratch(share * threads + 64);
    char *aligned = scratch.data() + (-reinterpret_cast<intptr_t>(scratch.data()) & 63);
    for (auto _ : state)
      poolOf(threads).ParallelFor(items, 1, [&](int64_t begin, int64_t end, int thread) {
        function(buffers.data(), sizes.data(), begin, end, aligned + share * thread);
      });
    state.counters["FLOP/s"] =
        benchmark::Counter(kernel.flops * double(state.iterations()), benchmark::Counter::kIsRate);
  }
};

std::string scheduleText(kernel::ScheduleAttr s) {
  return "tile_m = " + std::to_string(s.getTileM()) + ", tile_n = " + std::to_string(s.getTileN()) +
         ", block_m = " + std::to_string(s.getBlockM()) + ", block_n = " + std::to_string(s.getBlockN()) +
         ", block_k = " + std::to_string(s.getBlockK());
}

void addMatmul(KernelSuite &suite, std::vector<Kernel> &kernels, const std::vector<std::string> &units,
               const std::string &name, int64_t m, int64_t n, int64_t k, bool transposedLhs,
               bool transposedRhs) {
  auto add = [&](const std::string &full, const std::string &unit, bool packedRhs) {
    bool bf16 = unit != "fma";
    matmul::Matmul op = matmul::plain(full, 1, m, n, k, transposedLhs, transposedRhs, bf16 ? "bf16" : "f32");
    op.unit = unit;
    op.packedRhs = packedRhs;
    if (packedRhs) op.rhs.strides = {0, n, 1};
    bool columns = !transposedRhs || packedRhs;
    op.schedule = scheduleText(
        cpu::scheduleMatmul(&suite.context(), {1, m, n, k, bf16 ? 2 : 4, columns, packedRhs}, kThreads));
    suite.add(full, op.text());
    kernels.push_back({full, 2.0 * m * n * k, {m * k, k * n, m * n}, {}, 0, bf16});
  };
  for (const std::string &unit : units) {
    add(unit != "fma" ? "bf16_" + name : name, unit, false);
    // A weight that is packed beforehand (derive-weights).
    if (unit != "fma" && transposedRhs && !transposedLhs) add("bf16_packed_" + name, unit, true);
  }
}

void addAttention(KernelSuite &suite, std::vector<Kernel> &kernels, int64_t batch, int64_t tokens,
                  int64_t heads, int64_t width, const std::string &unit) {
  attention::Attention op{.name = "",
                          .B = batch,
                          .T = tokens,
                          .S = tokens,
                          .H = heads,
                          .G = heads,
                          .D = width,
                          .E = width,
                          .chunkBlocks = 4,
                          .unit = unit};
  int64_t all = batch * tokens * heads * width, rows = batch * tokens * heads, ranges = batch * tokens;
  double product =
      2.0 * double(batch * heads * width) * double(tokens) * double(tokens + 1) / 2; // of the causal half
  std::vector<int64_t> in{all, all, all, ranges, ranges},
      grads{all, all, all, ranges, ranges, rows, rows, all};
  auto add = [&](const std::string &kind, double products, std::vector<int64_t> buffers,
                 std::vector<int64_t> out) {
    std::string name = (op.bf16() ? "bf16_attention_" : "attention_") + kind + "_" + std::to_string(tokens);
    buffers.insert(buffers.end(), out.begin(), out.end());
    op.tile = kind == "forward" ? 128 : 64;
    suite.add(name, op.text(kind));
    kernels.push_back({name, products * product, buffers, {3, 4}, tokens, op.bf16()});
  };
  add("forward", 2, in, {all, rows});
  add("backward", 5, grads, {all, all, all});
  add("grad_query", 3, grads, {all});
  add("grad_key_value", 4, grads, {all, all});
}

} // namespace
} // namespace weft::cpu_test

int main(int argc, char **argv) {
  using namespace weft;
  using namespace weft::cpu_test;
  std::string level = CpuLevelName(DetectCpuLevel());
  for (int i = 1; i < argc; ++i)
    if (std::string arg = argv[i]; arg.rfind("--level=", 0) == 0) {
      level = arg.substr(8);
      std::copy(argv + i + 1, argv + argc + 1, argv + i);
      --argc;
      break;
    }
  benchmark::Initialize(&argc, argv);
  const cpu::CpuLevel *target = cpu::findCpuLevel(level);
  if (!target || benchmark::ReportUnrecognizedArguments(argc, argv)) {
    fprintf(stderr,
            "error: usage: kernel_bench [--level=avx2|avx512|avx512bf16|amx] [--benchmark_filter=REGEX]\n");
    return 2;
  }

  KernelSuite suite;
  std::vector<Kernel> kernels;
  const std::vector<std::string> units{"fma", target->amx ? "amx" : "vdpbf16"}; // of f32 and of bf16
  constexpr int64_t kTokens = 4096;
  for (auto [out, in] : {std::pair<int64_t, int64_t>{1152, 384}, {384, 384}, {1024, 384}, {384, 1024}}) {
    std::string shape = std::to_string(out) + "x" + std::to_string(in);
    addMatmul(suite, kernels, units, "forward_" + shape, kTokens, out, in, false, true);
    addMatmul(suite, kernels, units, "dx_" + shape, kTokens, in, out, false, false);
    addMatmul(suite, kernels, units, "dw_" + shape, out, in, kTokens, true, false);
    for (int64_t rows : {1, 8})
      addMatmul(suite, kernels, units, "decode" + std::to_string(rows) + "_" + shape, rows, out, in, false,
                true);
  }
  addMatmul(suite, kernels, units, "decode1_4096x4096", 1, 4096, 4096, false, true);
  for (const std::string &unit : units) {
    addAttention(suite, kernels, 16, 256, 6, 64, unit);
    addAttention(suite, kernels, 1, 2048, 6, 64, unit);
  }

  auto start = std::chrono::steady_clock::now();
  auto image = cpu::compileKernels(suite.outlinedKernels(), *target);
  if (failed(image)) return 1;
  double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  printf("%s: %zu kernels compiled in %.0f ms\n", level.c_str(), kernels.size(), ms);
  int fd = memfd_create("kernels", MFD_CLOEXEC);
  if (write(fd, image->data(), image->size()) != ssize_t(image->size())) return 1;
  void *library = dlopen(("/proc/self/fd/" + std::to_string(fd)).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return 1;

  benchmark::RegisterBenchmark("peak", [&](benchmark::State &s) { peak(s, level != "avx2"); })
      ->ArgName("threads")
      ->Arg(1)
      ->Arg(kThreads)
      ->UseRealTime();
  for (const Kernel &kernel : kernels) {
    mlir::Operation *op = suite.kernelOp(kernel.name);
    kernel::SizeLayout layout(op);
    auto own = op->getAttrOfType<mlir::DenseI64ArrayAttr>("sizes").asArrayRef();
    Runner runner{kernel, reinterpret_cast<KernelFunction>(dlsym(library, kernel.name.c_str())),
                  std::vector<int64_t>(layout.numSlots()), kernel::numWorkItems(op, own),
                  cpu::scratchBytes(mlir::cast<program::KernelOp>(op->getParentOp()))};
    std::copy(own.begin(), own.end(), runner.sizes.begin());
    for (size_t a = 0; a < layout.accesses.size(); ++a)
      for (int64_t d = 0; d < layout.rank(a); ++d)
        runner.sizes[layout.stride(a, d)] = layout.accesses[a].getStrides()[d];
    benchmark::RegisterBenchmark(kernel.name.c_str(), runner)
        ->ArgName("threads")
        ->Arg(1)
        ->Arg(kThreads)
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  }
  benchmark::RunSpecifiedBenchmarks();
}
