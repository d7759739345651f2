// Where things lie in a thread's scratch.
#include "passes/codegen/cpu/attention_blocks.h"

#include "llvm/Support/MathExtras.h"

#include <numeric>

using namespace mlir;
namespace weft::cpu {

// Rows that go through a product while a tile of rhs is in the first level.
constexpr int64_t kStripRows = 16;

// The rows and vectors of a group that ask for the fewest loads a product; powers of two, so that tiles and
// blocks are whole groups. Of `tileRows` query rows that there are, as in decode, no more than these.
static MatmulTile groupFor(UnitFacts unit, const CpuLevel &level, int64_t tileRows) {
  if (unit.kind == UnitKind::amx) return {2 * kAmxRows, 2};
  MatmulTile best{1, 1};
  auto loads = [](MatmulTile t) { return double(t.rows + t.vectors) / double(t.rows * t.vectors); };
  for (int64_t vectors : {4, 2, 1})
    for (int64_t rows : {8, 4, 2, 1}) {
      if (rows > 1 && rows / 2 >= tileRows) continue;
      MatmulTile t{rows, vectors};
      if (level.registersPerLanes() * unit.vectorsFor(t) + 2 <= level.vectorRegisters &&
          loads(t) < loads(best))
        best = t;
    }
  return best;
}

int64_t AttentionPlan::padded(int64_t elements) const { return llvm::alignTo(elements, unit.kMultiple); }

Panel AttentionPlan::panelOf(int64_t columns, int64_t k) const {
  Panel panel;
  int64_t vectors = llvm::divideCeil(columns, kLanes);
  panel.vectors = std::min(group.vectors, vectors);
  if (unit.kind == UnitKind::amx) panel.vectors = group.vectors;
  panel.columns = llvm::alignTo(columns, panel.tileColumns());
  panel.steps = padded(k) / unit.pack;
  return panel;
}

int64_t AttentionPlan::place(int64_t bytes) {
  int64_t offset = scratchBytes;
  scratchBytes += llvm::alignTo(bytes, 64);
  return offset;
}

Panel AttentionPlan::panel(int64_t columns, int64_t k, int64_t copies) {
  Panel p = panelOf(columns, k);
  p.offset = place(copies * p.size() * 4);
  return p;
}

Panel AttentionPlan::pairsOf(int64_t columns) const {
  Panel panel;
  panel.columns = llvm::alignTo(columns, kLanes);
  panel.vectors = panel.columns / kLanes;
  panel.steps = padded(tile) / 2;
  return panel;
}

int64_t AttentionPlan::sumRows(int64_t columns) const {
  return std::max(llvm::alignTo(columns, kLanes), llvm::alignTo(columns, piece().rows));
}

AttentionPlan::AttentionPlan(kernel::AttentionOp op, const CpuLevel &level)
    : unit(unitFacts(op.getReduction()->getUnit(), level)),
      group(groupFor(unit, level, op.getSchedule()->getTileM())) {
  width = op.getSizes()[5];
  valueWidth = op.getSizes()[6];
  keyBlock = op.getReduction()->getKeyBlock();
  tile = op.getSchedule()->getTileM();
  chunkBlocks = keyBlock > 0 ? op.getSchedule()->getTileN() / keyBlock : 0;
  op.getKind() == kernel::AttentionKind::forward ? placeForward() : placeBackward();
  amxConfig = place(unit.kind == UnitKind::amx ? 64 : 0);
}

// kStripRows, or the tile's rows where these are fewer, filled up to whole units.
int64_t AttentionPlan::stripOf(int64_t unit) const { return llvm::alignTo(std::min(kStripRows, tile), unit); }

void AttentionPlan::placeForward() {
  strip = stripOf(group.rows);
  int64_t rows = llvm::alignTo(tile, 32) + group.rows - 1;
  begins = place(rows * 8);
  ends = place(rows * 8);
  maxima = place(rows * 4);
  sums = place(rows * 4);
  nextMaxima = place(strip * 4);
  factors = place(strip * 4);
  queries = place(rows * rowBytes(width));
  keysT = panel(keyBlock, width);
  scores = place(strip * keysT.columns * 4);
  p = place(strip * rowBytes(keyBlock));
  values = panel(valueWidth, keyBlock);
  acc = place(rows * accWidth(valueWidth) * 4);
}

void AttentionPlan::placeBackward() {
  // A tile begins with a group of k: those of dk and dv are counted from the run's first query.
  tile = llvm::alignTo(tile, unit.kMultiple);
  stripUnit = std::lcm(piece().rows, unit.kMultiple);
  strip = stripOf(stripUnit);
  int64_t rows = tile + strip;
  ends = place(rows * 8);
  lses = place(rows * 4);
  deltas = place(rows * 4);
  queries = place(rows * rowBytes(width));
  douts = place(rows * rowBytes(valueWidth));
  scores = place(strip * panelOf(keyBlock, 0).columns * 4);
  grads = place(strip * panelOf(keyBlock, 0).columns * 4);
  factorPanel = panelOf(keyBlock, rows);
  factorPanel.byRows = true;
  p = place(factorPanel.size() * 4);
  ds = place(factorPanel.size() * 4);
  dsRows = unit.pack == 2 ? place(rows * rowBytes(keyBlock)) : ds;
  queriesT = queries;
  doutsT = douts;
  if (unit.pack == 2) {
    bool amx = unit.kind == UnitKind::amx;
    pairs = amx ? place(pairsOf(std::max(width, valueWidth)).size() * 4) : 0;
    auto lhs = [&](int64_t columns) {
      if (amx) return place(llvm::alignTo(columns, group.rows) * rowBytes(tile));
      // Rows come in groups, the last of which may read past the last step.
      return place((pairsOf(columns).size() + piece().rows) * 4);
    };
    queriesT = lhs(width);
    doutsT = lhs(valueWidth);
  }
  acc = place(rows * accWidth(width) * 4);
  keysT = panel(keyBlock, width, chunkBlocks);
  valuesT = panel(keyBlock, valueWidth, chunkBlocks);
  keys = panel(width, keyBlock, chunkBlocks);
  keySums = place(chunkBlocks * sumRows(width) * keysT.columns * 4);
  valueSums = place(chunkBlocks * sumRows(valueWidth) * keysT.columns * 4);
}

} // namespace weft::cpu
