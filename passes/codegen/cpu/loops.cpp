#include "passes/codegen/cpu/loops.h"

#include "passes/codegen/cpu/loops_plan.h"

using namespace mlir;
namespace weft::cpu {

LogicalResult emitLoops(kernel::LoopsOp op, KernelFrame &frame) {
  LoopsBody body(op, frame);
  if (failed(body.check())) return failure();
  if (op.getReduceDims() == 0) return emitRows(body);
  for (size_t i = 0; i < body.yields().size(); ++i)
    if (frame.layout.accesses[body.outputAccess(i)].getIndex() >= 0) return emitScatter(body);
  return emitColumns(body);
}

} // namespace weft::cpu
