#include "passes/codegen/cpu/loops.h"

#include "passes/codegen/cpu/loops_plan.h"

using namespace mlir;
namespace weft::cpu {

LogicalResult emitLoops(kernel::LoopsOp op, KernelFrame &frame) {
  LoopsBody body(op, frame);
  if (failed(body.check())) return failure();
  int64_t lanes = op.getReduction() ? op.getReduction()->getLanes() : 0;
  if (body.numReducePasses() > 0 && lanes != kLanes)
    return op.emitOpError() << "reduces rows in " << lanes << " lanes when the CPU's row reductions have "
                            << kLanes;
  if (op.getReduceDims() == 0) return emitRows(body);
  for (size_t i = 0; i < body.yields().size(); ++i)
    if (frame.layout.accesses[body.outputAccess(i)].getIndex() >= 0) return emitScatter(body);
  return emitColumns(body);
}

} // namespace weft::cpu
