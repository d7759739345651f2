// Reference evaluation of attention and its gradient.
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
LogicalResult AttentionGradOp::evaluate(Operands x, Results y) {
  attentionOf(*this, x).backward(*x[5], *x[6], *x[7], y[0], y[1], y[2]);
  return success();
}

} // namespace weft::graph
