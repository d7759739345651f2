// Taking graph.repeat apart: for pipeline stages, recomputation of some layers, and what the first or the
// last layer does otherwise.
#pragma once
#include "dialects/graph/graph.h"
#include "mlir/IR/SymbolTable.h"

namespace weft {

// Whether its trip count is known and no two of its slice results update one stack.
bool canSplit(graph::RepeatOp op);

// [begin, at) and [at, end) as two repeats in the order in which they run; begin < at < end. The first to run
// is given back, then the second. What was stacked anew is joined again; `op` is gone.
std::pair<graph::RepeatOp, graph::RepeatOp> splitRepeat(graph::RepeatOp op, int64_t at);

// The ops of a repeat's only iteration in its place; `op`, of trip count 1, is gone.
void inlineOnlyIteration(graph::RepeatOp op, mlir::SymbolTable &symbols);

} // namespace weft
