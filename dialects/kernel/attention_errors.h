// How far compiled attention may be from attention computed exactly: the declared errors of docs/numerics.md.
#pragma once
#include "dialects/graph/host_attention.h"
#include "dialects/kernel/kernel.h"
#include <vector>

namespace weft::kernel {

// An absolute error for each element of `dense`, the results of `op` computed exactly: out and lse, or the
// gradients that its kind has.
std::vector<graph::HostTensor> attentionErrors(AttentionOp op, const graph::HostAttention &attention,
                                               llvm::ArrayRef<graph::HostTensor> dense);

} // namespace weft::kernel
