// Products of matrices, plain and by groups of rows.
#include "passes/codegen/cpu/matmul_heuristics.h"
#include "tests/benchmarks/kernels/bench_kernel.h"
#include "tests/compiler/codegen/matmul_text.h"

namespace weft::cpu_test {
namespace {

// The compiler's own.
void setSchedule(matmul::Matmul &op, cpu::MatmulShape shape, KernelSuite &suite) {
  kernel::ScheduleAttr s = cpu::scheduleMatmul(&suite.context(), shape, kThreads);
  op.schedule = "tile_m = " + std::to_string(s.getTileM()) + ", tile_n = " + std::to_string(s.getTileN()) +
                ", block_m = " + std::to_string(s.getBlockM()) +
                ", block_n = " + std::to_string(s.getBlockN()) +
                ", block_k = " + std::to_string(s.getBlockK());
}

double bytesTouched(const matmul::Matmul &op, double factorBytes) {
  double factors = double(matmul::countOf(op.lhs.type) + matmul::countOf(op.rhs.type));
  return factorBytes * factors + 4.0 * double(matmul::countOf(op.outputs[0].type));
}

struct Shape {
  std::string name;
  int64_t m, n, k;
  bool transposedLhs, transposedRhs;
};

void addProduct(std::vector<BenchKernel> &kernels, KernelSuite &suite, const Shape &s,
                const std::string &unit, bool packedRhs) {
  bool bf16 = unit != "fma";
  std::string name = (packedRhs ? "bf16_packed_" : bf16 ? "bf16_" : "") + s.name;
  matmul::Matmul op =
      matmul::plain(name, 1, s.m, s.n, s.k, s.transposedLhs, s.transposedRhs, bf16 ? "bf16" : "f32");
  op.unit = unit;
  op.packedRhs = packedRhs;
  if (packedRhs) op.rhs.strides = {0, s.n, 1};
  bool columns = !s.transposedRhs || packedRhs;
  cpu::MatmulShape shape{1, s.m, s.n, s.k, bf16 ? 2 : 4, columns, packedRhs};
  shape.rhsInPlace = !bf16 && s.transposedRhs;
  setSchedule(op, shape, suite);
  kernels.push_back(
      {name,
       op.text(),
       2.0 * double(s.m * s.n * s.k),
       bytesTouched(op, bf16 ? 2 : 4),
       [s, bf16] {
         return std::vector<Bytes>{randomNumbers(s.m * s.k, 1, bf16), randomNumbers(s.k * s.n, 2, bf16)};
       },
       {4 * s.m * s.n}});
}

} // namespace

// The shapes of a model of width 384 (feed-forward 1024) on 4096 tokens: forward (x Wᵀ), dX (dy W), dW
// (dyᵀ x); then decode; and a square.
void addProducts(std::vector<BenchKernel> &kernels, KernelSuite &suite,
                 const std::vector<std::string> &units) {
  constexpr int64_t kTokens = 4096;
  std::vector<Shape> shapes;
  for (auto [out, in] : {std::pair<int64_t, int64_t>{1152, 384}, {384, 384}, {1024, 384}, {384, 1024}}) {
    std::string size = std::to_string(out) + "x" + std::to_string(in);
    shapes.push_back({"forward_" + size, kTokens, out, in, false, true});
    shapes.push_back({"dx_" + size, kTokens, in, out, false, false});
    shapes.push_back({"dw_" + size, out, in, kTokens, true, false});
    for (int64_t rows : {1, 8})
      shapes.push_back({"decode" + std::to_string(rows) + "_" + size, rows, out, in, false, true});
  }
  shapes.push_back({"decode1_4096x4096", 1, 4096, 4096, false, true});
  shapes.push_back({"square_1024", 1024, 1024, 1024, false, true});
  for (const Shape &s : shapes)
    for (const std::string &unit : units) {
      addProduct(kernels, suite, s, unit, false);
      // A weight that is packed beforehand (derive-weights).
      if (unit != "fma" && s.transposedRhs && !s.transposedLhs) addProduct(kernels, suite, s, unit, true);
    }
}

// Eight experts of 256 x 256, each of 8192 rows chosen at random: two for each of 4096 tokens.
void addGroupedProducts(std::vector<BenchKernel> &kernels, KernelSuite &suite,
                        const std::vector<std::string> &units) {
  constexpr int64_t kGroups = 8, kRows = 8192, kWidth = 256;
  auto bounds = [] {
    std::vector<int32_t> counts(kGroups + 1);
    for (int32_t expert : randomInts(kRows, 5, 0, kGroups)) ++counts[expert + 1];
    for (int64_t g = 0; g < kGroups; ++g) counts[g + 1] += counts[g];
    return bytesOf(counts);
  };
  for (const std::string &unit : units) {
    bool bf16 = unit != "fma";
    std::string element = bf16 ? "bf16" : "f32";
    auto add = [&](const std::string &kind, int64_t m, int64_t k, bool depth) {
      std::string name = (bf16 ? "bf16_grouped_" : "grouped_") + kind;
      matmul::Matmul op = matmul::plain(name, kGroups, m, kWidth, k, depth, !depth, element);
      op.lhs = {tensorType({kRows, kWidth}, element),
                depth ? std::vector<int64_t>{0, 1, kWidth} : std::vector<int64_t>{0, kWidth, 1}};
      if (depth) op.rhs = {tensorType({kRows, kWidth}, element), {0, kWidth, 1}};
      if (!depth) op.outputs = {{tensorType({kRows, kWidth}, "f32"), {0, kWidth, 1}}};
      op.unit = unit;
      op.grouped = depth ? 'k' : 'm';
      setSchedule(op, {kGroups, m, kWidth, k, bf16 ? 2 : 4, depth, false}, suite);
      kernels.push_back(
          {name,
           op.text(),
           2.0 * kRows * kWidth * kWidth,
           bytesTouched(op, bf16 ? 2 : 4),
           [lhs = matmul::countOf(op.lhs.type), rhs = matmul::countOf(op.rhs.type), bf16, bounds] {
             return std::vector<Bytes>{randomNumbers(lhs, 1, bf16), randomNumbers(rhs, 2, bf16), bounds()};
           },
           {4 * matmul::countOf(op.outputs[0].type)}});
    };
    add("forward", kRows, kWidth, false);
    add("dw", kWidth, kRows, true);
  }
}

} // namespace weft::cpu_test
