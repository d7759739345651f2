#include "passes/fuse/product_epilogue.h"
#include "passes/fuse/loops_builder.h"

using namespace mlir;
namespace weft {

int64_t numBatchDims(Operation *op) {
  auto product = dyn_cast<graph::MatmulOp>(op);
  if (!product || graph::shapeOf(product.getRhs()).size() == 2) return 0;
  return int64_t(graph::shapeOf(product.getResult()).size()) - 2;
}

std::optional<ProductEpilogue> productEpilogue(const Clusters &clusters, const Cluster &cluster,
                                               ArrayRef<Value> outputs) {
  Value product = cluster.product->getResult(0);
  LoopsBuilder builder(clusters, &cluster, outputs.back().getLoc(), cluster.domain);
  builder.takeAsInput(product);
  for (Value output : outputs) {
    auto shape = graph::shapeOf(output);
    Value scalar = builder.evaluate(output, identityMap(shape.size()));
    builder.yield(scalar, builder.addResult(graph::tensorType(output)), 0, rowMajorStridesOf(shape));
  }
  int64_t rank = cluster.domain.size(), batch = numBatchDims(cluster.product);
  return builder.finishProduct({batch, rank - 1 - batch, 1});
}

} // namespace weft
