#include "passes/codegen/cpu/attention_heuristics.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
namespace weft::cpu {

// A chunk of keys, whose packed form and sums a thread keeps in its second-level cache: queries are packed,
// and dq read and written, once for each. More keys than this were no faster.
constexpr int64_t kChunkKeys = 256, kChunkBytes = 512 << 10;

// Positive, also where the op's is not and compiling it will say so.
static int64_t keyBlock(kernel::AttentionOp op) {
  return std::max<int64_t>(op.getReduction()->getKeyBlock(), 1);
}

static int64_t chunkKeys(kernel::AttentionOp op) {
  int64_t width = op.getSizes()[5], valueWidth = op.getSizes()[6], block = keyBlock(op);
  Type factor = cast<RankedTensorType>(op.getInputs()[0].getType()).getElementType();
  // Of a key: kᵀ, k and vᵀ, and the sums dkᵀ and dvᵀ.
  int64_t bytes = (2 * width + valueWidth) * (factor.getIntOrFloatBitWidth() / 8) + (width + valueWidth) * 4;
  return std::max(std::min(kChunkKeys, kChunkBytes / bytes) / block, int64_t(1)) * block;
}

kernel::ScheduleAttr scheduleAttention(kernel::AttentionOp op, int64_t threads) {
  using kernel::AttentionKind;
  auto sizes = op.getSizes(); // B, T, S, H, G, D, E
  int64_t rows = std::max<int64_t>(sizes[1], 1), block = keyBlock(op);
  // Forward packs keys for each tile anew, backward a tile for each chunk.
  int64_t tall = op.getKind() == AttentionKind::forward ? 128 : 64;
  int64_t tile = std::min<int64_t>(tall, rows < 4 ? rows : llvm::alignTo(rows, 4)), chunk = 0;
  bool ownsRows = op.getKind() == AttentionKind::forward || op.getKind() == AttentionKind::grad_query;
  auto items = [&] { return sizes[0] * sizes[3] * int64_t(llvm::divideCeil(rows, tile)); };
  while (ownsRows && tile > 16 && items() < 4 * threads) tile /= 2;
  // Some threads would have nothing to do: packing keys once more is less than waiting for one of them.
  while (op.getKind() == AttentionKind::forward && tile > 8 && items() < threads) tile /= 2;
  if (op.getKind() != AttentionKind::forward) {
    chunk = chunkKeys(op);
    auto chunks = [&] { return sizes[0] * sizes[4] * int64_t(llvm::divideCeil(sizes[2], chunk)); };
    while (op.getKind() == AttentionKind::grad_key_value && chunk > block && chunks() < 4 * threads)
      chunk = std::max(chunk / block / 2, int64_t(1)) * block;
  }
  return kernel::ScheduleAttr::get(op.getContext(), tile, chunk, 0, 0, 0);
}

bool isOneKernelBetter(kernel::AttentionOp op, int64_t threads) {
  // Five products by whole (batch, key head) pairs beside seven by tiles: the last round of the former may be
  // short of work.
  int64_t items = op.getSizes()[0] * op.getSizes()[4];
  int64_t rounds = llvm::divideCeil(std::max<int64_t>(items, 1), threads);
  return 5 * rounds * threads <= 7 * items;
}

SmallVector<kernel::AttentionOp> splitBackward(kernel::AttentionOp op) {
  using kernel::AttentionKind;
  SmallVector<kernel::AttentionOp> parts;
  OpBuilder b(op);
  auto part = [&](AttentionKind kind, int64_t first, int64_t count) {
    ResultRange results = op.getResults().slice(first, count);
    if (llvm::all_of(results, [](Value v) { return v.use_empty(); })) return;
    auto accesses = b.getArrayAttr(op.getOutputAccess().getValue().slice(first, count));
    parts.push_back(b.create<kernel::AttentionOp>(
        op.getLoc(), results.getTypes(), kernel::AttentionKindAttr::get(b.getContext(), kind), op.getInputs(),
        op.getSizesAttr(), op.getInputAccessAttr(), accesses, op.getScaleAttr(), op.getReductionAttr(),
        op.getScheduleAttr()));
    for (auto [from, to] : llvm::zip(results, parts.back().getResults())) from.replaceAllUsesWith(to);
  };
  part(AttentionKind::grad_query, 0, 1);
  part(AttentionKind::grad_key_value, 1, 2);
  op.erase();
  return parts;
}

} // namespace weft::cpu
