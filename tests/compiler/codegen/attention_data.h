// Operands of kernel.attention, and all of its kernels run on them.
#pragma once
#include "tests/compiler/codegen/attention_text.h"

#include <gtest/gtest.h>

namespace weft::cpu_test::attention {

// Ranges of every query of one batch row.
using Ranges = std::vector<std::pair<int32_t, int32_t>>;
inline Ranges causal(int64_t count) {
  Ranges r;
  for (int32_t t = 0; t < count; ++t) r.push_back({0, t + 1});
  return r;
}
// Documents that begin at `starts`, causal within each.
inline Ranges documents(int64_t count, std::vector<int32_t> starts) {
  Ranges r;
  int32_t begin = 0;
  for (int32_t t = 0; t < count; ++t) {
    for (int32_t s : starts)
      if (s == t) begin = s;
    r.push_back({begin, t + 1});
  }
  return r;
}

struct Data {
  std::vector<float> q, k, v, dout, lse, delta;
  std::vector<int32_t> begin, end;
  bool bf16;

  Data(const Attention &a, const Ranges &ranges) : bf16(a.bf16()) {
    q = factors(a.B * a.T * a.H * a.D, 1);
    k = factors(a.B * a.S * a.G * a.D, 2);
    v = factors(a.B * a.S * a.G * a.E, 3);
    dout = factors(a.B * a.T * a.H * a.E, 4);
    for (int64_t b = 0; b < a.B; ++b)
      for (auto [x, y] : ranges) begin.push_back(x), end.push_back(y);
  }
  std::vector<float> factors(int64_t count, int seed) const {
    std::vector<float> x = randomFloats(count, seed);
    if (bf16)
      for (float &value : x) value = widened(narrowed(value));
    return x;
  }
  Bytes factorBytes(const std::vector<float> &x) const { return bf16 ? bytesOf(narrowed(x)) : bytesOf(x); }
  std::vector<float> outOf(const Bytes &bytes) const {
    if (!bf16) return valuesOf<float>(bytes);
    std::vector<float> out;
    for (uint16_t half : valuesOf<uint16_t>(bytes)) out.push_back(widened(half));
    return out;
  }
  std::vector<Bytes> forward() const {
    return {factorBytes(q), factorBytes(k), factorBytes(v), bytesOf(begin), bytesOf(end)};
  }
  std::vector<Bytes> backward() const {
    auto all = forward();
    for (auto *x : {&lse, &delta}) all.push_back(bytesOf(*x));
    all.push_back(factorBytes(dout));
    return all;
  }
};

struct Results {
  std::vector<float> out, lse, dq, dk, dv;
};

// `split`: backward as two kernels too.
inline void addAll(KernelSuite &suite, const Attention &a, bool split) {
  for (const char *kind : {"forward", "backward"}) suite.add(a.name + "_" + kind, a.text(kind));
  if (!split) return;
  for (const char *kind : {"grad_query", "grad_key_value"}) suite.add(a.name + "_" + kind, a.text(kind));
}

// Forward, then the gradients of what it gave, by one kernel and where `split` by two, which must agree to
// the bit; each held against the interpreter where `reference`.
inline Results runAll(KernelSuite &suite, const Attention &a, Data &data, bool split, bool reference) {
  SCOPED_TRACE(a.name);
  auto zeros = [](int64_t n) { return Bytes(n * 4, 0x11); };
  auto go = [&](const std::string &kind, const std::vector<Bytes> &inputs, const std::vector<Bytes> &results,
                double tolerance) {
    return reference ? suite.check(a.name + kind, inputs, results, tolerance)
                     : suite.run(a.name + kind, inputs, results);
  };
  Results r;
  int64_t outs = a.B * a.T * a.H * a.E;
  // p and ds are rounded to 8 bits before they are multiplied.
  double loose = a.bf16() ? 0.01 : 2e-6, looser = a.bf16() ? 0.05 : 2e-5;
  auto forward = go("_forward", data.forward(),
                    {Bytes(a.bf16() ? outs * 2 : outs * 4, 0x11), zeros(a.B * a.T * a.H)}, loose);
  r.out = data.outOf(forward[0]);
  r.lse = valuesOf<float>(forward[1]);
  data.lse = r.lse;
  data.delta.assign(r.lse.size(), 0);
  for (size_t i = 0; i < r.out.size(); ++i) data.delta[i / a.E] += r.out[i] * data.dout[i];
  Bytes dq = zeros(a.B * a.T * a.H * a.D), dk = zeros(a.B * a.S * a.G * a.D),
        dv = zeros(a.B * a.S * a.G * a.E);
  auto backward = go("_backward", data.backward(), {dq, dk, dv}, looser);
  r.dq = valuesOf<float>(backward[0]);
  r.dk = valuesOf<float>(backward[1]);
  r.dv = valuesOf<float>(backward[2]);
  if (!split) return r;
  EXPECT_EQ(suite.run(a.name + "_grad_query", data.backward(), {dq})[0], backward[0]);
  auto keyValue = suite.run(a.name + "_grad_key_value", data.backward(), {dk, dv});
  EXPECT_EQ(keyValue[0], backward[1]);
  EXPECT_EQ(keyValue[1], backward[2]);
  return r;
}

inline const char *const kUnits[] = {"fma", "vdpbf16", "amx"};

} // namespace weft::cpu_test::attention
