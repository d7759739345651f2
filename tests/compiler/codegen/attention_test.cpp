// kernel.attention: forward and both gradients against the interpreter, and the bits that numerics.md
// promises.
#include "tests/compiler/codegen/attention_text.h"

#include <cmath>
#include <gtest/gtest.h>

namespace weft::cpu_test::attention {
namespace {

// Ranges of every query of one batch row.
using Ranges = std::vector<std::pair<int32_t, int32_t>>;
Ranges causal(int64_t count) {
  Ranges r;
  for (int32_t t = 0; t < count; ++t) r.push_back({0, t + 1});
  return r;
}
// Documents that begin at `starts`, causal within each.
Ranges documents(int64_t count, std::vector<int32_t> starts) {
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
void addAll(KernelSuite &suite, const Attention &a, bool split) {
  for (const char *kind : {"forward", "backward"}) suite.add(a.name + "_" + kind, a.text(kind));
  if (!split) return;
  for (const char *kind : {"grad_query", "grad_key_value"}) suite.add(a.name + "_" + kind, a.text(kind));
}

// Forward, then the gradients of what it gave, by one kernel and where `split` by two, which must agree to
// the bit; each held against the interpreter where `reference`.
Results runAll(KernelSuite &suite, const Attention &a, Data &data, bool split, bool reference) {
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

const char *const kUnits[] = {"fma", "vdpbf16", "amx"};

void expectInterpreters(const std::string &unit) {
  struct Case {
    Attention op;
    Ranges ranges;
    bool split = false;
  };
  std::vector<Case> cases{
      {{.name = "one", .T = 1, .S = 1, .D = 1, .E = 1}, causal(1)},
      {{.name = "causal", .B = 2, .T = 37, .S = 37, .H = 2, .G = 2, .D = 16, .E = 16}, causal(37)},
      {{.name = "grouped",
        .B = 2,
        .T = 33,
        .S = 33,
        .H = 6,
        .G = 2,
        .D = 17,
        .E = 33,
        .tile = 5,
        .keyBlock = 16},
       causal(33),
       true},
      {{.name = "blocks", .T = 150, .S = 150, .D = 8, .E = 24, .tile = 64}, causal(150)},
      {{.name = "documents",
        .B = 2,
        .T = 101,
        .S = 101,
        .H = 2,
        .G = 1,
        .D = 20,
        .E = 12,
        .tile = 16,
        .keyBlock = 32},
       documents(101, {3, 4, 41, 100}),
       true},
      {{.name = "wide", .T = 19, .S = 70, .H = 3, .G = 3, .D = 80, .E = 130, .tile = 32, .keyBlock = 48},
       Ranges(19, {0, 70})},
  };
  // Multi-head latent attention: keys wider than values.
  cases.push_back({{.name = "latent", .T = 70, .S = 70, .H = 2, .G = 1, .D = 192, .E = 128, .tile = 64},
                   documents(70, {33})});
  // Windows, empty ranges, ranges past the keys or upside down.
  Ranges odd;
  for (int32_t t = 0; t < 29; ++t)
    odd.push_back(t % 5 == 2 ? std::pair{t, t} : t % 7 == 3 ? std::pair{9, 4} : std::pair{t / 2 - 3, t + 9});
  cases.push_back(
      {{.name = "odd", .B = 1, .T = 29, .S = 31, .H = 2, .G = 2, .D = 5, .E = 7, .tile = 8, .keyBlock = 16},
       odd,
       true});
  cases.push_back({{.name = "empty", .T = 3, .S = 4, .D = 4, .E = 4}, Ranges(3, {2, 2})});
  KernelSuite suite;
  for (Case &c : cases) {
    c.op.unit = unit;
    addAll(suite, c.op, c.split);
  }
  suite.compile();
  for (Case &c : cases) {
    Data data(c.op, c.ranges);
    Results r = runAll(suite, c.op, data, c.split, true);
    if (c.op.name == "empty") {
      EXPECT_EQ(r.out, std::vector<float>(12, 0.0f));
      EXPECT_EQ(r.lse, std::vector<float>(3, 0.0f));
      EXPECT_EQ(r.dk, std::vector<float>(16, 0.0f));
    }
  }
}

TEST(Attention, MatchesTheInterpreterAtOddSizesHeadsAndRanges) {
  for (const char *unit : kUnits) expectInterpreters(unit);
}

void expectTilesChangeNoBit(const std::string &unit) {
  KernelSuite suite;
  std::vector<Attention> ops;
  for (auto [tile, blocks] : {std::pair<int64_t, int64_t>{1, 1}, {50, 2}, {64, 20}})
    ops.push_back({.name = "tile" + std::to_string(tile),
                   .B = 1,
                   .T = 90,
                   .S = 90,
                   .H = 2,
                   .G = 1,
                   .D = 16,
                   .E = 20,
                   .tile = tile,
                   .keyBlock = 16,
                   .chunkBlocks = blocks,
                   .unit = unit});
  for (auto &op : ops) addAll(suite, op, op.chunkBlocks < 20);
  suite.compile();
  Results first;
  for (auto &op : ops) {
    Data data(op, documents(90, {7, 8, 61}));
    Results r = runAll(suite, op, data, op.chunkBlocks < 20, false);
    if (first.out.empty()) first = r;
    EXPECT_EQ(bytesOf(r.out), bytesOf(first.out)) << op.name;
    EXPECT_EQ(bytesOf(r.lse), bytesOf(first.lse)) << op.name;
    EXPECT_EQ(bytesOf(r.dq), bytesOf(first.dq)) << op.name;
    EXPECT_EQ(bytesOf(r.dk), bytesOf(first.dk)) << op.name;
    EXPECT_EQ(bytesOf(r.dv), bytesOf(first.dv)) << op.name;
  }
}

TEST(Attention, TilesChangeNoBit) {
  for (const char *unit : kUnits) expectTilesChangeNoBit(unit);
}

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

// Scores so far apart that p goes through the smallest numbers to 0: every level has its own way to scale by
// a power of two.
TEST(Attention, SteepScoresGiveTheSameBitsOnEveryLevel) {
  for (const char *unit : kUnits) {
    Attention op{.name = "steep", .T = 80, .S = 80, .D = 16, .E = 16, .tile = 32, .unit = unit};
    KernelSuite suite;
    addAll(suite, op, false);
    suite.compile();
    Data data(op, causal(80));
    for (float &q : data.q) q *= 64;
    Results r = runAll(suite, op, data, false, false);
    for (float x : r.dq) ASSERT_TRUE(std::isfinite(x));
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

// q, k and v as parts of one projection; heads before tokens; a width that is not contiguous; ranges of i64.
TEST(Attention, TakesAnyStrides) {
  Attention op{.name = "strided", .B = 2, .T = 21, .S = 21, .H = 4, .G = 2, .D = 8, .E = 8, .keyBlock = 16};
  Attention plain = op;
  plain.name = "plain";
  KernelSuite suite;
  auto in = op.inputs(true), out = op.outputs("forward");
  in[0] = {{2, 21, 64}, {21 * 64, 64, 8, 1}, 0};
  in[1] = {{2, 21, 64}, {21 * 64, 64, 8, 1}, 32};
  in[2] = {{2, 2, 8, 21}, {336, 1, 168, 21}, 0}; // (b, g, e, s)
  in[3] = {{21}, {0, 1}, 0};
  out[0] = {{2, 4, 21, 8}, {672, 8, 168, 1}, 0};
  op.rangeType = "i64";
  suite.add("strided", op.text("forward", in, out));
  suite.add("plain", plain.text("forward"));
  suite.compile();
  Data data(plain, documents(21, {6}));
  auto want = valuesOf<float>(
      suite.run("plain", data.forward(), {Bytes(2 * 21 * 4 * 8 * 4), Bytes(2 * 21 * 4 * 4)})[0]);
  std::vector<float> qkv(2 * 21 * 64), v(data.v.size());
  for (int64_t row = 0; row < 42; ++row) {
    std::copy_n(data.q.begin() + row * 32, 32, qkv.begin() + row * 64);
    std::copy_n(data.k.begin() + row * 16, 16, qkv.begin() + row * 64 + 32);
    for (int64_t g = 0; g < 2; ++g)
      for (int64_t e = 0; e < 8; ++e)
        v[(row / 21) * 336 + g * 168 + e * 21 + row % 21] = data.v[row * 16 + g * 8 + e];
  }
  std::vector<int64_t> begin(data.begin.begin(), data.begin.begin() + 21),
      end(data.end.begin(), data.end.end());
  auto got = valuesOf<float>(suite.run("strided",
                                       {bytesOf(qkv), bytesOf(qkv), bytesOf(v), bytesOf(begin), bytesOf(end)},
                                       {Bytes(2 * 21 * 4 * 8 * 4), Bytes(2 * 21 * 4 * 4)})[0]);
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t t = 0; t < 21; ++t)
      for (int64_t h = 0; h < 4; ++h)
        for (int64_t e = 0; e < 8; ++e)
          ASSERT_EQ(got[b * 672 + h * 168 + t * 8 + e], want[((b * 21 + t) * 4 + h) * 8 + e])
              << b << " " << t << " " << h << " " << e;
}

TEST(Attention, SaysWhatItCannotCompile) {
  auto diagnosticsOf = [](const std::string &text) {
    KernelSuite suite;
    suite.add("bad", text);
    return suite.compileError();
  };
  Attention op{.name = "bad", .T = 4, .S = 4, .D = 4, .E = 4, .keyBlock = 24};
  EXPECT_NE(diagnosticsOf(op.text("forward"))
                .find("has key blocks of 24 keys when they should be a multiple of 16"),
            std::string::npos);
  op.keyBlock = 16;
  op.tile = 0;
  EXPECT_NE(diagnosticsOf(op.text("forward")).find("has no schedule with a positive tile_m"),
            std::string::npos);
  op.tile = 4;
  op.keyBlock = 32;
  op.chunkBlocks = 0;
  EXPECT_NE(diagnosticsOf(op.text("backward"))
                .find("has chunks of 0 keys (tile_n) when they should be a multiple of 32, its key block"),
            std::string::npos);
  op.chunkBlocks = 1;
  std::string rounded = op.text("grad_query");
  rounded.replace(rounded.rfind("f32"), 3, "bf16");
  EXPECT_NE(
      diagnosticsOf(rounded).find("has a gradient of 'bf16' when it should be f32: sums are continued in it"),
      std::string::npos);
  op.rangeType = "f32";
  EXPECT_NE(diagnosticsOf(op.text("forward")).find("has a range of 'f32' when it should be i32 or i64"),
            std::string::npos);
}

} // namespace
} // namespace weft::cpu_test::attention
