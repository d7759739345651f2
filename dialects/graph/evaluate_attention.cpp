// Reference evaluation of attention and its gradients.
#include "dialects/graph/graph.h"
#include "dialects/graph/host_attention.h"

using namespace mlir;
namespace weft::graph {

using Operands = ArrayRef<const HostTensor *>;
using Results = MutableArrayRef<HostTensor>;

template <class Op> static HostAttention attentionOf(Op op, Operands x) {
  return {*x[0], *x[1], *x[2], *x[3], *x[4], op.getScale().convertToDouble()};
}
LogicalResult AttentionOp::evaluate(Operands x, Results y) {
  attentionOf(*this, x).forward(y[0], y[1]);
  return success();
}
LogicalResult AttentionGradQueryOp::evaluate(Operands x, Results y) {
  attentionOf(*this, x).gradQuery(*x[5], *x[6], *x[7], y[0]);
  return success();
}
LogicalResult AttentionGradKeyValueOp::evaluate(Operands x, Results y) {
  attentionOf(*this, x).gradKeyValue(*x[5], *x[6], *x[7], y[0], y[1]);
  return success();
}

} // namespace weft::graph
