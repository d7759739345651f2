// GFLOP/s and GB/s of compiled kernels of every family beside the core's peak, at 1 and 2 threads, and
// milliseconds to compile them.
//   ninja kernel_bench && build/bin/kernel_bench [--level=avx2|avx512|avx512bf16|amx]
//   [--benchmark_filter=REGEX]
// Names begin with the family: forward, dx, dw, decode, square (products), grouped, attention, rows, columns,
// scatter, sort; bf16_ stands before.
#include "passes/codegen/cpu/emit.h"
#include "runtime/device/cpu.h"
#include "runtime/device/thread_pool.h"
#include "tests/benchmarks/kernels/bench_kernel.h"

#include <benchmark/benchmark.h>
#include <dlfcn.h>
#include <immintrin.h>
#include <sys/mman.h>
#include <unistd.h>

namespace weft::cpu_test {
namespace {

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
    poolOf(threads).OnEach([&](int) { benchmark::DoNotOptimize(wide ? peak512(kSteps) : peak256(kSteps)); });
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

struct Runner {
  const BenchKernel *kernel;
  KernelFunction function;
  KernelSuite::Launch launch;

  void operator()(benchmark::State &state) const {
    int threads = int(state.range(0));
    // Inputs, then results, each on cache lines of its own, as a program's buffers are.
    std::vector<std::vector<char, Aligned<char>>> memory;
    for (const Bytes &input : kernel->inputs()) memory.emplace_back(input.begin(), input.end());
    for (int64_t bytes : kernel->resultBytes) memory.emplace_back(bytes);
    std::vector<char *> buffers;
    for (size_t i = 0; i < launch.operands.size(); ++i)
      buffers.push_back(memory[launch.operands[i]].data() + launch.offsets[i]);
    int64_t share = (launch.scratchBytes + 63) / 64 * 64;
    std::vector<char, Aligned<char>> scratch(share * threads);
    auto run = [&](int64_t begin, int64_t end, int thread) {
      function(buffers.data(), launch.sizes.data(), begin, end, scratch.data() + share * thread);
    };
    for (auto _ : state) poolOf(threads).ParallelFor(launch.items, 1, run, launch.piece);
    auto rate = [&](double each) {
      return benchmark::Counter(each * double(state.iterations()), benchmark::Counter::kIsRate);
    };
    if (kernel->flops > 0) state.counters["FLOP/s"] = rate(kernel->flops);
    if (kernel->bytes > 0) state.counters["B/s"] = rate(kernel->bytes);
  }
};

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
  std::vector<BenchKernel> kernels;
  const std::vector<std::string> units{"fma", target->amx ? "amx" : "vdpbf16"}; // of f32 and of bf16
  addProducts(kernels, suite, units);
  addGroupedProducts(kernels, suite, units);
  addAttention(kernels, units);
  addRowKernels(kernels);
  for (const BenchKernel &kernel : kernels) suite.add(kernel.name, kernel.body);

  auto start = std::chrono::steady_clock::now();
  auto image = cpu::compileKernels(suite.outlinedKernels(), *target);
  if (failed(image)) return 1;
  double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  benchmark::AddCustomContext("level", level);
  benchmark::AddCustomContext("kernels", std::to_string(kernels.size()));
  benchmark::AddCustomContext("compiling, ms", std::to_string(int64_t(ms)));
  int fd = memfd_create("kernels", MFD_CLOEXEC);
  if (write(fd, image->data(), image->size()) != ssize_t(image->size())) return 1;
  void *library = dlopen(("/proc/self/fd/" + std::to_string(fd)).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return 1;

  benchmark::RegisterBenchmark("peak", [&](benchmark::State &s) { peak(s, level != "avx2"); })
      ->ArgName("threads")
      ->Arg(1)
      ->Arg(kThreads)
      ->UseRealTime();
  for (const BenchKernel &kernel : kernels) {
    Runner runner{&kernel, reinterpret_cast<KernelFunction>(dlsym(library, kernel.name.c_str())),
                  suite.prepare(kernel.name)};
    benchmark::RegisterBenchmark(kernel.name.c_str(), runner)
        ->ArgName("threads")
        ->Arg(1)
        ->Arg(kThreads)
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  }
  benchmark::RunSpecifiedBenchmarks();
}
