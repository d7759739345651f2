#include "passes/program/kernel_work.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/codegen/cpu/matmul_heuristics.h"
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

int64_t instructionsOf(Block &body) {
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

static int64_t lanesOfMatmul(kernel::MatmulOp op, ArrayRef<int64_t> s) {
  const int64_t groups = op.getGroups() ? std::max<int64_t>(1, s[0]) : 1;
  const int64_t batch = s[0] / groups, m = s[1], n = s[2], k = s[3]; // a row has one group
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
  return int64_t(batch * lanes);
}

static int64_t flopsOf(kernel::MatmulOp op) {
  ArrayRef<int64_t> s = op.getSizes();
  const int64_t groups = op.getGroups() ? std::max<int64_t>(1, s[0]) : 1;
  return 2 * (s[0] / groups) * s[1] * s[2] * s[3];
}

// Of attention: s has B, T, S, H, G, D, E.
static int64_t pairsOf(ArrayRef<int64_t> s) { return s[0] * s[1] * s[2] * s[3]; }

static int64_t flopsOf(kernel::AttentionOp op) {
  const int64_t d = op.getSizes()[5], e = op.getSizes()[6];
  int64_t depth = 0; // of the products of a query and a key
  switch (op.getKind()) {
  case kernel::AttentionKind::forward:
    depth = d + e;
    break;
  case kernel::AttentionKind::backward:
    depth = 3 * d + 2 * e;
    break;
  case kernel::AttentionKind::grad_query:
    depth = 2 * d + e;
    break;
  case kernel::AttentionKind::grad_key_value:
    depth = 2 * d + 2 * e;
    break;
  }
  return 2 * pairsOf(op.getSizes()) * depth;
}

int64_t vectorOpsOf(Operation *op, ArrayRef<int64_t> sizes) {
  if (auto loops = dyn_cast<kernel::LoopsOp>(op))
    return product(sizes) * instructionsOf(loops.getBody().front());
  if (auto matmul = dyn_cast<kernel::MatmulOp>(op)) return lanesOfMatmul(matmul, sizes);
  if (isa<kernel::SortOp>(op)) return sizes[0] * sizes[1] * 64; // one choice at a time, three times
  return pairsOf(sizes) * 28; // exp, the maximum or difference, scaling, rounding
}

KernelWork workOf(Operation *op) {
  ArrayRef<int64_t> own = kernel::sizesOf(op);
  KernelWork work;
  if (auto loops = dyn_cast<kernel::LoopsOp>(op))
    work.flops = product(own) * int64_t(loops.getBody().front().getOperations().size() - 1);
  else if (auto matmul = dyn_cast<kernel::MatmulOp>(op))
    work.flops = flopsOf(matmul);
  else if (isa<kernel::SortOp>(op))
    work.flops = own[0] * own[1];
  else
    work.flops = flopsOf(cast<kernel::AttentionOp>(op));
  work.bytes = bytesOf(op);
  work.vectorOps = vectorOpsOf(op, own);
  return work;
}

} // namespace weft
