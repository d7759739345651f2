// Row kernels that tests and benchmarks share, as text.
#pragma once
#include "tests/compiler/codegen/harness.h"

namespace weft::cpu_test {

inline Access rows(std::vector<int64_t> shape, const std::string &element = "f32") {
  return {tensorType(shape, element), rowMajor(shape)};
}
inline Access perColumn(int64_t n) { return {tensorType({n}, "f32"), {0, 1}}; }
inline Access perRow(int64_t m, const std::string &element = "f32") {
  return {tensorType({m}, element), {1, 0}};
}

// y = rms_norm(x + r) * w, and the sum.
inline Loops residualNorm(int64_t m, int64_t n) {
  return {.domain = {m, n},
          .inputs = {rows({m, n}), rows({m, n}), perColumn(n)},
          .outputs = {rows({m, n}), rows({m, n})},
          .region = R"(
    %s = arith.addf %0, %1 : f32
    %sq = arith.mulf %s, %s : f32
    %sum = kernel.reduce sum %sq : f32
    %inv = arith.constant )" +
                    std::to_string(1.0 / double(n)) +
                    R"( : f32
    %eps = arith.constant 1.0e-5 : f32
    %mean = arith.mulf %sum, %inv : f32
    %shifted = arith.addf %mean, %eps : f32
    %scale = math.rsqrt %shifted : f32
    %y = arith.mulf %s, %scale : f32
    %z = arith.mulf %y, %2 : f32
    kernel.yield %s, %z : f32, f32)"};
}

inline Loops swiglu(int64_t m, int64_t n) {
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

// Softmax with its log-sum-exp a row: two passes, then a store pass; a value a row beside values a column.
inline Loops softmax(int64_t m, int64_t n) {
  return {.domain = {m, n}, .inputs = {rows({m, n})}, .outputs = {rows({m, n}), perRow(m)}, .region = R"(
    %max = kernel.reduce max %0 : f32
    %d = arith.subf %0, %max : f32
    %e = math.exp %d : f32
    %sum = kernel.reduce sum %e : f32
    %p = arith.divf %e, %sum : f32
    %log = math.log %sum : f32
    %lse = arith.addf %max, %log : f32
    kernel.yield %p, %lse : f32, f32)"};
}

// dw = Σ over rows of dy * x * scale(row): a norm's weight gradient.
inline Loops weightGradient(int64_t m, int64_t n, bool accumulates, int64_t blockRows = 0) {
  return {.domain = {m, n},
          .inputs = {rows({m, n}), rows({m, n}), {tensorType({m}, "f32"), {1, 0}}},
          .outputs = {{tensorType({n}, "f32"), {0, 1}}},
          .region = "%p = arith.mulf %0, %1 : f32\n%q = arith.mulf %p, %2 : f32\nkernel.yield %q : f32",
          .inits = accumulates ? std::vector<int>{0} : std::vector<int>{},
          .reduceDims = 1,
          .blockColumns = 80,
          .blockRows = blockRows};
}

// d table[id] += dy: an embedding's gradient; `extra` sums the same rows into one, not indexed.
inline Loops embeddingGradient(int64_t tokens, int64_t n, int64_t vocab, bool accumulates) {
  return {
      .domain = {tokens, n},
      .inputs = {{tensorType({tokens}, "i32"), {1, 0}}, rows({tokens, n})},
      .outputs = {{tensorType({vocab, n}, "f32"), {0, 1}, 0, 0, n, vocab}, {tensorType({n}, "f32"), {0, 1}}},
      .region = "kernel.yield %1, %1 : f32, f32",
      .inits = accumulates ? std::vector<int>{0, 1} : std::vector<int>{},
      .reduceDims = 1,
      .blockColumns = 16};
}

} // namespace weft::cpu_test
