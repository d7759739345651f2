// Products of matrices, and of groups of rows, → kernel.matmul with its epilogue.
#pragma once
#include "passes/fuse/fused_block.h"

namespace weft {

// `op`: a graph.matmul, graph.grouped_matmul or graph.grouped_outer of the block.
void fuseProduct(FusedBlock &fused, mlir::Operation *op);

} // namespace weft
