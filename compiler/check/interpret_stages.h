// The stages of a pipeline, interpreted together.
#pragma once
#include "dialects/graph/interpret.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace weft {

// Calls interpret(i, rank) for each of `count` stages, on threads of which one runs at a time: each goes on
// as far as it gets without what another sends. Of dist.all_reduce over the pipeline all get the sum in a
// fixed tree, of which `rounded` rounds each sum to its type; over the data axis there is one rank. A single
// stage gets no rank. Fails when one stage does; when all wait for each other, with an error at the ops they
// wait in.
mlir::LogicalResult
interpretStages(int64_t count, bool rounded,
                llvm::function_ref<mlir::LogicalResult(int64_t, graph::InterpretRank *)> interpret);

} // namespace weft
