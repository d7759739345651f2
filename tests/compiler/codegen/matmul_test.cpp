// kernel.matmul: bits against one ascending FMA chain an output, at odd shapes, layouts, epilogues and
// schedules.
#include "passes/codegen/cpu/matmul_heuristics.h"
#include "tests/compiler/codegen/matmul_text.h"

#include <cmath>
#include <gtest/gtest.h>

namespace weft::cpu_test::matmul {
namespace {

// The accumulators, (b, m, n): one chain of fused multiply-adds, ascending.
template <typename T>
std::vector<T> chains(const Matmul &op, const std::vector<T> &a, const std::vector<T> &b,
                      const std::vector<T> &init) {
  std::vector<T> out;
  auto at = [](const Operand &o, int64_t i, int64_t j, int64_t l) {
    return o.offset + i * o.strides[0] + j * o.strides[1] + l * o.strides[2];
  };
  for (int64_t i = 0; i < op.batch; ++i)
    for (int64_t m = 0; m < op.m; ++m)
      for (int64_t n = 0; n < op.n; ++n) {
        T acc = op.init ? init[at(op.outputs[0], i, m, n)] : T(0);
        for (int64_t k = 0; k < op.k; ++k)
          acc = std::fma(a[at(op.lhs, i, m, k)], b[at(op.rhs, i, k, n)], acc);
        out.push_back(acc);
      }
  return out;
}

struct Data {
  std::vector<float> a, b, start;
  explicit Data(const Matmul &op)
      : a(randomFloats(countOf(op.lhs.type), 1)), b(randomFloats(countOf(op.rhs.type), 2)),
        start(randomFloats(countOf(op.outputs[0].type), 3)) {}
};

// Runs a matmul whose region yields acc alone and holds every output's bits against its chain.
void expectChains(KernelSuite &suite, const Matmul &op) {
  SCOPED_TRACE(op.name);
  Data data(op);
  auto got =
      valuesOf<float>(suite.run(op.name, {bytesOf(data.a), bytesOf(data.b)}, {bytesOf(data.start)}).at(0));
  auto want = chains<float>(op, data.a, data.b, data.start);
  int64_t i = 0, wrong = 0;
  const Operand &o = op.outputs[0];
  std::vector<float> expected = data.start; // elements no output reaches keep their value
  for (int64_t b = 0; b < op.batch; ++b)
    for (int64_t m = 0; m < op.m; ++m)
      for (int64_t n = 0; n < op.n; ++n)
        expected[o.offset + b * o.strides[0] + m * o.strides[1] + n * o.strides[2]] = want[i++];
  for (size_t j = 0; j < expected.size() && wrong < 3; ++j)
    if (got[j] != expected[j]) {
      ADD_FAILURE() << "element " << j << " is " << got[j] << " when the chain gives " << expected[j];
      ++wrong;
    }
}

void expectAllChains(const std::vector<Matmul> &ops) {
  KernelSuite suite;
  for (const Matmul &op : ops) suite.add(op.name, op.text());
  suite.compile();
  for (const Matmul &op : ops) expectChains(suite, op);
}

TEST(Matmul, IsOneAscendingChainAnOutputAtOddShapesAndLayouts) {
  std::vector<Matmul> ops;
  int64_t shapes[][3] = {{1, 1, 1},     {1, 17, 33},   {7, 16, 13}, {13, 49, 101},
                         {33, 100, 41}, {61, 145, 80}, {5, 3, 97}};
  for (auto [m, n, k] : shapes)
    for (int layout = 0; layout < 4; ++layout)
      ops.push_back(plain("mm" + std::to_string(ops.size()), 1, m, n, k, layout & 1, layout & 2));
  expectAllChains(ops);
}

TEST(Matmul, BatchesOffsetsAndAccumulationKeepTheChain) {
  std::vector<Matmul> ops;
  for (bool init : {false, true})
    for (int layout = 0; layout < 4; ++layout) {
      Matmul op = plain("batch" + std::to_string(ops.size()), 3, 26, 50, 87, layout & 1, layout & 2);
      op.init = init;
      ops.push_back(op);
      // A part of larger buffers: rows further apart than they are long, and an offset.
      op = plain("part" + std::to_string(ops.size()), 1, 25, 51, 45, false, false);
      op.lhs = {"40x64xf32", {0, 64, 1}, 70};
      op.rhs = {"50x64xf32", {0, 64, 1}, 5};
      op.outputs = {{"30x60xf32", {0, 60, 1}, 63}};
      op.init = init;
      ops.push_back(op);
    }
  // The same right operand for every batch; neither stride 1; outputs whose columns are not contiguous.
  Matmul op = plain("shared", 4, 9, 20, 18, false, true);
  op.rhs = {"20x18xf32", {0, 1, 18}};
  ops.push_back(op);
  op.name = "strided";
  op.lhs = {"4x9x18x2xf32", {324, 36, 2}};
  op.rhs = {"20x18x3xf32", {0, 3, 54}};
  ops.push_back(op);
  op.name = "transposed_output";
  op.outputs = {{"4x20x9xf32", {180, 1, 9}}};
  ops.push_back(op);
  op.name = "transposed_output_init";
  op.init = true;
  ops.push_back(op);
  expectAllChains(ops);
}

// Tiles of one row read a rhs whose k lies together where it is.
TEST(Matmul, SingleRowsOfRhsInPlaceKeepTheChain) {
  std::vector<Matmul> ops;
  int64_t shapes[][3] = {{1, 17, 33}, {1, 100, 257}, {1, 1, 5}, {3, 48, 64}, {1, 40, 16}, {2, 31, 15}};
  for (auto [m, n, k] : shapes)
    for (const char *schedule : {"tile_m = 1, tile_n = 16, block_m = 24, block_n = 32, block_k = 1024",
                                 "tile_m = 1, tile_n = 32, block_m = 24, block_n = 64, block_k = 24"})
      for (bool init : {false, true}) {
        Matmul op = plain("single" + std::to_string(ops.size()), 2, m, n, k, m > 2, true);
        op.schedule = schedule;
        op.init = init;
        ops.push_back(op);
      }
  expectAllChains(ops);
}

// Rows of k in several blocks of rows, columns and k, whose next ones are asked for; of all layouts.
TEST(Matmul, ManyBlocksKeepTheChain) {
  std::vector<Matmul> ops;
  for (int layout = 0; layout < 4; ++layout)
    for (bool init : {false, true})
      for (auto [m, n, k] : {std::array<int64_t, 3>{61, 145, 80}, {50, 64, 130}, {97, 33, 41}}) {
        Matmul op = plain("blocks" + std::to_string(ops.size()), 2, m, n, k, layout & 1, layout & 2);
        op.schedule = init ? "tile_m = 8, tile_n = 32, block_m = 48, block_n = 64, block_k = 40"
                           : "tile_m = 12, tile_n = 32, block_m = 48, block_n = 96, block_k = 136";
        op.init = init;
        ops.push_back(op);
      }
  // Sums that lie in scratch between blocks of k, since columns of the result do not lie together.
  Matmul scratch = plain("scratch", 1, 61, 70, 130, true, false);
  scratch.schedule = "tile_m = 8, tile_n = 32, block_m = 48, block_n = 64, block_k = 40";
  scratch.outputs = {{"70x61xf32", {0, 1, 61}}};
  ops.push_back(scratch);
  // The same with low blocks.
  scratch.name = "low";
  scratch.schedule = "tile_m = 8, tile_n = 32, block_m = 24, block_n = 64, block_k = 40";
  ops.push_back(scratch);
  expectAllChains(ops);
}

// Few rows, all of which take a column of rhs together, keep it too: one block of rows, several, and rows
// left over.
TEST(Matmul, FewRowsOfRhsInPlaceKeepTheChain) {
  std::vector<Matmul> ops;
  int64_t shapes[][3] = {{2, 17, 33}, {7, 100, 257}, {16, 1, 5}, {16, 48, 64}, {23, 40, 16}, {41, 31, 47}};
  for (auto [m, n, k] : shapes)
    for (const char *schedule : {"tile_m = 16, tile_n = 16, block_m = 16, block_n = 32, block_k = 1024",
                                 "tile_m = 7, tile_n = 16, block_m = 24, block_n = 64, block_k = 24"})
      for (bool init : {false, true}) {
        Matmul op = plain("few" + std::to_string(ops.size()), 2, m, n, k, m > 16, true);
        op.schedule = schedule;
        op.init = init;
        ops.push_back(op);
      }
  expectAllChains(ops);
}

TEST(Matmul, ALongEpilogueFollowsFewRowsInPlace) {
  KernelSuite suite;
  std::vector<Matmul> ops;
  for (int64_t m : {5, 16, 37})
    for (const char *schedule : {"tile_m = 16, tile_n = 16, block_m = 16, block_n = 48, block_k = 1024",
                                 "tile_m = 5, tile_n = 16, block_m = 8, block_n = 32, block_k = 16"}) {
      Matmul op = plain("long" + std::to_string(ops.size()), 2, m, 70, 50, false, true);
      op.schedule = schedule;
      op.region = "%e = math.exp %acc : f32\n%r = arith.addf %e, %acc : f32\nkernel.yield %r : f32";
      suite.add(op.name, op.text());
      ops.push_back(op);
    }
  suite.compile();
  for (const Matmul &op : ops) {
    SCOPED_TRACE(op.name);
    Data data(op);
    suite.check(op.name, {bytesOf(data.a), bytesOf(data.b)}, {Bytes(data.start.size() * 4)}, 1e-5);
  }
}

TEST(Matmul, SchedulesChangeNoBit) {
  std::vector<Matmul> ops;
  for (const char *schedule : {"tile_m = 1, tile_n = 16, block_m = 1, block_n = 16, block_k = 1",
                               "tile_m = 4, tile_n = 32, block_m = 10, block_n = 100, block_k = 7",
                               "tile_m = 12, tile_n = 32, block_m = 48, block_n = 64, block_k = 200",
                               "tile_m = 8, tile_n = 48, block_m = 7, block_n = 20, block_k = 16",
                               "tile_m = 6, tile_n = 16, block_m = 96, block_n = 384, block_k = 64",
                               "tile_m = 30, tile_n = 64, block_m = 60, block_n = 128, block_k = 32"})
    for (bool transposed : {false, true}) {
      Matmul op = plain("schedule" + std::to_string(ops.size()), 1, 53, 117, 139, transposed, !transposed);
      op.schedule = schedule;
      ops.push_back(op);
    }
  expectAllChains(ops);
}

// relu(acc + bias) * gate to one result and acc to another: bias by column, gate by row, with and without
// several K blocks and chunks.
TEST(Matmul, EpiloguesGetTheAccumulatorsAndTheirExtras) {
  KernelSuite suite;
  std::vector<Matmul> ops;
  for (int64_t k : {30, 100})
    for (bool init : {false, true}) {
      Matmul op = plain("epilogue" + std::to_string(ops.size()), 2, 35, 70, k, false, true);
      op.extras = {{"70xf32", {0, 0, 1}}, {"2x35xf32", {35, 1, 0}}, {"2x70x35xf32", {70 * 35, 1, 35}}};
      op.outputs = {{"2x35x70xf32", {35 * 70, 70, 1}}, {"2x70x35xf32", {70 * 35, 1, 35}}};
      op.init = init;
      op.region = R"(%zero = arith.constant 0.0 : f32
        %s = arith.addf %acc, %x0 : f32
        %r = arith.maximumf %s, %zero : f32
        %g = arith.mulf %r, %x1 : f32
        %h = arith.subf %acc, %x2 : f32
        kernel.yield %g, %h : f32, f32)";
      ops.push_back(op);
    }
  for (const Matmul &op : ops) suite.add(op.name, op.text());
  suite.compile();
  for (const Matmul &op : ops) {
    SCOPED_TRACE(op.name);
    Data data(op);
    auto bias = randomFloats(70, 4), gate = randomFloats(70, 5), other = randomFloats(2 * 70 * 35, 6);
    auto out =
        suite.run(op.name, {bytesOf(data.a), bytesOf(data.b), bytesOf(bias), bytesOf(gate), bytesOf(other)},
                  {bytesOf(data.start), Bytes(data.start.size() * 4)});
    ASSERT_EQ(out.size(), 2u);
    auto first = valuesOf<float>(out[0]), second = valuesOf<float>(out[1]);
    auto acc = chains<float>(op, data.a, data.b, data.start);
    for (int64_t b = 0, i = 0; b < 2; ++b)
      for (int64_t m = 0; m < 35; ++m)
        for (int64_t n = 0; n < 70; ++n, ++i) {
          ASSERT_EQ(first[i], std::max(acc[i] + bias[n], 0.0f) * gate[b * 35 + m])
              << b << " " << m << " " << n;
          ASSERT_EQ(second[(b * 70 + n) * 35 + m], acc[i] - other[(b * 70 + n) * 35 + m])
              << b << " " << m << " " << n;
        }
  }
}

// A row's extra that is looked up, as a token's rows behind experts are: rows of one table in two places, out
// of range too. From registers and, with an exponential, over whole rows.
TEST(Matmul, EpiloguesLookExtrasUp) {
  KernelSuite suite;
  std::vector<Matmul> ops;
  constexpr int64_t m = 35, n = 70, kTable = 9;
  for (bool exponential : {false, true}) {
    Matmul op = plain("lookup" + std::to_string(exponential), 1, m, n, 100, false, true);
    Operand rows{"9x70xf32", {0, 0, 1}, 0, n, kTable, 2};
    op.extras = {{"35x2xi32", {0, 2, 0}}, rows, {"35x2xi32", {0, 2, 0}, 1}, rows};
    op.extras[3].table = 4;
    op.region = "%s = arith.addf %acc, %x1 : f32\n%r = arith.addf %s, %x3 : f32\n";
    op.region += exponential ? "%e = math.exp %r : f32\nkernel.yield %e : f32" : "kernel.yield %r : f32";
    ops.push_back(op);
    suite.add(op.name, op.text());
  }
  suite.compile();
  auto index = randomInts(2 * m, 7, -2, kTable + 2);
  auto table = randomFloats(kTable * n, 8);
  for (const Matmul &op : ops) {
    SCOPED_TRACE(op.name);
    Data data(op);
    Bytes places = bytesOf(index), rows = bytesOf(table);
    Bytes out = suite.check(op.name, {bytesOf(data.a), bytesOf(data.b), places, rows, places, rows},
                            {bytesOf(data.start)}, 1e-4)[0];
    if (&op != &ops[0]) continue;
    auto got = valuesOf<float>(out), acc = chains<float>(op, data.a, data.b, {});
    auto at = [&](int64_t i, int64_t j) {
      return table[std::clamp<int64_t>(index[i], 0, kTable - 1) * n + j];
    };
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j)
        ASSERT_EQ(got[i * n + j], acc[i * n + j] + at(2 * i, j) + at(2 * i + 1, j)) << i << " " << j;
  }
}

// A residual added in place: partial sums of earlier K blocks must not land on it, and rows left over by
// tiles are added once, however many they are.
TEST(Matmul, AResultMayLieOverAnExtra) {
  KernelSuite suite;
  std::vector<Matmul> ops;
  for (int64_t m : {26, 27, 28, 29, 30, 31, 33})
    for (int64_t k : {30, 100}) {
      Matmul op = plain("residual" + std::to_string(ops.size()), 1, m, 70, k, k == 100, true);
      op.extras = {op.outputs[0]};
      op.region = "%s = arith.addf %acc, %x0 : f32\nkernel.yield %s : f32";
      op.schedule = "tile_m = 8, tile_n = 32, block_m = 48, block_n = 64, block_k = 40";
      ops.push_back(op);
      suite.add(op.name, op.text());
    }
  suite.compile();
  for (const Matmul &op : ops) {
    SCOPED_TRACE(op.name);
    Data data(op);
    std::vector<Bytes> inputs{bytesOf(data.a), bytesOf(data.b), bytesOf(data.start)};
    auto got = valuesOf<float>(suite.run(op.name, inputs, {Bytes(op.m * 70 * 4)}, {{0, 2}}).at(0));
    auto acc = chains<float>(op, data.a, data.b, {});
    for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], acc[i] + data.start[i]) << i;
  }
}

// Every number of rows left over, of sums that begin in the result, of lhs either way.
TEST(Matmul, RowsLeftOverKeepTheChain) {
  std::vector<Matmul> ops;
  for (int64_t m = 25; m < 37; ++m)
    for (bool transposed : {false, true}) {
      Matmul op = plain("left" + std::to_string(ops.size()), 1, m, 37, 90, transposed, false);
      op.schedule = "tile_m = 12, tile_n = 32, block_m = 48, block_n = 64, block_k = 40";
      op.init = true;
      ops.push_back(op);
    }
  expectAllChains(ops);
}

TEST(Matmul, F64TakesTheSamePath) {
  KernelSuite suite;
  std::vector<Matmul> ops;
  for (int layout = 0; layout < 4; ++layout) {
    Matmul op = plain("wide" + std::to_string(layout), 1, 21, 37, 50, layout & 1, layout & 2);
    for (std::string *type : {&op.lhs.type, &op.rhs.type, &op.outputs[0].type})
      type->replace(type->size() - 3, 3, "f64");
    op.element = "f64";
    op.region = "kernel.yield %acc : f64";
    ops.push_back(op);
  }
  for (const Matmul &op : ops) suite.add(op.name, op.text());
  suite.compile();
  for (const Matmul &op : ops) {
    auto fa = randomFloats(21 * 50, 1), fb = randomFloats(37 * 50, 2);
    std::vector<double> a(fa.begin(), fa.end()), b(fb.begin(), fb.end());
    EXPECT_EQ(valuesOf<double>(suite.run(op.name, {bytesOf(a), bytesOf(b)}, {Bytes(21 * 37 * 8)}).at(0)),
              chains<double>(op, a, b, {}))
        << op.name;
  }
}

TEST(Matmul, ARowDoesNotDependOnHowManyOthersThereAre) {
  KernelSuite suite;
  Matmul many = plain("many", 1, 40, 96, 200, false, true), one = plain("one", 1, 1, 96, 200, false, true);
  auto schedule = [&](const Matmul &op) {
    auto s = cpu::scheduleMatmul(&suite.context(), {op.batch, op.m, op.n, op.k}, 2);
    return "tile_m = " + std::to_string(s.getTileM()) + ", tile_n = " + std::to_string(s.getTileN()) +
           ", block_m = " + std::to_string(s.getBlockM()) + ", block_n = " + std::to_string(s.getBlockN()) +
           ", block_k = " + std::to_string(s.getBlockK());
  };
  many.schedule = schedule(many);
  one.schedule = schedule(one);
  EXPECT_NE(many.schedule, one.schedule);
  suite.add("many", many.text());
  suite.add("one", one.text());
  suite.compile();
  Data data(many);
  auto all =
      valuesOf<float>(suite.run("many", {bytesOf(data.a), bytesOf(data.b)}, {Bytes(40 * 96 * 4)}).at(0));
  for (int64_t row : {0, 7, 39}) {
    std::vector<float> lhs(data.a.begin() + row * 200, data.a.begin() + (row + 1) * 200);
    auto alone = valuesOf<float>(suite.run("one", {bytesOf(lhs), bytesOf(data.b)}, {Bytes(96 * 4)}).at(0));
    EXPECT_EQ(alone, std::vector<float>(all.begin() + row * 96, all.begin() + (row + 1) * 96)) << row;
  }
}

TEST(Matmul, SaysWhatItCannotCompile) {
  auto diagnosticsOf = [](Matmul op) {
    KernelSuite suite;
    suite.add("bad", op.text());
    return suite.compileError();
  };
  Matmul op = plain("bad", 1, 4, 4, 4, false, false), integers = op, mixed = op, schedule = op;
  for (std::string *type : {&integers.lhs.type, &integers.rhs.type, &integers.outputs[0].type})
    *type = "1x4x4xi32";
  integers.element = "i32";
  integers.region = "kernel.yield %acc : i32";
  EXPECT_NE(diagnosticsOf(integers).find("multiplies 'i32' when the CPU's dot units take f32, f64 or bf16"),
            std::string::npos)
      << diagnosticsOf(integers);
  mixed.rhs.type = "1x4x4xf64";
  EXPECT_NE(diagnosticsOf(mixed).find("multiplies 'f32' by 'f64'; cast one of them first"), std::string::npos)
      << diagnosticsOf(mixed);
  schedule.schedule = "tile_m = 8, tile_n = 48, block_m = 0, block_n = 48, block_k = 40";
  EXPECT_NE(diagnosticsOf(schedule).find("has a schedule with a size that is not positive"),
            std::string::npos)
      << diagnosticsOf(schedule);
}

// What heuristics promise to the emitter and the thread pool.
TEST(MatmulHeuristics, BlocksFitTheCachesAndGiveThreadsWork) {
  mlir::MLIRContext context;
  context.loadDialect<kernel::KernelDialect>();
  for (int64_t m : {1, 4, 64, 4096, 100000})
    for (int64_t n : {1, 384, 1000, 1152, 32000})
      for (int64_t k : {1, 64, 384, 1024, 4096, 100000}) {
        auto s = cpu::scheduleMatmul(&context, {1, m, n, k}, 2);
        SCOPED_TRACE(std::to_string(m) + " " + std::to_string(n) + " " + std::to_string(k));
        EXPECT_LE(s.getBlockN() * s.getBlockK() * 4, 1024 * 1024);
        EXPECT_LE(s.getTileM() * s.getBlockK() * 4, 32 * 1024);
        cpu::MatmulShape unpacked{1, m, n, k};
        unpacked.rhsInPlace = true;
        EXPECT_LE(cpu::scheduleMatmul(&context, unpacked, 2).getBlockK() * 4, 256 * 1024);
        EXPECT_EQ(s.getBlockN() % s.getTileN(), 0);
        EXPECT_GT(s.getBlockM(), 0);
        if (m * n <= 100000) continue;
        // Two threads take the first and the second half of the items, rows innermost.
        int64_t rows = (m + s.getBlockM() - 1) / s.getBlockM(),
                columns = (n + s.getBlockN() - 1) / s.getBlockN(), first = 0;
        for (int64_t item = 0; item < rows * columns / 2; ++item)
          first += std::min(s.getBlockM(), m - item % rows * s.getBlockM()) *
                   std::min(s.getBlockN(), n - item / rows * s.getBlockN());
        EXPECT_LE(std::max(first, m * n - first), m * n * 6 / 10);
      }
}

// Few rows that take rhs in place leave as few as can be to go one by one; more rows are never in so low a
// block.
TEST(MatmulHeuristics, FewRowsAreOneBlockOfWholeTiles) {
  mlir::MLIRContext context;
  context.loadDialect<kernel::KernelDialect>();
  for (int64_t m = 2; m <= 400; ++m)
    for (int64_t n : {16, 256, 32000}) {
      SCOPED_TRACE(std::to_string(m) + " " + std::to_string(n));
      cpu::MatmulShape shape{1, m, n, 768};
      shape.rhsInPlace = true;
      auto s = cpu::scheduleMatmul(&context, shape, 2);
      EXPECT_EQ(s.getBlockM() <= cpu::kFewRows, m <= cpu::kFewRows);
      if (m > cpu::kFewRows) continue;
      EXPECT_GE(s.getBlockM(), m);
      EXPECT_LE(m % s.getTileM(), 1);
      EXPECT_LE(s.getBlockN() * s.getBlockK() * 4, 1024 * 1024);
    }
}

} // namespace
} // namespace weft::cpu_test::matmul
