#include "dialects/graph/host_attention.h"
#include <algorithm>
#include <cmath>

namespace weft::graph {

namespace {
struct Sizes {
  int64_t B, T, H, D, S, G, E;
  Sizes(const HostAttention &a)
      : B(a.q.shape[0]), T(a.q.shape[1]), H(a.q.shape[2]), D(a.q.shape[3]), S(a.k.shape[1]), G(a.k.shape[2]),
        E(a.v.shape[3]) {}
  int64_t query(int64_t b, int64_t t, int64_t h) const { return (b * T + t) * H + h; }         // times D or E
  int64_t key(int64_t b, int64_t s, int64_t h) const { return (b * S + s) * G + h / (H / G); } // times D or E
};
double dot(const double *a, const double *b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}
// Calls f(b, t, h, begin, end) for each query head that sees a key.
template <class F> void forEachQuery(const HostAttention &a, const Sizes &z, F f) {
  for (int64_t b = 0; b < z.B; ++b)
    for (int64_t h = 0; h < z.H; ++h)
      for (int64_t t = 0; t < z.T; ++t) {
        int64_t begin = std::clamp<int64_t>(int64_t(a.begin.values[b * z.T + t]), 0, z.S);
        int64_t end = std::clamp<int64_t>(int64_t(a.end.values[b * z.T + t]), 0, z.S);
        if (begin < end) f(b, t, h, begin, end);
      }
}
// Calls f(query, key, probability, adjoint of the score before scale) for each pair that sees each other;
// query and key are row numbers.
template <class F>
void forEachPair(const HostAttention &a, const HostTensor &lse, const HostTensor &delta,
                 const HostTensor &dout, F f) {
  Sizes z(a);
  forEachQuery(a, z, [&](int64_t b, int64_t t, int64_t h, int64_t begin, int64_t end) {
    int64_t query = z.query(b, t, h);
    for (int64_t s = begin; s < end; ++s) {
      int64_t key = z.key(b, s, h);
      double p =
          std::exp(a.scale * dot(&a.q.values[query * z.D], &a.k.values[key * z.D], z.D) - lse.values[query]);
      double dp = dot(&dout.values[query * z.E], &a.v.values[key * z.E], z.E);
      f(query, key, p, p * (dp - delta.values[query]));
    }
  });
}
} // namespace

void HostAttention::forward(HostTensor &out, HostTensor &lse) const {
  Sizes z(*this);
  std::fill(out.values.begin(), out.values.end(), 0.0);
  std::fill(lse.values.begin(), lse.values.end(), 0.0);
  forEachQuery(*this, z, [&](int64_t b, int64_t t, int64_t h, int64_t begin, int64_t end) {
    int64_t query = z.query(b, t, h);
    std::vector<double> scores;
    for (int64_t s = begin; s < end; ++s)
      scores.push_back(scale * dot(&q.values[query * z.D], &k.values[z.key(b, s, h) * z.D], z.D));
    double top = *std::max_element(scores.begin(), scores.end()), sum = 0;
    for (double s : scores) sum += std::exp(s - top);
    lse.values[query] = top + std::log(sum);
    for (int64_t s = begin; s < end; ++s)
      for (int64_t e = 0; e < z.E; ++e)
        out.values[query * z.E + e] +=
            std::exp(scores[s - begin] - top) / sum * v.values[z.key(b, s, h) * z.E + e];
  });
}

void HostAttention::backward(const HostTensor &lse, const HostTensor &delta, const HostTensor &dout,
                             HostTensor &dq, HostTensor &dk, HostTensor &dv) const {
  int64_t D = q.shape[3], E = v.shape[3];
  for (HostTensor *x : {&dq, &dk, &dv}) std::fill(x->values.begin(), x->values.end(), 0.0);
  forEachPair(*this, lse, delta, dout, [&](int64_t query, int64_t key, double p, double ds) {
    for (int64_t d = 0; d < D; ++d) {
      dq.values[query * D + d] += scale * ds * k.values[key * D + d];
      dk.values[key * D + d] += scale * ds * q.values[query * D + d];
    }
    for (int64_t e = 0; e < E; ++e) dv.values[key * E + e] += p * dout.values[query * E + e];
  });
}

} // namespace weft::graph
