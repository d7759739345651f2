#include "dialects/kernel/attention_errors.h"
#include "dialects/kernel/region_errors.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using weft::graph::HostTensor;
namespace weft::kernel {

// The declared errors of attention are for scores whose terms come to 8 or so; beyond that they grow with
// them.
static double scoreScale(const graph::HostAttention &attention) {
  const HostTensor &q = attention.q, &k = attention.k;
  double largest = 0;
  int64_t D = q.shape[3], H = q.shape[2], G = k.shape[2], T = q.shape[1], S = k.shape[1];
  for (int64_t b = 0; b < q.shape[0]; ++b)
    for (int64_t t = 0; t < T; ++t)
      for (int64_t h = 0; h < H; ++h)
        for (int64_t s = int64_t(attention.begin.values[b * T + t]);
             s < std::min(S, int64_t(attention.end.values[b * T + t])); ++s) {
          const double *x = q.values.data() + ((b * T + t) * H + h) * D,
                       *y = k.values.data() + ((b * S + s) * G + h / (H / G)) * D;
          double sum = 0;
          for (int64_t d = 0; d < D; ++d) sum += std::fabs(x[d] * y[d]);
          largest = std::max(largest, sum * std::fabs(attention.scale));
        }
  return std::max(1.0, largest / 8);
}

std::vector<HostTensor> attentionErrors(AttentionOp op, const graph::HostAttention &attention,
                                        ArrayRef<HostTensor> dense) {
  bool bf16 = attention.q.element == graph::Element::bf16;
  double scale = scoreScale(attention);
  std::vector<HostTensor> out(dense.begin(), dense.end());
  auto ofLargest = [&](HostTensor &t, double bound) {
    double largest = 0;
    for (double v : t.values) largest = std::max(largest, std::fabs(v));
    // A bf16 is rounded, too.
    bool rounds = t.element == graph::Element::bf16;
    for (double &v : t.values) v = bound * scale * largest + (rounds ? 0x1p-8 * std::fabs(v) : 0) + kFlushed;
  };
  if (op.getKind() != AttentionKind::forward) {
    for (HostTensor &t : out) ofLargest(t, bf16 ? 4e-3 : 1e-6);
    return out;
  }
  HostTensor magnitudes = attention.v, lse = dense[1];
  for (double &v : magnitudes.values) v = std::fabs(v);
  graph::HostAttention terms{attention.q,     attention.k,   magnitudes,
                             attention.begin, attention.end, attention.scale};
  terms.forward(out[0], lse);
  for (double &v : out[0].values) v = (bf16 ? 8e-3 : 1e-6) * scale * v + kFlushed;
  ofLargest(out[1], 3e-7);
  return out;
}

} // namespace weft::kernel
