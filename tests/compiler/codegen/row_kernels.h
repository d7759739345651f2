// Row kernels that tests and benchmarks share, as text.
#pragma once
#include "tests/compiler/codegen/harness.h"

namespace weft::cpu_test {

inline Access rows(std::vector<int64_t> shape) { return {tensorType(shape, "f32"), rowMajor(shape)}; }

// y = rms_norm(x + r) * w, and the sum.
inline Loops residualNorm(int64_t m, int64_t n) {
  return {.domain = {m, n},
          .inputs = {rows({m, n}), rows({m, n}), {tensorType({n}, "f32"), {0, 1}}},
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

} // namespace weft::cpu_test
