// Attention on host tensors, with all scores materialised: the reference of graph.attention, kernel.attention
// and their gradients.
#pragma once
#include "dialects/graph/host_tensor.h"

namespace weft::graph {

// q (B, T, H, D), k (B, S, G, D), v (B, S, G, E), begin and end (B, T); lse, delta (B, T, H); dout (B, T, H,
// E).
struct HostAttention {
  const HostTensor &q, &k, &v, &begin, &end;
  double scale;

  // out (B, T, H, E), lse (B, T, H); both 0 where a query sees no key.
  void forward(HostTensor &out, HostTensor &lse) const;
  // dq (B, T, H, D), dk (B, S, G, D), dv (B, S, G, E).
  void backward(const HostTensor &lse, const HostTensor &delta, const HostTensor &dout, HostTensor &dq,
                HostTensor &dk, HostTensor &dv) const;
};

} // namespace weft::graph
