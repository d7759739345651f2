// Products by groups of rows (kernel.matmul with `groups`) and the sort that makes the groups: each group has
// the bits of its product alone, whatever the others hold and wherever items are cut.
#include "tests/compiler/codegen/matmul_text.h"

#include <gtest/gtest.h>

namespace weft::cpu_test::matmul {
namespace {

struct Unit {
  std::string factor, unit, schedule;
};
const std::vector<Unit> kUnits = {
    {"f32", "fma", "tile_m = 8, tile_n = 48, block_m = 24, block_n = 48, block_k = 40"},
    {"bf16", "vdpbf16", "tile_m = 8, tile_n = 32, block_m = 24, block_n = 32, block_k = 32"},
    {"bf16", "amx", "tile_m = 8, tile_n = 32, block_m = 96, block_n = 32, block_k = 64"}};

// One group has most rows, two have none, one a single row; the bounds are every other element.
constexpr int64_t kRows = 150, kGroups = 5, kStride = 2;
const std::vector<int32_t> kBounds = {0, 0, 0, -1, 97, 90, 98, 98, 98, 120, 999};
std::pair<int64_t, int64_t> rowsOf(int64_t group) {
  auto at = [](int64_t g) { return std::clamp<int64_t>(kBounds[g * kStride], 0, kRows); };
  return {at(group), at(group + 1)};
}

Bytes factors(const Operand &o, const std::string &type, int seed) {
  auto values = randomFloats(countOf(o.type), seed);
  return type == "bf16" ? bytesOf(narrowed(values)) : bytesOf(values);
}

struct Case {
  Matmul grouped;
  std::vector<Matmul> alone; // of the groups that have rows

  // From the product of all rows: `narrow` makes it that of rows [begin, end), which are group g's.
  void cut(char by, llvm::function_ref<void(Matmul &, int64_t g, int64_t begin, int64_t end)> narrow) {
    for (int64_t g = 0; g < kGroups; ++g) {
      auto [begin, end] = rowsOf(g);
      if (begin == end) continue;
      Matmul one = grouped;
      one.name += "_" + std::to_string(g);
      one.batch = 1;
      narrow(one, g, begin, end);
      alone.push_back(one);
    }
    grouped.grouped = by;
    grouped.groupStride = kStride;
  }
};

// Groups cut the rows of lhs and of the result.
Case byRows(const Unit &unit, int64_t n, int64_t k, bool transposed, bool rounded) {
  Case c;
  c.grouped = plain("rows_" + unit.unit + std::to_string(n) + (rounded ? "r" : ""), kGroups, kRows, n, k,
                    false, transposed, unit.factor);
  Matmul &op = c.grouped;
  std::string out = rounded ? "bf16" : "f32";
  op.lhs = {tensorType({kRows, k}, unit.factor), {0, k, 1}};
  op.outputs = {{tensorType({kRows, n}, out), {0, n, 1}}};
  if (rounded) op.region = "%r = arith.truncf %acc : f32 to bf16\nkernel.yield %r : bf16";
  op.unit = unit.unit;
  op.schedule = unit.schedule;
  c.cut('m', [&](Matmul &one, int64_t g, int64_t begin, int64_t end) {
    one.m = end - begin;
    one.lhs.offset = begin * k;
    one.rhs.offset = g * n * k;
    one.outputs[0].offset = begin * n;
  });
  return c;
}

// Groups cut what is summed over.
Case byDepth(const Unit &unit, int64_t m, int64_t n, bool init) {
  Case c;
  c.grouped = plain("depth_" + unit.unit + std::to_string(n) + (init ? "i" : ""), kGroups, m, n, kRows, true,
                    false, unit.factor);
  Matmul &op = c.grouped;
  op.lhs = {tensorType({kRows, m}, unit.factor), {0, 1, m}};
  op.rhs = {tensorType({kRows, n}, unit.factor), {0, n, 1}};
  op.unit = unit.unit;
  op.schedule = unit.schedule;
  op.init = init;
  c.cut('k', [&](Matmul &one, int64_t g, int64_t begin, int64_t end) {
    one.k = end - begin;
    one.lhs.offset = begin * m;
    one.rhs.offset = begin * n;
    one.outputs[0].offset = g * m * n;
  });
  return c;
}

void expectEachAlone(const std::vector<Case> &cases) {
  KernelSuite suite;
  for (const Case &c : cases) {
    suite.add(c.grouped.name, c.grouped.text());
    for (const Matmul &one : c.alone) suite.add(one.name, one.text());
  }
  suite.compile();
  for (const Case &c : cases) {
    SCOPED_TRACE(c.grouped.name);
    const Matmul &op = c.grouped;
    std::string factor = op.unit == "fma" ? "f32" : "bf16";
    Bytes lhs = factors(op.lhs, factor, 1), rhs = factors(op.rhs, factor, 2);
    bool rounded = op.outputs[0].type.ends_with("bf16");
    Bytes start = factors(op.outputs[0], rounded ? "bf16" : "f32", 3);
    Bytes got = suite.check(op.name, {lhs, rhs, bytesOf(kBounds)}, {start}, rounded ? 8e-3 : 1e-4).at(0);
    // A group after another, each on what those before it left. Without rows and init a sum is zero.
    Bytes want = start;
    if (op.grouped == 'k' && !op.init) std::fill(want.begin(), want.end(), 0);
    for (const Matmul &one : c.alone) want = suite.run(one.name, {lhs, rhs}, {want}).at(0);
    EXPECT_EQ(got, want);
  }
}

TEST(Grouped, RowsHaveTheBitsOfTheirGroupsProductAlone) {
  std::vector<Case> cases;
  for (const Unit &unit : kUnits) {
    cases.push_back(byRows(unit, 70, 75, true, false));
    cases.push_back(byRows(unit, 33, 32, false, false));
    if (unit.factor == "bf16") cases.push_back(byRows(unit, 96, 130, true, true));
  }
  expectEachAlone(cases);
}

// Groups cut what is summed over, in blocks of it.
TEST(Grouped, DepthInBlocksHasTheBitsOfItsGroupsProductAlone) {
  std::vector<Case> cases;
  for (bool init : {false, true}) {
    Case c = byDepth(kUnits[0], 61, 75, init);
    c.grouped.schedule = "tile_m = 8, tile_n = 32, block_m = 48, block_n = 64, block_k = 32";
    cases.push_back(c);
  }
  expectEachAlone(cases);
}

// Matrices in panels, as derived weights lie, filled up with zeros: the bits of the same matrices row by row.
TEST(Grouped, PackedMatricesGiveTheSameBits) {
  constexpr int64_t n = 90, k = 141, panels_n = 96, panels_k = 160, panels_size = panels_n * panels_k;
  KernelSuite suite;
  std::vector<std::pair<Matmul, Matmul>> pairs;
  for (const Unit &unit : kUnits)
    for (const char *schedule : {"tile_m = 1, tile_n = 32, block_m = 96, block_n = 32, block_k = 160",
                                 "tile_m = 12, tile_n = 32, block_m = 96, block_n = 64, block_k = 64"}) {
      if (unit.factor != "bf16") continue;
      Matmul op = byRows(unit, n, k, /*transposed=*/true, /*rounded=*/true).grouped;
      op.name += std::to_string(pairs.size());
      op.schedule = schedule;
      Matmul packed = op;
      packed.name += "_packed";
      packed.packedRhs = true;
      packed.rhs = {tensorType({kGroups, panels_size}, "bf16"), {panels_size, n, 1}};
      suite.add(op.name, op.text());
      suite.add(packed.name, packed.text());
      pairs.push_back({op, packed});
    }
  suite.compile();
  auto rhs = narrowed(randomFloats(kGroups * n * k, 2)); // (group, n, k)
  std::vector<uint16_t> panels(kGroups * panels_size);
  for (int64_t g = 0; g < kGroups; ++g)
    for (int64_t j = 0; j < n; ++j)
      for (int64_t p = 0; p < k; ++p)
        panels[g * panels_size + ((j / 32 * (panels_k / 2) + p / 2) * 32 + j % 32) * 2 + p % 2] =
            rhs[(g * n + j) * k + p];
  for (auto &[op, packed] : pairs) {
    SCOPED_TRACE(op.name);
    Bytes lhs = factors(op.lhs, "bf16", 1), start = factors(op.outputs[0], "bf16", 3);
    EXPECT_EQ(suite.check(packed.name, {lhs, bytesOf(panels), bytesOf(kBounds)}, {start}, 8e-3),
              suite.run(op.name, {lhs, bytesOf(rhs), bytesOf(kBounds)}, {start}));
  }
}

TEST(Grouped, SumsOverRowsHaveTheBitsOfTheirGroupsProductAlone) {
  std::vector<Case> cases;
  for (const Unit &unit : kUnits) {
    cases.push_back(byDepth(unit, 35, 70, false));
    cases.push_back(byDepth(unit, 50, 33, true));
  }
  expectEachAlone(cases);
}

// Rows looked up in a shorter table give the bits of rows gathered beforehand, for each factor and for both;
// so do indices that are out of range, which are clamped.
TEST(Grouped, LooksRowsUpWithTheSameBits) {
  constexpr int64_t kTable = 40;
  auto index = randomInts(kRows, 9, -3, kTable + 3);
  struct Pair {
    Matmul gathered, looked;
  };
  std::vector<Pair> pairs;
  auto lookUp = [](Operand &o, const std::string &factor) {
    int64_t width = countOf(o.type) / kRows;
    o.type = tensorType({kTable, width}, factor);
    o.tableStride = width;
    o.tableLimit = kTable;
    for (int64_t &stride : o.strides) stride = stride == 1;
  };
  KernelSuite suite;
  for (const Unit &unit : kUnits) {
    for (auto [n, k] : {std::pair{70, 75}, {33, 32}, {96, 130}}) {
      Pair p{byRows(unit, n, k, n == 70, false).grouped, {}};
      p.looked = p.gathered;
      lookUp(p.looked.lhs, unit.factor);
      pairs.push_back(p);
    }
    for (int which : {1, 2, 3}) {
      Pair p{byDepth(unit, 35 + 14 * which, 70 - which, which == 2).grouped, {}};
      p.looked = p.gathered;
      if (which & 1) lookUp(p.looked.lhs, unit.factor);
      if (which & 2) lookUp(p.looked.rhs, unit.factor);
      pairs.push_back(p);
    }
  }
  for (auto &[gathered, looked] : pairs) {
    looked.name += "_looked";
    suite.add(gathered.name, gathered.text());
    suite.add(looked.name, looked.text());
  }
  suite.compile();
  for (auto &[gathered, looked] : pairs) {
    SCOPED_TRACE(looked.name);
    bool half = gathered.unit != "fma";
    Bytes start = factors(gathered.outputs[0], "f32", 3);
    std::vector<Bytes> whole, table;
    for (const Operand *o : {&looked.lhs, &looked.rhs}) {
      table.push_back(factors(*o, half ? "bf16" : "f32", o == &looked.lhs ? 1 : 2));
      whole.push_back(table.back());
      if (!o->tableStride) continue;
      int64_t bytes = o->tableStride * (half ? 2 : 4);
      whole.back().clear();
      for (int32_t i : index) {
        auto row = table.back().begin() + std::clamp<int64_t>(i, 0, kTable - 1) * bytes;
        whole.back().insert(whole.back().end(), row, row + bytes);
      }
    }
    EXPECT_EQ(suite.check(looked.name, {table[0], table[1], bytesOf(kBounds), bytesOf(index)}, {start}, 1e-4),
              suite.run(gathered.name, {whole[0], whole[1], bytesOf(kBounds)}, {start}));
  }
}

TEST(Grouped, SortsChoicesByExpertSegmentAndOrder) {
  struct Shape {
    int64_t tokens, k, experts, segments;
  };
  KernelSuite suite;
  std::vector<Shape> shapes = {{1, 1, 1, 1}, {60, 2, 7, 1}, {60, 3, 4, 5}, {64, 8, 100, 2}};
  for (const Shape &s : shapes)
    suite.add("sort" + std::to_string(s.experts), sortText(s.tokens, s.k, s.experts, s.segments));
  suite.compile();
  for (const Shape &s : shapes) {
    SCOPED_TRACE(s.experts);
    size_t n = s.tokens * s.k;
    auto results = [](size_t count) { return bytesOf(std::vector<int32_t>(count, 77)); };
    // Out of range, too: clamped.
    suite.check("sort" + std::to_string(s.experts), {bytesOf(randomInts(n, 1, -2, s.experts + 2))},
                {results(n), results(n), results(n), results(s.experts * s.segments + 1)}, 0);
  }
}

} // namespace
} // namespace weft::cpu_test::matmul
