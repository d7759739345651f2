// Programs that tests run: every operator at odd shapes, a line each, and repeats, as a function @f whose
// result is a scalar f64.
#pragma once
#include "tests/compiler/interpret_text.h"

namespace weft::testing {

struct Program {
  std::string what;
  std::string text; // holds @f
  Tensors args;     // of @f
};

// @f = Σ over the op's results of Σ result ∘ random weights. `op` works on operands %0, %1, … and may name
// their types $0, $1, … and those of its results $r, $s.
Program opProgram(std::string op, const Tensors &operands,
                  const std::vector<std::vector<int64_t>> &resultShapes);

// Adds @gradient to a program: of @f with respect to every f64 argument, added onto accumulators that follow
// @f's arguments. Its results are @f's value, then the gradients.
Program withGradient(const Program &program);
// Which of @f's arguments have a gradient.
std::vector<size_t> differentiableArguments(const Program &program);

std::vector<Program> unaryPrograms();
std::vector<Program> binaryPrograms();
std::vector<Program> repeatedOperandPrograms();
std::vector<Program> selectAndCastPrograms();
std::vector<Program> movingPrograms();
std::vector<Program> tablePrograms();
std::vector<Program> reductionPrograms();
std::vector<Program> productPrograms();
std::vector<Program> rowPrograms();
std::vector<Program> attentionPrograms();
std::vector<Program> routingPrograms();
std::vector<Program> repeatPrograms();

// The loss of a small llama: arguments table, nine stacks of layer weights, the final norm, then tokens,
// targets and the key ranges.
struct LlamaSizes {
  int64_t batch = 2, seq = 7, dim = 12, heads = 3, kvHeads = 1, ffn = 10, vocab = 11, layers = 2;
};
Program llamaProgram(const LlamaSizes &sizes = {});

} // namespace weft::testing
