// How far compiled attention may be from attention computed exactly: what rounding can do to its sums,
// relative to the magnitudes that they add.
#pragma once
#include "dialects/graph/host_attention.h"
#include "dialects/kernel/kernel.h"
#include <vector>

namespace weft::kernel {

// An absolute error for each element of `dense`, the results of `op` computed exactly: out and lse, or the
// gradients that its kind has. `grads`: lse, delta and dout, where it is a backward one.
std::vector<graph::HostTensor> attentionErrors(AttentionOp op, const graph::HostAttention &attention,
                                               llvm::ArrayRef<graph::HostTensor> grads,
                                               llvm::ArrayRef<graph::HostTensor> dense);

} // namespace weft::kernel
