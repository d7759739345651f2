// Operators that sum or take maxima: reductions, matrix products, attention; and reading and writing rows by
// index.
#pragma once
#include "frontends/dsl/shape.h"

namespace weft {

namespace detail {

// Reduces over any axes: graph.reduce takes a run of the last dimensions, or leaves the last one; anything
// else is two of them.
Tensor reduce(i64 kind, const char *what, const Arg &x, std::vector<i64> axes, bool keepdims);

} // namespace detail

// Sum, mean and maximum over axes (all of them when none is named), which disappear, or stay as 1 with
// keepdims.
Tensor sum(Arg x, const std::vector<i64> &axes = {}, bool keepdims = false);
Tensor max_along(Arg x, const std::vector<i64> &axes = {}, bool keepdims = false);
Tensor mean(Arg x, const std::vector<i64> &axes = {}, bool keepdims = false);

struct MatmulOptions {
  bool transpose_lhs = false;  // lhs is (…, K, M)
  bool transpose_rhs = false;  // rhs is (…, N, K)
  bool full_precision = false; // stays f32 where products are bf16
};

// (…, M, K) by (…, K, N): (…, M, N). Leading dimensions are equal; a rhs of rank 2 multiplies every row of
// lhs.
Tensor matmul(Arg a, Arg b, MatmulOptions options = {});

// Rows of a table (V, D…) by indices (S…): (S…, D…). Indices are clamped to [0, V).
Tensor gather(Arg table, Arg indices);

// result[b, slots[b, t]] = updates[b, t] in dest (B, S, D…), with slots (B, T) clamped to [0, S) and updates
// (B, T, D…); the slots of a sequence are distinct, or get the same row.
Tensor write_rows(Arg dest, Arg slots, Arg updates);

struct AttentionResult {
  Tensor out; // (B, T, H, E)
  Tensor lse; // (B, T, H): natural log of the softmax's denominator
};

// softmax(scale q kᵀ) v over keys [begin, end) of each query: q (B, T, H, D), k (B, S, G, D), v (B, S, G, E),
// begin and end (B, T); H is a multiple of G. An empty range gives zeros.
AttentionResult attend(Arg q, Arg k, Arg v, Arg begin, Arg end, double scale);

} // namespace weft
