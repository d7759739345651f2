#include "dialects/kernel/attention_errors.h"
#include "dialects/kernel/region_errors.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using weft::graph::HostTensor;
namespace weft::kernel {
namespace {

constexpr double kHalfUlpBf16 = 0x1p-8;

// What an element adds up, each term's magnitude: of out (or of dq), dk and dv; and the largest sum of |q||k|
// that is a score.
struct Magnitudes {
  HostTensor query, key, value;
  double score = 0;
};

// `grads`: lse, delta and dout, or none.
Magnitudes magnitudesOf(const graph::HostAttention &a, ArrayRef<HostTensor> grads) {
  int64_t B = a.q.shape[0], T = a.q.shape[1], H = a.q.shape[2], D = a.q.shape[3], S = a.k.shape[1],
          G = a.k.shape[2], E = a.v.shape[3];
  bool backward = !grads.empty();
  Magnitudes m{HostTensor::zeros({B, T, H, backward ? D : E}, a.q.element),
               HostTensor::zeros(a.k.shape, a.k.element), HostTensor::zeros(a.v.shape, a.v.element)};
  std::vector<double> scores(S);
  for (int64_t b = 0; b < B; ++b)
    for (int64_t t = 0; t < T; ++t)
      for (int64_t h = 0; h < H; ++h) {
        int64_t row = (b * T + t) * H + h,
                begin = std::clamp<int64_t>(int64_t(a.begin.values[b * T + t]), 0, S),
                end = std::clamp<int64_t>(int64_t(a.end.values[b * T + t]), begin, S);
        const double *q = a.q.values.data() + row * D;
        double most = -INFINITY, sum = 0;
        for (int64_t s = begin; s < end; ++s) {
          const double *k = a.k.values.data() + ((b * S + s) * G + h / (H / G)) * D;
          double score = 0, magnitude = 0;
          for (int64_t d = 0; d < D; ++d) score += q[d] * k[d], magnitude += std::fabs(q[d] * k[d]);
          scores[s] = score * a.scale;
          most = std::max(most, scores[s]);
          m.score = std::max(m.score, magnitude * std::fabs(a.scale));
        }
        for (int64_t s = begin; s < end; ++s) sum += std::exp(scores[s] - most);
        for (int64_t s = begin; s < end; ++s) {
          int64_t at = (b * S + s) * G + h / (H / G);
          double p = backward ? std::exp(scores[s] - grads[0].values[row]) : std::exp(scores[s] - most) / sum;
          const double *k = a.k.values.data() + at * D, *v = a.v.values.data() + at * E;
          if (!backward) {
            for (int64_t e = 0; e < E; ++e) m.query.values[row * E + e] += p * std::fabs(v[e]);
            continue;
          }
          const double *dout = grads[2].values.data() + row * E;
          double ds = std::fabs(grads[1].values[row]);
          for (int64_t e = 0; e < E; ++e) {
            ds += std::fabs(dout[e] * v[e]);
            m.value.values[at * E + e] += p * std::fabs(dout[e]);
          }
          ds *= p * std::fabs(a.scale);
          for (int64_t d = 0; d < D; ++d) {
            m.query.values[row * D + d] += ds * std::fabs(k[d]);
            m.key.values[at * D + d] += ds * std::fabs(q[d]);
          }
        }
      }
  return m;
}

} // namespace

std::vector<HostTensor> attentionErrors(AttentionOp op, const graph::HostAttention &a,
                                        ArrayRef<HostTensor> grads, ArrayRef<HostTensor> dense) {
  int64_t T = a.q.shape[1], H = a.q.shape[2], D = a.q.shape[3], S = a.k.shape[1], G = a.k.shape[2],
          E = a.v.shape[3];
  bool bf16 = a.q.element == graph::Element::bf16;
  Magnitudes m = magnitudesOf(a, grads);
  // A score, as the exponential has it: its sum, what is scaled and subtracted; and the exponential's own.
  double weight = std::expm1(std::min(1.0, (double(D) + 4) * kHalfUlp * m.score)) + 4 * kHalfUlp;
  // Rescaled where a block of keys has a larger score; summed over keys twice, for p v and for the sum of p.
  double over = 2 * weight + sumError(2 * S + D + E + 16);
  std::vector<HostTensor> out(dense.begin(), dense.end());
  auto bound = [&](HostTensor &t, const HostTensor &terms, double relative, int roundings) {
    if (bf16) relative += roundings * kHalfUlpBf16;
    for (auto [v, x] : llvm::zip(t.values, terms.values))
      v = relative * x + (t.element == graph::Element::bf16 ? kHalfUlpBf16 * std::fabs(v) : 0) + kFlushed;
  };
  if (op.getKind() == AttentionKind::forward) {
    bound(out[0], m.query, over, 2); // p is rounded, and so is out
    for (double &v : out[1].values) v = over + 4 * kHalfUlp * std::fabs(v);
    return out;
  }
  // Sums over the queries of a key's document and its group's heads; ds and p are rounded.
  double perKey = over + sumError(T * std::max<int64_t>(1, H / std::max<int64_t>(1, G)) + 1);
  size_t i = 0;
  if (op.getKind() != AttentionKind::grad_key_value) bound(out[i++], m.query, over, 2);
  if (op.getKind() != AttentionKind::grad_query) {
    bound(out[i++], m.key, perKey, 2);
    bound(out[i++], m.value, perKey, 2);
  }
  return out;
}

} // namespace weft::kernel
