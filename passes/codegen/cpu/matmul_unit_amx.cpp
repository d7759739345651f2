#include "passes/codegen/cpu/matmul_units.h"

using namespace mlir;
namespace weft::cpu {

// Tile registers: sums (row tile r, column tile c) at 2 r + c, then lhs, then rhs.
constexpr int64_t kLhsTile = 4, kRhsTile = 6;

static void call(Builder &b, StringRef name, ValueRange args) {
  b.create<LLVM::CallIntrinsicOp>(TypeRange(), ("llvm.x86." + name).str(), args);
}
static Value tileNumber(Builder &b, int64_t tile) { return b.create<arith::ConstantIntOp>(tile, 8); }
static void load(Builder &b, int64_t tile, Value pointer, Value strideBytes) {
  call(b, "tileloadd64", {tileNumber(b, tile), pointer, strideBytes});
}
// What is read once a tile of lhs: it need not push others out of the first level.
static void loadStreamed(Builder &b, int64_t tile, Value pointer, Value strideBytes) {
  call(b, "tileloaddt164", {tileNumber(b, tile), pointer, strideBytes});
}

// The configuration (Intel's manual, volume 1, 18.2): palette 1; for each of eight tiles 64 bytes a row, as
// u16 from byte 16 on (16 sums, or 32 bf16), and 16 rows, as u8 from byte 48 on.
void beginAmx(Builder &b, Value scratch) {
  constexpr int32_t words[kLanes] = {1, 0, 0, 0, 0x400040,   0x400040,   0x400040, 0x400040,
                                     0, 0, 0, 0, 0x10101010, 0x10101010, 0,        0};
  Value configuration =
      b.create<arith::ConstantOp>(DenseElementsAttr::get(laneType(b.getI32Type()), ArrayRef<int32_t>(words)));
  storeLanes(b, scratch, configuration);
  call(b, "ldtilecfg", scratch);
}
void endAmx(Builder &b) { call(b, "tilerelease", {}); }

Values AmxUnit::zero() {
  for (int64_t t = 0; t < tileRows() * tile.vectors; ++t)
    call(b, "tilezero", tileNumber(b, t / tile.vectors * 2 + t % tile.vectors));
  return {};
}

void AmxUnit::forTiles(const TileAddress &at, llvm::function_ref<void(int64_t, Value)> f) {
  for (int64_t r = 0; r < tileRows(); ++r) {
    Value row = elementAddress(b, at.pointer, mulI64(b, at.rowStride, r * kAmxRows), sum);
    for (int64_t c = 0; c < tile.vectors; ++c)
      f(2 * r + c, elementAddress(b, row, constantI64(b, c * kLanes), sum));
  }
}

Values AmxUnit::loadAcc(const TileAddress &from) {
  Value stride = mulI64(b, from.rowStride, 4);
  forTiles(from, [&](int64_t t, Value pointer) { load(b, t, pointer, stride); });
  return {};
}

void AmxUnit::storeAcc(const TileAddress &to, ValueRange) {
  Value stride = mulI64(b, to.rowStride, 4);
  forTiles(to, [&](int64_t t, Value pointer) {
    call(b, "tilestored64", {tileNumber(b, t), pointer, stride});
  });
}

// Tiles of 16 rows are not streamed (matmul_plan.cpp): of up to 16 rows each panel is read once, front to
// back.
Values AmxUnit::chain(ValueRange, const LhsAddress &lhs, const PanelAddress &panel, const Ahead &,
                      Value count) {
  Value lhsStride = constantI64(b, lhs.rowStride), rhsStride = mulI64(b, panel.stride, 4);
  forLoop(b, 0, count, kLanes, [&](Value k) {
    Value left = elementAddress(b, lhs.pointer, mulI64(b, k, 4), b.getI8Type());
    Value right = elementAddress(b, panel.pointer, mulI64(b, k, panel.stride), b.getI32Type());
    auto dot = [&](int64_t r, int64_t c) {
      call(b, "tdpbf16ps",
           {tileNumber(b, 2 * r + c), tileNumber(b, kLhsTile + r), tileNumber(b, kRhsTile + c)});
    };
    auto loadLhs = [&](int64_t r) {
      load(b, kLhsTile + r,
           elementAddress(b, left, constantI64(b, r * kAmxRows * lhs.rowStride), b.getI8Type()), lhsStride);
    };
    auto loadRhs = [&](int64_t c) {
      loadStreamed(b, kRhsTile + c, elementAddress(b, right, constantI64(b, c * kLanes), b.getI32Type()),
                   rhsStride);
    };
    // Products as soon as their operands are there.
    loadLhs(0);
    loadRhs(0);
    dot(0, 0);
    if (tileRows() > 1) {
      loadLhs(1);
      dot(1, 0);
    }
    if (tile.vectors > 1) {
      loadRhs(1);
      dot(0, 1);
      if (tileRows() > 1) dot(1, 1);
    }
  });
  return {};
}

} // namespace weft::cpu
