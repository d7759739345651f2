#include "passes/program/kernel_work.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
namespace weft {

// Instructions of the code that passes/codegen/cpu/vector_math.cpp makes; a division's take the unit for as
// long as ten additions.
static int64_t instructionsOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, int64_t>(op)
      .Case<math::ExpOp>([](auto) { return 16; })
      .Case<math::LogOp>([](auto) { return 24; })
      .Case<math::TanhOp>([](auto) { return 36; })
      .Case<math::SinOp, math::CosOp>([](auto) { return 32; })
      .Case<math::PowFOp>([](auto) { return 80; })
      .Case<arith::DivFOp, math::SqrtOp, math::RsqrtOp>([](auto) { return 10; })
      .Case<arith::DivSIOp, arith::RemSIOp>([](auto) { return 40; })
      .Case<arith::ConstantOp, kernel::IndexOp, kernel::YieldOp>([](auto) { return 0; })
      .Default([](Operation *) { return 1; });
}

// Of one point: its operations, a load an argument, a store a value.
static int64_t instructionsOf(Block &body) {
  int64_t count = body.getNumArguments() + body.getTerminator()->getNumOperands();
  for (Operation &op : body) count += instructionsOf(&op);
  return count;
}

static int64_t product(ArrayRef<int64_t> sizes) {
  int64_t count = 1;
  for (int64_t size : sizes) count *= size;
  return count;
}

static int64_t bytesOf(Operation *op) {
  kernel::SizeLayout layout(op);
  int64_t bytes = 0;
  for (auto [i, a] : llvm::enumerate(layout.accesses)) {
    int64_t bits = cast<RankedTensorType>(kernel::accessedValue(op, i).getType()).getElementTypeBitWidth();
    int64_t touched = 1;
    auto matmul = dyn_cast<kernel::MatmulOp>(op);
    const bool factor = matmul && i < 2; // indexed along the rows of another access
    ArrayRef<int64_t> index;             // what it is indexed by varies along the same dimensions
    if (a.getIndex() >= 0 && !factor) index = layout.accesses[a.getIndex()].getStrides();
    if (a.getIndex() >= 0 && factor) touched = kernel::accessSpace(op, matmul.rowsNumber())[0];
    for (auto [d, size] : llvm::enumerate(kernel::accessSpace(op, i)))
      if (a.getStrides()[d] || (!index.empty() && index[d])) touched *= size;
    bytes += touched * std::max<int64_t>(1, bits / 8);
  }
  return bytes;
}

// Lanes' work to pack an element: copied where it lies along the panel's rows, else through a transpose; two
// bf16 share a lane.
static double packing(Type element, bool along) {
  double lane = along ? 2 : 6;
  return element.isBF16() ? lane * 0.75 : lane;
}

static KernelWork ofMatmul(kernel::MatmulOp op) {
  ArrayRef<int64_t> s = op.getSizes();
  const int64_t groups = op.getGroups() ? std::max<int64_t>(1, s[0]) : 1;
  const int64_t batch = s[0] / groups, m = s[1], n = s[2], k = s[3]; // a row has one group
  KernelWork work;
  work.flops = 2 * batch * m * n * k;
  auto element = cast<RankedTensorType>(op.getLhs().getType()).getElementType();
  const bool byK = op.getGroups() && op.getGrouped() == kernel::GroupedBy::k;
  double lanes = 0;
  if (auto schedule = op.getSchedule(); schedule && schedule->getBlockN() > 0 && schedule->getBlockK() > 0) {
    const int64_t nBlocks = llvm::divideCeil(n, schedule->getBlockN()),
                  kBlocks =
                      llvm::divideCeil(std::max<int64_t>(byK ? k / groups : k, 1), schedule->getBlockK());
    lanes += double(nBlocks) * m * k * packing(element, op.getLhsAccess().getStrides()[1] == 1);
    if (!op.getPackedRhs())
      lanes += double(byK ? 1 : groups) * n * k * packing(element, op.getRhsAccess().getStrides()[2] == 1);
    lanes += 2.0 * (kBlocks - 1) * m * n * (byK ? groups : 1); // partial sums
  }
  lanes += double(m) * n * (byK ? groups : 1) * instructionsOf(op.getBody().front());
  work.vectorOps = int64_t(batch * lanes);
  return work;
}

static KernelWork ofAttention(kernel::AttentionOp op) {
  enum { B, T, S, H, G, D, E };
  ArrayRef<int64_t> s = op.getSizes();
  const int64_t pairs = s[B] * s[T] * s[S] * s[H];
  // Products a pair of a query and a key, by their depth; exp, the maximum or difference, scaling, rounding.
  int64_t depth = 0, softmax = 28;
  switch (op.getKind()) {
  case kernel::AttentionKind::forward:
    depth = s[D] + s[E];
    break;
  case kernel::AttentionKind::backward:
    depth = 3 * s[D] + 2 * s[E];
    break;
  case kernel::AttentionKind::grad_query:
    depth = 2 * s[D] + s[E];
    break;
  case kernel::AttentionKind::grad_key_value:
    depth = 2 * s[D] + 2 * s[E];
    break;
  }
  return {.flops = 2 * pairs * depth, .vectorOps = pairs * softmax};
}

KernelWork workOf(Operation *op) {
  ArrayRef<int64_t> own = kernel::sizesOf(op);
  KernelWork work;
  if (auto loops = dyn_cast<kernel::LoopsOp>(op)) {
    Block &body = loops.getBody().front();
    work.flops = product(own) * int64_t(body.getOperations().size() - 1);
    work.vectorOps = product(own) * instructionsOf(body);
  } else if (auto matmul = dyn_cast<kernel::MatmulOp>(op)) {
    work = ofMatmul(matmul);
  } else if (isa<kernel::SortOp>(op)) {
    work.flops = own[0] * own[1];
    work.vectorOps = work.flops * 64; // one choice at a time, three times
  } else {
    work = ofAttention(cast<kernel::AttentionOp>(op));
  }
  work.bytes = bytesOf(op);
  return work;
}

} // namespace weft
