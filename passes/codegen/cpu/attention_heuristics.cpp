#include "passes/codegen/cpu/attention_heuristics.h"

#include "llvm/Support/MathExtras.h"

namespace weft::cpu {

kernel::ScheduleAttr scheduleAttention(kernel::AttentionOp op, int64_t threads) {
  auto sizes = op.getSizes(); // B, T, S, H, G, D, E
  int64_t rows = std::max<int64_t>(sizes[1], 1);
  int64_t tile = std::min<int64_t>(64, rows < 4 ? rows : llvm::alignTo(rows, 4));
  auto items = [&] { return sizes[0] * sizes[3] * int64_t(llvm::divideCeil(rows, tile)); };
  // The gradient of keys and values is cut by keys: its tile is only how many queries wait in scratch.
  while (op.getKind() != kernel::AttentionKind::grad_key_value && tile > 16 && items() < 4 * threads)
    tile /= 2;
  return kernel::ScheduleAttr::get(op.getContext(), tile, 0, 0, 0, 0, 0);
}

} // namespace weft::cpu
