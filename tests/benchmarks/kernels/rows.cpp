// Row kernels, sums over rows, scatter-add and the experts' sort: bound by memory, so bytes are what counts.
#include "tests/benchmarks/kernels/bench_kernel.h"
#include "tests/compiler/codegen/matmul_text.h"
#include "tests/compiler/codegen/row_kernels.h"

namespace weft::cpu_test {
namespace {

// The loss of each row from its logits and target, and the log-sum-exp that backward starts from.
Loops crossEntropy(int64_t m, int64_t n) {
  return {.domain = {m, n},
          .inputs = {rows({m, n}), perRow(m, "i32")},
          .outputs = {perRow(m), perRow(m)},
          .region = R"(
    %max = kernel.reduce max %0 : f32
    %d = arith.subf %0, %max : f32
    %e = math.exp %d : f32
    %sum = kernel.reduce sum %e : f32
    %log = math.log %sum : f32
    %lse = arith.addf %max, %log : f32
    %c = kernel.index 1
    %hit = arith.cmpi eq, %c, %1 : i32
    %zero = arith.constant 0.0 : f32
    %kept = arith.select %hit, %0, %zero : f32
    %logit = kernel.reduce sum %kept : f32
    %loss = arith.subf %lse, %logit : f32
    kernel.yield %loss, %lse : f32, f32)"};
}

// softmax(logits) - onehot(target).
Loops crossEntropyGradient(int64_t m, int64_t n) {
  return {.domain = {m, n},
          .inputs = {rows({m, n}), perRow(m, "i32"), perRow(m)},
          .outputs = {rows({m, n})},
          .region = R"(
    %d = arith.subf %0, %2 : f32
    %p = math.exp %d : f32
    %c = kernel.index 1
    %hit = arith.cmpi eq, %c, %1 : i32
    %one = arith.constant 1.0 : f32
    %less = arith.subf %p, %one : f32
    %g = arith.select %hit, %less, %p : f32
    kernel.yield %g : f32)"};
}

} // namespace

// 4096 rows of a model of width 384 (feed-forward 1024), and heads of 256 and 32000 words.
void addRowKernels(std::vector<BenchKernel> &kernels) {
  constexpr int64_t kRows = 4096, kWidth = 384, kFfn = 1024;
  // `elements` of f32 that are read; then bytes of the results. Integers are below `words`.
  auto add = [&](const std::string &name, Loops loops, std::vector<int64_t> elements, int integers,
                 int64_t words, std::vector<int64_t> results, double flops) {
    if (loops.reduceDims == 0) loops.blockColumns = 1024; // as schedule-kernels has it
    if (loops.reduceDims > 0) loops.blockColumns = 64;
    double bytes = 0;
    for (int64_t n : elements) bytes += 4.0 * double(n);
    for (int64_t n : results) bytes += double(n);
    auto inputs = [=] {
      std::vector<Bytes> in;
      for (size_t i = 0; i < elements.size(); ++i)
        in.push_back(int(i) == integers ? bytesOf(randomInts(elements[i], int(i), 0, int32_t(words)))
                                        : randomNumbers(elements[i], int(i)));
      return in;
    };
    kernels.push_back({name, loops.text(), flops, bytes, inputs, std::move(results)});
  };
  int64_t all = kRows * kWidth, wide = kRows * kFfn;
  add("rows_residual_norm_384", residualNorm(kRows, kWidth), {all, all, kWidth}, -1, 0, {4 * all, 4 * all},
      5.0 * double(all));
  add("rows_swiglu_1024", swiglu(kRows, kFfn), {wide, wide}, -1, 0, {4 * wide}, 0);
  for (auto [m, n] : {std::pair<int64_t, int64_t>{kRows, 256}, {512, 32000}}) {
    std::string words = std::to_string(n);
    add("rows_softmax_" + words, softmax(m, n), {m * n}, -1, 0, {4 * m * n, 4 * m}, 0);
    add("rows_cross_entropy_" + words, crossEntropy(m, n), {m * n, m}, 1, n, {4 * m, 4 * m}, 0);
    add("rows_cross_entropy_gradient_" + words, crossEntropyGradient(m, n), {m * n, m, m}, 1, n, {4 * m * n},
        0);
    add("scatter_embedding_" + words, embeddingGradient(kRows, kWidth, n, false), {kRows, all}, 0, n,
        {4 * n * kWidth, 4 * kWidth}, double(all));
  }
  add("columns_norm_gain_384", weightGradient(kRows, kWidth, false), {all, all, kRows}, -1, 0, {4 * kWidth},
      3.0 * double(all));
  // Two choices of each token, among 8 and 64 experts.
  for (int64_t experts : {8, 64}) {
    constexpr int64_t kChosen = 2, kAll = kRows * kChosen;
    kernels.push_back(
        {"sort_" + std::to_string(experts),
         matmul::sortText(kRows, kChosen, experts, /*segments=*/1),
         0,
         4.0 * double(4 * kAll + experts + 1),
         [experts] { return std::vector<Bytes>{bytesOf(randomInts(kAll, 1, 0, int32_t(experts)))}; },
         {4 * kAll, 4 * kAll, 4 * kAll, 4 * (experts + 1)}});
  }
}

} // namespace weft::cpu_test
