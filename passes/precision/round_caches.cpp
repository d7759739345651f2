// Caches that attention alone reads, in bf16. See passes.td.
#include "passes/passes.h"

using namespace mlir;
namespace weft {
#define GEN_PASS_DEF_ROUNDCACHESPASS
#include "passes/passes.h.inc"

namespace {

// All values that are one cache: what entries read and write, slices of it in the bodies of repeats, what
// write_rows makes of it, and views.
class Cache {
public:
  using Callers = llvm::DenseMap<Operation *, SmallVector<graph::RepeatOp>>;
  Cache(ModuleOp module, SymbolTable &symbols, const Callers &callers)
      : module(module), symbols(symbols), callers(callers) {}

  // Whether all of it may be bf16: every reader rounds.
  bool follow(StringRef name) {
    if (!variables.insert(name)) return true;
    auto variable = symbols.lookup<graph::VariableOp>(name);
    auto type = variable ? dyn_cast<RankedTensorType>(variable.getType()) : RankedTensorType();
    if (!type || variable.getKind() != graph::VariableKind::cache || !type.getElementType().isF32())
      return false;
    bool good = true;
    module.walk([&](Operation *op) {
      if (auto read = dyn_cast<graph::ReadOp>(op); read && read.getVariable() == name)
        good = good && follow(read.getResult());
      if (auto write = dyn_cast<graph::WriteOp>(op); write && write.getVariable() == name)
        good = good && follow(write.getValue());
    });
    return good;
  }

  bool isRounded() const { return !casts.empty(); }

  void round() {
    auto narrow = [](Type type) {
      return cast<RankedTensorType>(type).clone(BFloat16Type::get(type.getContext()));
    };
    for (StringRef name : variables) {
      auto variable = symbols.lookup<graph::VariableOp>(name);
      variable.setType(narrow(variable.getType()));
      emitRemark(variable.getLoc()) << "bf16: every reader rounds it, so it is kept rounded: " << name;
    }
    llvm::SetVector<Operation *> functions;
    for (Value v : values) {
      v.setType(narrow(v.getType()));
      functions.insert(v.getParentBlock()->getParentOp());
      if (auto write = v.getDefiningOp<graph::WriteRowsOp>()) {
        OpBuilder b(write);
        write.getUpdatesMutable().assign(
            graph::castTo(b, write.getLoc(), write.getUpdates(), b.getBF16Type()));
      }
    }
    for (graph::CastOp cast : casts) {
      cast.getResult().replaceAllUsesWith(cast.getX());
      cast.erase();
    }
    for (Operation *op : functions)
      if (auto f = dyn_cast<func::FuncOp>(op)) {
        Block &body = f.getBody().front();
        f.setFunctionType(FunctionType::get(f.getContext(), body.getArgumentTypes(),
                                            body.getTerminator()->getOperandTypes()));
      }
  }

private:
  bool follow(Value v) {
    if (!values.insert(v)) return true;
    return followSource(v) && llvm::all_of(v.getUses(), [&](OpOperand &use) { return followUse(use); });
  }

  bool followSource(Value v) {
    if (auto argument = dyn_cast<BlockArgument>(v)) {
      auto it = callers.find(argument.getOwner()->getParentOp());
      if (it == callers.end()) return false;
      return llvm::all_of(it->second, [&](graph::RepeatOp repeat) {
        int64_t i = int64_t(argument.getArgNumber()) - int64_t(repeat.getCarry().size());
        return i >= 0 && i < int64_t(repeat.getStacked().size()) && follow(repeat.getStacked()[i]);
      });
    }
    Operation *op = v.getDefiningOp();
    if (auto read = dyn_cast<graph::ReadOp>(op)) return follow(read.getVariable());
    if (auto write = dyn_cast<graph::WriteRowsOp>(op)) return follow(write.getDest());
    if (auto repeat = dyn_cast<graph::RepeatOp>(op)) {
      int64_t number = cast<OpResult>(v).getResultNumber(),
              slice = number - int64_t(repeat.getCarry().size());
      if (slice < 0 || repeat.getTied()[slice] < 0) return false;
      auto body = symbols.lookup<func::FuncOp>(repeat.getBody());
      return follow(repeat.getStacked()[repeat.getTied()[slice]]) &&
             follow(body.getBody().front().getTerminator()->getOperand(number));
    }
    return isView(op) && follow(op->getOperand(0));
  }

  bool followUse(OpOperand &use) {
    Operation *op = use.getOwner();
    if (auto cast = dyn_cast<graph::CastOp>(op)) {
      casts.insert(cast);
      return cast.getElement().isBF16();
    }
    if (auto write = dyn_cast<graph::WriteRowsOp>(op))
      return use.getOperandNumber() == 0 && follow(write.getResult());
    if (auto write = dyn_cast<graph::WriteOp>(op)) return follow(write.getVariable());
    if (auto repeat = dyn_cast<graph::RepeatOp>(op)) {
      int64_t i = int64_t(use.getOperandNumber()) - int64_t(repeat.getCarry().size());
      if (i < 0 || i >= int64_t(repeat.getStacked().size())) return false;
      auto body = symbols.lookup<func::FuncOp>(repeat.getBody());
      if (!follow(body.getArgument(use.getOperandNumber()))) return false;
      for (auto [j, tied] : llvm::enumerate(repeat.getTied()))
        if (tied == i && !follow(repeat.sliceResults()[j])) return false;
      return true;
    }
    if (isa<func::ReturnOp>(op)) {
      auto it = callers.find(op->getParentOp());
      return it != callers.end() && llvm::all_of(it->second, [&](graph::RepeatOp repeat) {
               return follow(repeat.getResult(use.getOperandNumber()));
             });
    }
    return isView(op) && follow(op->getResult(0));
  }

  static bool isView(Operation *op) {
    return isa<graph::ReshapeOp, graph::TransposeOp, graph::SliceOp, graph::BroadcastOp>(op);
  }

  ModuleOp module;
  SymbolTable &symbols;
  const Callers &callers;
  llvm::SetVector<StringRef> variables;
  llvm::SetVector<Value> values;
  llvm::SetVector<graph::CastOp> casts;
};

struct RoundCachesPass : impl::RoundCachesPassBase<RoundCachesPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    Cache::Callers callers;
    getOperation().walk([&](graph::RepeatOp op) { callers[symbols.lookup(op.getBody())].push_back(op); });
    for (auto variable : getOperation().getOps<graph::VariableOp>())
      if (Cache cache(getOperation(), symbols, callers);
          cache.follow(variable.getSymName()) && cache.isRounded())
        cache.round();
  }
};

} // namespace
} // namespace weft
