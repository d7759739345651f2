// kernel.matmul of bf16: the bits of its dot units at every level, against plain loops that add in the unit's
// order.
#include "runtime/device/denormals.h"
#include "tests/compiler/codegen/matmul_text.h"

#include <cmath>
#include <gtest/gtest.h>

namespace weft::cpu_test::matmul {
namespace {

constexpr const char *kSchedule = "tile_m = 8, tile_n = 32, block_m = 24, block_n = 96, block_k = 64";

float sumOf(const std::string &unit, const std::vector<float> &a, const std::vector<float> &b, float acc) {
  size_t k = a.size();
  auto at = [&](const std::vector<float> &x, size_t i) { return i < k ? x[i] : 0.0f; };
  if (unit == "vdpbf16") {
    for (size_t i = 0; i < k; i += 2) {
      acc = std::fma(at(a, i + 1), at(b, i + 1), acc);
      acc = std::fma(a[i], b[i], acc);
    }
    return acc;
  }
  for (size_t group = 0; group < k; group += 32) {
    float even = 0, odd = 0;
    for (size_t i = group; i < group + 32; i += 2) {
      even = std::fma(at(a, i), at(b, i), even);
      odd = std::fma(at(a, i + 1), at(b, i + 1), odd);
    }
    float both = even + odd;
    acc = acc + both;
  }
  return acc;
}

int64_t place(const Operand &o, int64_t i, int64_t j, int64_t l) {
  return o.offset + i * o.strides[0] + j * o.strides[1] + l * o.strides[2];
}

// Runs a matmul whose region yields acc alone, as f32 or rounded.
void expectSums(KernelSuite &suite, const Matmul &op, float middle) {
  SCOPED_TRACE(op.name + " " + op.unit);
  auto values = [&](const std::string &type, int seed) {
    auto x = randomFloats(countOf(type), seed),
         e = randomFloats(countOf(type), seed + 7, middle - 4, middle + 4);
    for (size_t i = 0; i < x.size(); ++i) x[i] *= std::exp2(std::round(e[i]));
    return x;
  };
  auto a = narrowed(values(op.lhs.type, 1)), b = narrowed(values(op.rhs.type, 2));
  auto start = values(op.outputs[0].type, 3);
  bool rounded = op.outputs[0].type.ends_with("bf16");
  Bytes begin = rounded ? bytesOf(narrowed(start)) : bytesOf(start);
  Bytes got = suite.run(op.name, {bytesOf(a), bytesOf(b)}, {begin}).at(0);
  FlushDenormals flush;
  int wrong = 0;
  for (int64_t i = 0; i < op.batch; ++i)
    for (int64_t m = 0; m < op.m; ++m)
      for (int64_t n = 0; n < op.n && wrong < 3; ++n) {
        std::vector<float> x, y;
        for (int64_t k = 0; k < op.k; ++k) {
          x.push_back(widened(a[place(op.lhs, i, m, k)]));
          y.push_back(widened(b[place(op.rhs, i, k, n)]));
        }
        int64_t at = place(op.outputs[0], i, m, n);
        float want = sumOf(op.unit, x, y, op.init ? start[at] : 0);
        float have = rounded ? widened(valuesOf<uint16_t>(got)[at]) : valuesOf<float>(got)[at];
        if (rounded) want = widened(narrowed(want));
        if (have != want) {
          ADD_FAILURE() << "(" << i << ", " << m << ", " << n << ") is " << have << " when it should be "
                        << want;
          ++wrong;
        }
      }
}

void expectAllSums(std::vector<Matmul> ops, float middle = 0) {
  std::vector<Matmul> all;
  for (const char *unit : {"vdpbf16", "amx"})
    for (Matmul op : ops) {
      op.unit = unit;
      op.name = unit + ("_" + op.name);
      if (op.schedule.find("block_k = 40") != std::string::npos) op.schedule = kSchedule;
      all.push_back(op);
    }
  KernelSuite suite;
  for (const Matmul &op : all) suite.add(op.name, op.text());
  suite.compile();
  for (const Matmul &op : all) expectSums(suite, op, middle);
}

TEST(MatmulBf16, AddsInTheUnitsOrderAtOddShapesAndLayouts) {
  std::vector<Matmul> ops;
  int64_t shapes[][3] = {{1, 1, 1},     {1, 17, 33},   {7, 16, 13}, {13, 49, 101},
                         {33, 100, 64}, {61, 145, 80}, {5, 3, 97}};
  for (auto [m, n, k] : shapes)
    for (int layout = 0; layout < 4; ++layout)
      ops.push_back(plain("mm" + std::to_string(ops.size()), 1, m, n, k, layout & 1, layout & 2, "bf16"));
  expectAllSums(ops);
}

// Whole and broken tiles of AMX's 16 and 32 rows, 16 and 32 columns, groups of 32 k.
TEST(MatmulBf16, NumbersOfRowsAroundATile) {
  std::vector<Matmul> ops;
  int64_t rows[] = {1, 15, 16, 17, 31, 32, 33, 65, 27, 28, 29, 30, 34, 35, 37, 38};
  for (int64_t i = 0; i < int64_t(std::size(rows)); ++i) {
    Matmul op = plain("rows" + std::to_string(rows[i]), 1, rows[i], 15 + 8 * (i % 8), 65 - 9 * (i % 8), i & 1,
                      i & 2, "bf16");
    op.init = i & 4;
    op.schedule = "tile_m = 8, tile_n = 32, block_m = 96, block_n = 96, block_k = 32";
    ops.push_back(op);
  }
  expectAllSums(ops);
}

// Tiles of three rows, whose tails are of two.
TEST(MatmulBf16, RowsLeftOverByATileOfThree) {
  std::vector<Matmul> ops;
  for (int64_t m : {4, 5, 7, 8})
    for (int layout = 0; layout < 4; ++layout) {
      ops.push_back(
          plain("three" + std::to_string(ops.size()), 1, m, 33, 80, layout & 1, layout & 2, "bf16"));
      ops.back().schedule = "tile_m = 3, tile_n = 32, block_m = 96, block_n = 96, block_k = 64";
    }
  expectAllSums(ops);
}

TEST(MatmulBf16, BatchesStridesAndAccumulation) {
  std::vector<Matmul> ops;
  for (bool init : {false, true})
    for (int layout = 0; layout < 4; ++layout) {
      Matmul op = plain("batch" + std::to_string(ops.size()), 3, 26, 50, 87, layout & 1, layout & 2, "bf16");
      op.init = init;
      ops.push_back(op);
    }
  Matmul op = plain("strided", 4, 9, 20, 19, false, true, "bf16");
  op.lhs = {"4x9x19x2xbf16", {342, 38, 2}};
  op.rhs = {"20x19x3xbf16", {0, 3, 57}};
  ops.push_back(op);
  op.name = "transposed_output_init";
  op.outputs = {{"4x20x9xf32", {180, 1, 9}}};
  op.init = true;
  ops.push_back(op);
  op = plain("offset", 1, 18, 21, 40, true, false, "bf16");
  op.lhs = {"48x20xbf16", {0, 1, 20}, 101};
  op.rhs = {"48x24xbf16", {0, 24, 1}, 51};
  op.outputs = {{"20x24xf32", {0, 24, 1}, 27}};
  ops.push_back(op);
  expectAllSums(ops);
}

TEST(MatmulBf16, ResultsAreRoundedInTheEpilogue) {
  std::vector<Matmul> ops;
  for (int64_t k : {30, 200}) {
    Matmul op = plain("rounded" + std::to_string(k), 1, 37, 70, k, false, true, "bf16");
    op.outputs = {{"37x70xbf16", {0, 70, 1}}};
    op.region = "%r = arith.truncf %acc : f32 to bf16\nkernel.yield %r : bf16";
    ops.push_back(op);
  }
  expectAllSums(ops);
}

TEST(MatmulBf16, TheEpilogueReadsTensorsAndWritesSeveral) {
  KernelSuite suite;
  for (const char *unit : {"vdpbf16", "amx"}) {
    Matmul op = plain(unit + std::string("_epilogue"), 2, 35, 45, 70, false, true, "bf16");
    op.unit = unit;
    op.schedule = kSchedule;
    op.extras = {{"45xf32", {0, 0, 1}}, {"2x35xf32", {35, 1, 0}}, {"2x35x45xbf16", {1575, 45, 1}}};
    op.outputs = {{"2x35x45xf32", {1575, 45, 1}}, {"2x45x35xbf16", {1575, 1, 35}}};
    op.region = "%s = arith.addf %acc, %x0 : f32\n%t = arith.mulf %s, %x1 : f32\n"
                "%w = arith.extf %x2 : bf16 to f32\n%u = arith.addf %t, %w : f32\n"
                "%r = arith.truncf %u : f32 to bf16\nkernel.yield %t, %r : f32, bf16";
    suite.add(op.name, op.text());
  }
  suite.compile();
  for (const char *name : {"vdpbf16_epilogue", "amx_epilogue"})
    suite.check(name,
                {bytesOf(narrowed(randomFloats(2 * 35 * 70, 1))),
                 bytesOf(narrowed(randomFloats(2 * 45 * 70, 2))), bytesOf(randomFloats(45, 3)),
                 bytesOf(randomFloats(70, 4)), bytesOf(narrowed(randomFloats(3150, 5)))},
                {Bytes(3150 * 4), Bytes(3150 * 2)}, 0.01);
}

// SwiGLU's gradient is too long for registers: it follows behind a tile's last column, over whole rows. With
// one K block and several, columns that end within a vector, and by groups of rows.
TEST(MatmulBf16, ALongEpilogueFollowsWholeRows) {
  KernelSuite suite;
  std::vector<Matmul> ops;
  for (const char *unit : {"vdpbf16", "amx"})
    for (int64_t n : {45, 96})
      for (int64_t k : {30, 200})
        for (char grouped : {'\0', 'm'}) {
          Matmul op = plain(unit + std::string("_long") + std::to_string(ops.size()), grouped ? 3 : 2, 35, n,
                            k, false, true, "bf16");
          op.unit = unit;
          op.schedule = "tile_m = 8, tile_n = 32, block_m = 96, block_n = 64, block_k = 64";
          int64_t batch = grouped ? 1 : 2, each = grouped ? 0 : 35 * n;
          std::string shape = std::to_string(batch * 35) + "x" + std::to_string(n);
          op.grouped = grouped;
          if (grouped) op.lhs = {tensorType({35, k}, "bf16"), {0, k, 1}};
          op.extras = {{shape + "xbf16", {each, n, 1}}, {shape + "xbf16", {each, n, 1}}};
          op.outputs = {{shape + "xbf16", {each, n, 1}}, {shape + "xf32", {each, n, 1}}};
          op.region = R"(%g = arith.extf %x0 : bf16 to f32
            %u = arith.extf %x1 : bf16 to f32
            %one = arith.constant 1.0 : f32
            %m = arith.negf %g : f32
            %e = math.exp %m : f32
            %d = arith.addf %one, %e : f32
            %s = arith.divf %one, %d : f32
            %du = arith.mulf %g, %s : f32
            %out = arith.mulf %acc, %du : f32
            %r = arith.truncf %out : f32 to bf16
            %v = arith.mulf %acc, %u : f32
            %w = arith.mulf %v, %s : f32
            kernel.yield %r, %w : bf16, f32)";
          suite.add(op.name, op.text());
          ops.push_back(op);
        }
  suite.compile();
  for (const Matmul &op : ops) {
    SCOPED_TRACE(op.name);
    int64_t rows = op.grouped ? 35 : 70, batch = op.grouped ? 3 : 2;
    std::vector<Bytes> inputs{bytesOf(narrowed(randomFloats(rows * op.k, 1))),
                              bytesOf(narrowed(randomFloats(batch * op.n * op.k, 2))),
                              bytesOf(narrowed(randomFloats(rows * op.n, 3))),
                              bytesOf(narrowed(randomFloats(rows * op.n, 4)))};
    if (op.grouped) inputs.push_back(bytesOf(std::vector<int32_t>{0, 17, 17, 35}));
    suite.check(op.name, inputs, {Bytes(rows * op.n * 2), Bytes(rows * op.n * 4)}, 0.01);
  }
}

// rhs in panels, as a derived weight lies: the bits of the same rhs row by row, for any number of rows and
// any schedule.
TEST(MatmulBf16, APackedRhsGivesTheSameBits) {
  constexpr int64_t batch = 2, panelsK = 160;
  KernelSuite suite;
  std::vector<std::pair<Matmul, Matmul>> pairs;
  struct Sizes {
    int64_t m, n, k;
  };
  // The last two leave panels to be filled up.
  for (const char *unit : {"vdpbf16", "amx"})
    for (auto [m, n, k] :
         {Sizes{1, 96, 160}, {2, 96, 160}, {17, 96, 160}, {40, 96, 160}, {1, 75, 129}, {40, 70, 130}})
      for (const char *schedule : {"tile_m = 1, tile_n = 32, block_m = 96, block_n = 32, block_k = 160",
                                   "tile_m = 12, tile_n = 32, block_m = 96, block_n = 64, block_k = 64",
                                   "tile_m = 8, tile_n = 32, block_m = 16, block_n = 96, block_k = 160",
                                   "tile_m = 2, tile_n = 32, block_m = 8, block_n = 64, block_k = 64"}) {
        Matmul op = plain(unit + std::to_string(pairs.size()), batch, m, n, k, false, true, "bf16");
        op.unit = unit;
        op.schedule = schedule;
        op.outputs[0].type = tensorType({batch, m, n}, "bf16");
        op.region = "%r = arith.truncf %acc : f32 to bf16\nkernel.yield %r : bf16";
        if (m % 2 == 1) // too long for registers
          op.region = "%e = math.exp %acc : f32\n%r = arith.truncf %e : f32 to bf16\nkernel.yield %r : bf16";
        Matmul packed = op;
        packed.name += "_packed";
        packed.packedRhs = true;
        packed.rhs = {tensorType({batch, 96 * panelsK}, "bf16"), {96 * panelsK, n, 1}};
        suite.add(op.name, op.text());
        suite.add(packed.name, packed.text());
        pairs.push_back({op, packed});
      }
  suite.compile();
  for (auto &[op, packed] : pairs) {
    SCOPED_TRACE(op.name);
    auto rhs = narrowed(randomFloats(batch * op.n * op.k, 2)); // (batch, n, k)
    std::vector<uint16_t> panels(batch * 96 * panelsK);
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t n = 0; n < op.n; ++n)
        for (int64_t k = 0; k < op.k; ++k)
          panels[b * 96 * panelsK + ((n / 32 * panelsK / 2 + k / 2) * 32 + n % 32) * 2 + k % 2] =
              rhs[(b * op.n + n) * op.k + k];
    Bytes lhs = bytesOf(narrowed(randomFloats(batch * op.m * op.k, 1))), out(batch * op.m * op.n * 2);
    EXPECT_EQ(suite.check(packed.name, {lhs, bytesOf(panels)}, {out}, 0.01),
              suite.run(op.name, {lhs, bytesOf(rhs)}, {out}));
  }
}

// Products about 2^-127: those and sums that are denormal are zero, whatever the level.
TEST(MatmulBf16, DenormalsAreZero) {
  expectAllSums({plain("tiny", 1, 16, 32, 64, false, true, "bf16")}, -63);
}

TEST(MatmulBf16, SchedulesChangeNoBit) {
  std::vector<Matmul> ops;
  for (const char *schedule : {"tile_m = 1, tile_n = 16, block_m = 1, block_n = 16, block_k = 32",
                               "tile_m = 12, tile_n = 32, block_m = 48, block_n = 64, block_k = 128",
                               "tile_m = 30, tile_n = 64, block_m = 60, block_n = 128, block_k = 96"}) {
    Matmul op = plain("schedule" + std::to_string(ops.size()), 1, 53, 117, 139, false, true, "bf16");
    op.schedule = schedule;
    ops.push_back(op);
  }
  // Scratch holds the partial sums of one block of rows only.
  Matmul op = plain("chunks", 1, 200, 35, 70, false, true, "bf16");
  op.schedule = "tile_m = 8, tile_n = 32, block_m = 96, block_n = 512, block_k = 32";
  op.outputs = {{"200x35xbf16", {0, 35, 1}}};
  op.region = "%r = arith.truncf %acc : f32 to bf16\nkernel.yield %r : bf16";
  ops.push_back(op);
  expectAllSums(ops);
}

} // namespace
} // namespace weft::cpu_test::matmul
