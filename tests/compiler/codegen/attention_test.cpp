// kernel.attention: forward and both gradients against the interpreter, at any tile, stride and score.
#include "tests/compiler/codegen/attention_data.h"

#include <cmath>

namespace weft::cpu_test::attention {
namespace {

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

void expectTilesChangeNoBit(const std::string &unit, int64_t keyBlock, int64_t E) {
  KernelSuite suite;
  std::vector<Attention> ops;
  for (auto [tile, blocks] : {std::pair<int64_t, int64_t>{1, 1}, {20, 2}, {50, 2}, {64, 20}})
    ops.push_back({.name = "tile" + std::to_string(tile),
                   .B = 1,
                   .T = 90,
                   .S = 90,
                   .H = 2,
                   .G = 1,
                   .D = 16,
                   .E = E,
                   .tile = tile,
                   .keyBlock = keyBlock,
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
  for (const char *unit : kUnits) {
    expectTilesChangeNoBit(unit, 16, 20);
    expectTilesChangeNoBit(unit, 64, 70); // blocks of several tiles, of which rows see a part
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

// Elements of a row that do not lie together, of widths that no square of lanes divides.
TEST(Attention, WritesGradientsOfAnyStrides) {
  for (auto [D, E] : {std::pair<int64_t, int64_t>{20, 7}, {28, 72}, {1, 16}}) {
    Attention op{.name = "strided",
                 .B = 2,
                 .T = 37,
                 .S = 37,
                 .H = 4,
                 .G = 2,
                 .D = D,
                 .E = E,
                 .keyBlock = 16,
                 .chunkBlocks = 2};
    Attention plain = op;
    plain.name = "plain";
    auto across = [](int64_t width) {
      return Operand{{2, 2, width, 37}, {2 * width * 37, 1, width * 37, 37}, 0};
    };
    auto out = op.outputs("backward");
    out[1] = across(D), out[2] = across(E);
    KernelSuite suite;
    suite.add("strided", op.text("backward", op.inputs(false), out));
    suite.add("plain", plain.text("backward"));
    suite.compile();
    Data data(plain, documents(37, {6, 30}));
    data.lse = randomFloats(2 * 37 * 4, 5), data.delta = randomFloats(2 * 37 * 4, 6);
    const std::vector<Bytes> none{Bytes(2 * 37 * 4 * D * 4), Bytes(2 * 37 * 2 * D * 4),
                                  Bytes(2 * 37 * 2 * E * 4)};
    auto want = suite.run("plain", data.backward(), none), got = suite.run("strided", data.backward(), none);
    for (auto [result, width] : {std::pair<int64_t, int64_t>{1, D}, {2, E}}) {
      auto x = valuesOf<float>(want[result]), y = valuesOf<float>(got[result]);
      for (int64_t b = 0; b < 2; ++b)
        for (int64_t s = 0; s < 37; ++s)
          for (int64_t g = 0; g < 2; ++g)
            for (int64_t e = 0; e < width; ++e)
              ASSERT_EQ(y[((b * 2 + g) * width + e) * 37 + s], x[((b * 37 + s) * 2 + g) * width + e])
                  << result << " " << b << " " << s << " " << g << " " << e;
    }
  }
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
