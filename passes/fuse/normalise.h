// Rewrites graph ops that have no kernel of their own into those that have.
#pragma once
#include "mlir/IR/PatternMatch.h"

namespace weft {
// pad → concatenation with zeros, and the sum of complementary pads → concatenation; reductions over several
// last axes → one after the other, innermost first; maxima over leading axes → transposed; query heads over
// one key head → rows.
void populateNormalisePatterns(mlir::RewritePatternSet &patterns);
// The part of them that takes mixtures of experts apart.
void populateRoutingPatterns(mlir::RewritePatternSet &patterns);

} // namespace weft
