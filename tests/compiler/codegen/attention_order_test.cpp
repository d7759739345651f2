// The order in which kernel.attention adds, as numerics.md promises it: a row's bits in training, in decoding
// and beside other documents.
#include "tests/compiler/codegen/attention_data.h"

#include <cmath>

namespace weft::cpu_test::attention {
namespace {

// A token generated with a cache and the same token trained on, alone or packed behind another document, have
// the same bits.
void expectDecodeGivesTheBitsOfTraining(const std::string &unit, int64_t D, int64_t E,
                                        int64_t keyBlock = 64) {
  constexpr int64_t T = 256, H = 2, G = 1, kBefore = 45, kCache = 300;
  KernelSuite suite;
  Attention training{.name = "training", .T = T, .S = T, .H = H, .G = G, .D = D, .E = E, .tile = 64};
  Attention packed{
      .name = "packed", .T = T + kBefore, .S = T + kBefore, .H = H, .G = G, .D = D, .E = E, .tile = 64};
  Attention decode{.name = "decode", .T = 1, .S = kCache, .H = H, .G = G, .D = D, .E = E, .tile = 1};
  for (auto *op : {&training, &packed, &decode}) {
    op->unit = unit;
    op->keyBlock = keyBlock;
    suite.add(op->name, op->text("forward"));
  }
  suite.compile();
  Data data(training, causal(T));
  auto run = [&](const Attention &op, const Data &data) {
    return suite.run(op.name, data.forward(),
                     {Bytes(op.T * H * E * (op.bf16() ? 2 : 4)), Bytes(op.T * H * 4)});
  };
  auto all = run(training, data);
  auto out = data.outOf(all[0]), lse = valuesOf<float>(all[1]);

  Data behind(packed, documents(T + kBefore, {kBefore}));
  std::copy(data.q.begin(), data.q.end(), behind.q.begin() + kBefore * H * D);
  std::copy(data.k.begin(), data.k.end(), behind.k.begin() + kBefore * G * D);
  std::copy(data.v.begin(), data.v.end(), behind.v.begin() + kBefore * G * E);
  auto second = data.outOf(run(packed, behind)[0]);
  EXPECT_EQ(bytesOf(std::vector<float>(second.begin() + kBefore * H * E, second.end())), bytesOf(out));

  for (int32_t t : {0, 1, 44, 63, 64, 65, 100, 130, 255}) {
    Data row(decode, {{0, t + 1}});
    std::copy_n(data.q.begin() + t * H * D, H * D, row.q.begin());
    // Beyond the row's own keys the cache holds whatever it held.
    std::fill(row.k.begin(), row.k.end(), INFINITY);
    std::fill(row.v.begin(), row.v.end(), INFINITY);
    std::copy_n(data.k.begin(), (t + 1) * G * D, row.k.begin());
    std::copy_n(data.v.begin(), (t + 1) * G * E, row.v.begin());
    auto got = run(decode, row);
    EXPECT_EQ(data.outOf(got[0]), std::vector<float>(out.begin() + t * H * E, out.begin() + (t + 1) * H * E))
        << t;
    EXPECT_EQ(got[1], bytesOf(std::vector<float>(lse.begin() + t * H, lse.begin() + (t + 1) * H))) << t;
  }
}

TEST(Attention, DecodeGivesTheBitsOfTraining) {
  for (const char *unit : kUnits) {
    SCOPED_TRACE(unit);
    expectDecodeGivesTheBitsOfTraining(unit, 32, 32);
    expectDecodeGivesTheBitsOfTraining(unit, 20, 64);     // k ends within a square that is transposed
    expectDecodeGivesTheBitsOfTraining(unit, 64, 128);    // several tiles of columns
    expectDecodeGivesTheBitsOfTraining(unit, 40, 40);     // columns end within a vector: values are packed
    expectDecodeGivesTheBitsOfTraining(unit, 32, 32, 16); // blocks shorter than a group of the unit's
  }
}

// The gradients of a document's tokens have the same bits alone and between others, whatever its place.
void expectGradientsDoNotDependOnPlace(const std::string &unit) {
  constexpr int64_t T = 83, kBefore = 45, kAfter = 20, H = 4, G = 2, D = 24, E = 16;
  Attention alone{
      .name = "alone", .T = T, .S = T, .H = H, .G = G, .D = D, .E = E, .tile = 32, .keyBlock = 32};
  Attention packed = alone;
  packed.name = "packed";
  packed.T = packed.S = kBefore + T + kAfter;
  KernelSuite suite;
  for (auto *op : {&alone, &packed}) {
    op->unit = unit;
    addAll(suite, *op, false);
  }
  suite.compile();
  Data data(alone, causal(T)), between(packed, documents(packed.T, {kBefore, kBefore + T}));
  auto put = [](const std::vector<float> &from, std::vector<float> &to, int64_t row) {
    std::copy(from.begin(), from.end(), to.begin() + kBefore * row);
  };
  put(data.q, between.q, H * D);
  put(data.k, between.k, G * D);
  put(data.v, between.v, G * E);
  put(data.dout, between.dout, H * E);
  Results want = runAll(suite, alone, data, false, false), got = runAll(suite, packed, between, false, false);
  auto expectEqual = [](const std::vector<float> &all, int64_t row, const std::vector<float> &part) {
    auto first = all.begin() + kBefore * row;
    EXPECT_EQ(bytesOf(std::vector<float>(first, first + T * row)), bytesOf(part));
  };
  expectEqual(got.dq, H * D, want.dq);
  expectEqual(got.dk, G * D, want.dk);
  expectEqual(got.dv, G * E, want.dv);
}

TEST(Attention, GradientsDoNotDependOnWhereADocumentLies) {
  for (const char *unit : kUnits) expectGradientsDoNotDependOnPlace(unit);
}

// acc and then the products of a and b in the unit's order (dialects/kernel/kernel.td).
float chain(const std::string &unit, float acc, std::vector<float> a, std::vector<float> b) {
  size_t group = unit == "fma" ? 1 : unit == "amx" ? 32 : 2;
  for (auto *x : {&a, &b}) x->resize((x->size() + group - 1) / group * group);
  for (size_t k = 0; k < a.size(); k += group) {
    if (unit != "amx") { // the odd one of a pair first
      for (size_t i = group; i-- > 0;) acc = std::fma(a[k + i], b[k + i], acc);
      continue;
    }
    float even = 0, odd = 0;
    for (size_t i = k; i < k + group; i += 2) {
      even = std::fma(a[i], b[i], even);
      odd = std::fma(a[i + 1], b[i + 1], odd);
    }
    acc += even + odd;
  }
  return acc;
}

// With q or k zero every score is 0, and with lse 0 every p is 1: what is left of the gradients are sums,
// which plain loops add in the promised order.
void expectPromisedOrder(const std::string &unit, bool zeroKeys) {
  Attention a{.name = zeroKeys ? "zero_keys" : "zero_queries",
              .B = 2,
              .T = 131,
              .S = 131,
              .H = 4,
              .G = 2,
              .D = 20,
              .E = 40,
              .tile = 32,
              .keyBlock = 48,
              .unit = unit};
  const std::vector<int32_t> starts{0, 5, 58, 121};
  Data data(a, documents(a.T, starts));
  std::fill((zeroKeys ? data.k : data.q).begin(), (zeroKeys ? data.k : data.q).end(), 0.0f);
  data.lse.assign(a.B * a.T * a.H, 0);
  data.delta = randomFloats(data.lse.size(), 7);
  KernelSuite suite;
  suite.add(a.name, a.text("backward"));
  suite.compile();
  auto result = suite.run(a.name, data.backward(),
                          {Bytes(data.q.size() * 4), Bytes(data.k.size() * 4), Bytes(data.v.size() * 4)});
  auto row = [](const std::vector<float> &x, int64_t width, int64_t i) {
    return std::vector<float>(x.begin() + i * width, x.begin() + (i + 1) * width);
  };
  float scale = float(std::stod(std::to_string(1 / std::sqrt(double(a.D)))));
  std::vector<float> dq(data.q.size()), dk(data.k.size()), dv(data.v.size());
  for (int64_t b = 0; b < a.B; ++b) {
    auto query = [&](int64_t t, int64_t h) { return (b * a.T + t) * a.H + h; };
    auto key = [&](int64_t s, int64_t h) { return (b * a.S + s) * a.G + h / (a.H / a.G); };
    auto dsOf = [&](int64_t t, int64_t s, int64_t h) { // of a query and a key that it sees
      float dp = chain(unit, 0, row(data.dout, a.E, query(t, h)), row(data.v, a.E, key(s, h))) -
                 data.delta[query(t, h)];
      return a.bf16() ? widened(narrowed(dp)) : dp;
    };
    for (size_t run = 0; run < starts.size(); ++run) {
      int64_t first = starts[run], end = run + 1 < starts.size() ? starts[run + 1] : a.T;
      for (int64_t h = 0; h < a.H; ++h) {
        for (int64_t t = first; t < end; ++t)
          for (int64_t d = 0; d < a.D; ++d) {
            float sum = 0;
            for (int64_t block = first; block <= t; block += a.keyBlock) {
              std::vector<float> ds, k;
              for (int64_t s = block; s <= t && s < block + a.keyBlock; ++s) {
                ds.push_back(dsOf(t, s, h));
                k.push_back(data.k[key(s, h) * a.D + d]);
              }
              sum = chain(unit, sum, ds, k);
            }
            dq[query(t, h) * a.D + d] = sum * scale + 0.0f;
          }
        for (int64_t s = first; s < end; ++s) {
          std::vector<float> ds, p;
          for (int64_t t = first; t < end; ++t) {
            ds.push_back(t < s ? 0 : dsOf(t, s, h));
            p.push_back(t < s ? 0 : 1);
          }
          auto add = [&](float &sum, const std::vector<float> &factors, const std::vector<float> &x,
                         int64_t width, int64_t i) {
            std::vector<float> column;
            for (int64_t t = first; t < end; ++t) column.push_back(x[query(t, h) * width + i]);
            sum = chain(unit, sum, factors, column);
          };
          for (int64_t d = 0; d < a.D; ++d) add(dk[key(s, h) * a.D + d], ds, data.q, a.D, d);
          for (int64_t e = 0; e < a.E; ++e) add(dv[key(s, h) * a.E + e], p, data.dout, a.E, e);
        }
      }
    }
  }
  for (float &x : dk) x = x * scale + 0.0f;
  for (float &x : dv) x += 0.0f;
  EXPECT_EQ(valuesOf<float>(result[0]), dq);
  EXPECT_EQ(valuesOf<float>(result[1]), dk);
  EXPECT_EQ(valuesOf<float>(result[2]), dv);
}

TEST(Attention, GradientsAreChainsInThePromisedOrder) {
  for (const char *unit : kUnits)
    for (bool zeroKeys : {false, true}) expectPromisedOrder(unit, zeroKeys);
}

} // namespace
} // namespace weft::cpu_test::attention
