// The lowering of one entry function to a host program over buffers.
//
// Every tensor value gets a place (Ref): a buffer, an offset and a stride a surrounding loop. Places are
// chosen so that data moves as little as possible:
//   a value that is returned, carried to the next iteration, stacked or written to a variable is computed
//   where it has to end, when what is there is no longer needed; a kernel that updates (`init`) works in
//   place when the old value dies there, and so does an elementwise kernel on a dying operand of its own
//   shape; all else gets an arena buffer; plan-memory overlays those by lifetime.
#pragma once
#include "passes/passes.h"
#include "passes/program/outline.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

namespace weft::lowering {

inline int64_t elementBytes(mlir::Type t) {
  mlir::Type e = llvm::cast<mlir::RankedTensorType>(t).getElementType();
  return e.isInteger(1) ? 1 : e.getIntOrFloatBitWidth() / 8;
}
inline int64_t bytesOf(mlir::Type t) {
  int64_t n = elementBytes(t);
  for (int64_t d : llvm::cast<mlir::RankedTensorType>(t).getShape()) n *= d;
  return n;
}

// The value whose memory a reshape shows.
inline mlir::Value wholeOf(mlir::Value v) {
  while (auto r = v.getDefiningOp<graph::ReshapeOp>()) v = r.getX();
  return v;
}
// How many operands show the same memory.
inline int64_t countShowing(mlir::ValueRange operands, mlir::Value v) {
  return llvm::count_if(operands, [&](mlir::Value o) { return wholeOf(o) == wholeOf(v); });
}

// What may be done to the memory behind a value.
enum class Own {
  temp,   // the value's own
  slot,   // a carry, tied slice or variable, which this block may overwrite
  foreign // nothing
};

struct Ref {
  mlir::Value buffer;
  int64_t offset = 0;
  llvm::SmallVector<int64_t> strides; // by loop depth
  Own own = Own::foreign;
  bool sameMemory(const Ref &o) const {
    return buffer == o.buffer && offset == o.offset && strides == o.strides;
  }
};

class EntryLowering {
public:
  EntryLowering(mlir::func::FuncOp f, mlir::SymbolTable &symbols, KernelOutliner &outliner,
                llvm::MapVector<llvm::StringRef, int64_t> &variableOffsets, int64_t stage)
      : f(f), symbols(symbols), outliner(outliner), variableOffsets(variableOffsets), stage(stage) {}

  mlir::LogicalResult run(mlir::OpBuilder &moduleBuilder);

private:
  // One block being lowered: where its values live, and until when they are needed.
  struct Scope {
    mlir::Block *block;
    llvm::DenseMap<mlir::Operation *, int64_t> position;
    llvm::DenseMap<mlir::Value, Ref> refs;
    // Where a value should be computed; and of such places that hold an old value, whose it is now.
    llvm::DenseMap<mlir::Value, Ref> destination;
    llvm::SmallVector<std::pair<Ref, mlir::Value>> occupants;
    // Arguments whose copies to a stack were made first.
    llvm::DenseSet<mlir::Value> copiedEarly;
  };

  mlir::LogicalResult lowerBlock(Scope &s);
  mlir::LogicalResult lowerKernel(Scope &s, mlir::Operation *op);
  mlir::LogicalResult lowerRepeat(Scope &s, graph::RepeatOp op);
  int64_t lastUse(Scope &s, mlir::Value v);
  Ref arenaBuffer(mlir::Value holds, mlir::Location loc, llvm::StringRef what);
  Ref place(Scope &s, mlir::Value result, mlir::Operation *op);
  void occupy(Scope &s, const Ref &memory, mlir::Value by);
  void writeVariables(Scope &s);
  bool readsOnlyWhereItWrites(mlir::Operation *op, mlir::Value old, size_t output);
  mlir::Value viewOf(const Ref &r, int64_t offset, int64_t bytes, mlir::Location loc);
  void copy(const Ref &from, const Ref &to, int64_t bytes, mlir::Location loc);
  Ref argumentRef(int64_t index, mlir::Type type);

  mlir::func::FuncOp f;
  mlir::SymbolTable &symbols;
  KernelOutliner &outliner;
  llvm::MapVector<llvm::StringRef, int64_t> &variableOffsets;
  int64_t stage;
  mlir::OpBuilder b{f.getContext()};
  int depth = 0;
  int64_t countArgument = -1;
  mlir::Value persistent;
};

} // namespace weft::lowering
