// Every operator and its gradient, repeats, and a small llama, compiled and executed.
#include "tests/compiler/program/harness.h"
#include <gtest/gtest.h>

namespace weft::testing {
namespace {

// @f and @gradient of each.
void check(const std::vector<Program> &programs) {
  std::vector<EntryCase> cases;
  for (const Program &p : programs) {
    Program f = inF32(p), gradient = inF32(withGradient(p));
    cases.push_back({f.what, f.text, f.args, {}, "f"});
    cases.push_back({"the gradient of " + f.what, gradient.text, gradient.args, {}, "gradient"});
  }
  checkPrograms(cases);
}

TEST(OpsExecuted, Unary) { check(unaryPrograms()); }
TEST(OpsExecuted, Binary) { check(binaryPrograms()); }
TEST(OpsExecuted, OneValueUsedTwice) { check(repeatedOperandPrograms()); }
TEST(OpsExecuted, SelectAndCast) { check(selectAndCastPrograms()); }
TEST(OpsExecuted, MovingValues) { check(movingPrograms()); }
TEST(OpsExecuted, TablesOfConstants) { check(tablePrograms()); }
TEST(OpsExecuted, Reductions) { check(reductionPrograms()); }
TEST(OpsExecuted, MatrixProducts) { check(productPrograms()); }
TEST(OpsExecuted, RowsByIndex) { check(rowPrograms()); }
TEST(OpsExecuted, Attention) { check(attentionPrograms()); }
TEST(OpsExecuted, Routing) { check(routingPrograms()); }
TEST(OpsExecuted, Repeat) { check(repeatPrograms()); }
TEST(OpsExecuted, SmallLlama) {
  check({llamaProgram(), llamaProgram({.batch = 1,
                                       .seq = 16,
                                       .dim = 16,
                                       .heads = 2,
                                       .kvHeads = 2,
                                       .ffn = 32,
                                       .vocab = 24,
                                       .layers = 3})});
}

} // namespace
} // namespace weft::testing
