#include "passes/codegen/cpu/schedule_candidates.h"

#include "passes/codegen/cpu/matmul_heuristics.h"
#include "passes/codegen/cpu/matmul_plan.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <map>
#include <set>

using namespace mlir;
namespace weft::cpu {

std::string scheduleProblem(Operation *op) {
  auto s = op->getAttrOfType<kernel::ScheduleAttr>("schedule");
  if (!s) return "it has no schedule";
  auto problem = [](const char *name, int64_t got, const std::string &wanted) {
    return std::string(name) + " is " + std::to_string(got) + " when it should be " + wanted;
  };
  auto within = [&](const char *name, int64_t value, int64_t least, int64_t most,
                    int64_t unit) -> std::string {
    if (value >= least && value <= most && value % unit == 0) return "";
    return problem(name, value,
                   (unit > 1 ? "a multiple of " + std::to_string(unit) + ", " : std::string()) +
                       std::to_string(least) + " to " + std::to_string(most));
  };
  auto first = [](std::initializer_list<std::string> all) {
    for (const std::string &text : all)
      if (!text.empty()) return text;
    return std::string();
  };
  if (auto loops = dyn_cast<kernel::LoopsOp>(op)) {
    if (loops.getReduceDims() == 0 && kernel::hasRowReduction(loops)) return "";
    return first(
        {within("block_n", s.getBlockN(), 16, 1 << 20, 16), within("block_m", s.getBlockM(), 0, 1 << 20, 1)});
  }
  if (auto matmul = dyn_cast<kernel::MatmulOp>(op)) {
    bool bf16 = cast<RankedTensorType>(matmul.getLhs().getType()).getElementType().isBF16();
    int64_t columns = std::max<int64_t>(s.getTileN(), 16);
    return first({within("tile_m", s.getTileM(), 1, 16, 1), within("tile_n", s.getTileN(), 16, 48, 16),
                  s.getBlockM() <= kFewRows
                      ? within("block_m", s.getBlockM(), 8, kFewRows, 8)
                      : within("block_m", s.getBlockM(), bf16 ? 96 : 24, 1 << 14, bf16 ? 96 : 24),
                  within("block_n", s.getBlockN(), columns, 1 << 14, matmul.getPackedRhs() ? 32 : columns),
                  within("block_k", s.getBlockK(), bf16 ? 32 : 8, 1 << 20, bf16 ? 32 : 8)});
  }
  if (auto attention = dyn_cast<kernel::AttentionOp>(op)) {
    int64_t block =
        attention.getReduction() ? std::max<int64_t>(attention.getReduction()->getKeyBlock(), 1) : 1;
    return first({within("tile_m", s.getTileM(), 1, 512, 1),
                  attention.getKind() == kernel::AttentionKind::forward
                      ? std::string()
                      : within("tile_n", s.getTileN(), block, 1 << 14, block)});
  }
  return "";
}

namespace {

using kernel::ScheduleAttr;

ScheduleAttr make(ScheduleAttr like, int64_t tileM, int64_t tileN, int64_t blockM, int64_t blockN,
                  int64_t blockK) {
  return ScheduleAttr::get(like.getContext(), tileM, tileN, blockM, blockN, blockK);
}

// The least multiple of `unit` that cuts `size` into as few equal blocks as blocks of `about` would.
int64_t even(int64_t size, int64_t about, int64_t unit) {
  int64_t blocks = std::max<int64_t>(1, llvm::divideCeil(size, std::max(about, unit)));
  return std::max<int64_t>(unit, llvm::alignTo(llvm::divideCeil(std::max<int64_t>(size, 1), blocks), unit));
}

std::vector<std::pair<int64_t, int64_t>> combinationsOf(const std::set<int64_t> &a,
                                                        const std::set<int64_t> &b) {
  std::vector<std::pair<int64_t, int64_t>> out;
  for (int64_t x : a)
    for (int64_t y : b) out.emplace_back(x, y);
  return out;
}

double apart(int64_t a, int64_t b) { return std::fabs(std::log2(double(a) / double(b))); }

void addMatmuls(kernel::MatmulOp op, ArrayRef<int64_t> sizes, int64_t threads,
                SmallVectorImpl<ScheduleAttr> &out) {
  const MatmulShape shape = matmulShape(op, sizes);
  const ScheduleAttr own = *op.getSchedule();
  const bool bf16 = shape.elementBytes == 2;
  const int64_t unitM = bf16 ? 96 : 24, unitK = bf16 ? 32 : 8;
  std::set<std::pair<int64_t, int64_t>> tiles = {{own.getTileM(), own.getTileN()}};
  if (shape.m > 1)
    for (auto tile :
         {std::pair<int64_t, int64_t>{12, 32}, {8, 48}, {8, 32}, {6, 48}, {6, 32}, {4, 48}, {14, 16}})
      if (!shape.packedRhs || tile.second == kernel::kPanelColumns) tiles.insert(tile);
  std::set<int64_t> rows = {own.getBlockM()}, depths = {own.getBlockK()};
  for (int64_t about : {24, 48, 96, 192, 384})
    if (about % unitM == 0) rows.insert(even(shape.m, about, unitM));
  for (int64_t about : {64, 96, 128, 192, 256, 384, 512, 768, 1024})
    depths.insert(even(shape.k, about, unitK));
  std::vector<std::pair<double, ScheduleAttr>> all;
  for (auto [tileM, tileN] : tiles)
    for (auto [blockM, blockK] : combinationsOf(rows, depths)) {
      std::set<int64_t> widths;
      const int64_t unitN = shape.packedRhs ? kernel::kPanelColumns : tileN;
      for (int64_t about : {32, 64, 128, 192, 256, 384, 512, 768, 1024, 2048})
        widths.insert(even(shape.n, about, unitN));
      for (int64_t parts = 1; parts <= 2 * threads; ++parts)
        widths.insert(even(shape.n, llvm::divideCeil(shape.n, parts), unitN));
      for (int64_t blockN : widths) {
        ScheduleAttr s = make(own, tileM, tileN, blockM, blockN, blockK);
        all.emplace_back(estimateMatmulCycles(shape, s, threads), s);
      }
    }
  llvm::stable_sort(all, [](auto &a, auto &b) { return a.first < b.first; });
  // The best, no two of which are nearly the same, and few of a tile: the model knows blocks better than it
  // knows tiles.
  std::map<std::pair<int64_t, int64_t>, int> ofTile;
  for (auto &[cycles, s] : all) {
    if (int64_t(out.size()) >= kMostCandidates || cycles > 1.5 * all.front().first) break;
    int &count = ofTile[{s.getTileM(), s.getTileN()}];
    bool near = count >= 7 || llvm::any_of(out, [&, &s = s](ScheduleAttr o) {
                  return o.getTileM() == s.getTileM() && o.getTileN() == s.getTileN() &&
                         apart(o.getBlockM(), s.getBlockM()) + apart(o.getBlockN(), s.getBlockN()) +
                                 apart(o.getBlockK(), s.getBlockK()) <
                             0.7;
                });
    if (near) continue;
    ++count;
    out.push_back(s);
  }
}

void addLoops(kernel::LoopsOp op, ArrayRef<int64_t> sizes, int64_t threads,
              SmallVectorImpl<ScheduleAttr> &out) {
  const ScheduleAttr own = *op.getSchedule();
  const bool sums = op.getReduceDims() > 0;
  if (!sums && kernel::hasRowReduction(op)) return;
  const int64_t columns = llvm::alignTo(std::max<int64_t>(sizes.back(), 1), 16);
  std::set<int64_t> widths;
  if (!sums) {
    for (int64_t w = 64; w <= 16384; w *= 2) widths.insert(std::min(w, columns));
    for (int64_t width : widths) out.push_back(make(own, 0, 0, own.getBlockM(), width, 0));
    return;
  }
  widths = {64, std::min<int64_t>(256, columns), std::min<int64_t>(1024, columns),
            int64_t(llvm::alignTo(llvm::divideCeil(columns, threads), 16))};
  for (int64_t rows : {int64_t(0), int64_t(8), int64_t(16), int64_t(32), int64_t(64), int64_t(256)})
    for (int64_t width : widths) out.push_back(make(own, 0, 0, rows, width, 0));
}

void addAttention(kernel::AttentionOp op, ArrayRef<int64_t> sizes, SmallVectorImpl<ScheduleAttr> &out) {
  const ScheduleAttr own = *op.getSchedule();
  const int64_t rows = std::max<int64_t>(sizes[1], 1),
                most = rows < 4 ? rows : int64_t(llvm::alignTo(rows, 4)),
                block = op.getReduction() ? std::max<int64_t>(op.getReduction()->getKeyBlock(), 1) : 1;
  const bool forward = op.getKind() == kernel::AttentionKind::forward;
  std::set<int64_t> chunks = {own.getTileN()};
  if (!forward)
    for (int64_t about : {64, 128, 256, 512}) chunks.insert(std::max<int64_t>(about / block, 1) * block);
  for (int64_t tile : {8, 16, 32, 48, 64, 96, 128, 192, 256})
    for (int64_t chunk : chunks) out.push_back(make(own, std::min(tile, most), chunk, 0, 0, 0));
}

// What tells a schedule's code and work items from another's at the level: registers may hold less than a
// tile asks for.
SmallVector<int64_t> signatureOf(Operation *op, ScheduleAttr s, ArrayRef<int64_t> sizes,
                                 const CpuLevel &level) {
  SmallVector<int64_t> out = {s.getTileM(), s.getTileN(), s.getBlockM(), s.getBlockN(), s.getBlockK()};
  if (auto matmul = dyn_cast<kernel::MatmulOp>(op)) {
    const MatmulPlan plan = planMatmul(matmul, level);
    auto whole = [](int64_t block, int64_t size) { return block >= size ? INT64_MAX : block; };
    return {plan.tile.rows, plan.tile.vectors, whole(plan.blockM, sizes[1]), whole(plan.blockN, sizes[2]),
            plan.blockK >= sizes[3] ? INT64_MAX : plan.blockK};
  }
  return out;
}

} // namespace

SmallVector<kernel::ScheduleAttr> scheduleCandidates(Operation *op, ArrayRef<int64_t> sizes, int64_t threads,
                                                     const CpuLevel &level) {
  auto own = op->getAttrOfType<ScheduleAttr>("schedule");
  SmallVector<ScheduleAttr> found, out;
  if (!own) return out;
  found.push_back(own);
  const bool empty = llvm::any_of(sizes, [](int64_t size) { return size <= 0; });
  if (auto loops = dyn_cast<kernel::LoopsOp>(op); loops && !empty)
    addLoops(loops, sizes, threads, found);
  else if (auto matmul = dyn_cast<kernel::MatmulOp>(op); matmul && !empty)
    addMatmuls(matmul, sizes, threads, found);
  else if (auto attention = dyn_cast<kernel::AttentionOp>(op); attention && !empty)
    addAttention(attention, sizes, found);
  std::set<SmallVector<int64_t>> seen;
  for (ScheduleAttr s : found) {
    op->setAttr("schedule", s);
    if (int64_t(out.size()) < kMostCandidates && (s == own || scheduleProblem(op).empty()) &&
        seen.insert(signatureOf(op, s, sizes, level)).second)
      out.push_back(s);
  }
  op->setAttr("schedule", own);
  return out;
}

} // namespace weft::cpu
