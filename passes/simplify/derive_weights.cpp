// What frozen entries make of parameters alone. See passes.td.
#include "dialects/kernel/kernel.h"
#include "mlir/IR/IRMapping.h"
#include "passes/fuse/views.h"
#include "passes/passes.h"
#include "llvm/ADT/StringMap.h"
#include <map>

using namespace mlir;
namespace weft {
#define GEN_PASS_DEF_DERIVEWEIGHTSPASS
#include "passes/passes.h.inc"

namespace {

bool costsNothing(Operation *op) {
  return isViewOp(op) || isa<graph::ConstantOp, graph::IotaOp, graph::ReadOp>(op);
}

class WeightDeriver {
public:
  explicit WeightDeriver(ModuleOp module) : module(module), symbols(module) {}

  void run(func::FuncOp entry) {
    // Values that parameters alone decide.
    llvm::SetVector<Operation *> made;
    llvm::DenseSet<Operation *> ofWeights; // not of constants alone
    Block &block = entry.getBody().front();
    for (Operation &op : block.without_terminator()) {
      if (auto read = dyn_cast<graph::ReadOp>(op)) {
        auto v = symbols.lookup<graph::VariableOp>(read.getVariable());
        bool written = llvm::any_of(block.getOps<graph::WriteOp>(),
                                    [&](graph::WriteOp w) { return w.getVariable() == read.getVariable(); });
        if (!v || v.getKind() != graph::VariableKind::parameter || written) continue;
        made.insert(&op);
        ofWeights.insert(&op);
        continue;
      }
      if (!isPure(&op) || isa<graph::RepeatOp>(op) || op.getNumResults() != 1) continue;
      auto isMade = [&](Value v) { return v.getDefiningOp() && made.contains(v.getDefiningOp()); };
      if (!llvm::all_of(op.getOperands(), isMade)) continue;
      made.insert(&op);
      if (llvm::any_of(op.getOperands(), [&](Value v) { return ofWeights.contains(v.getDefiningOp()); }))
        ofWeights.insert(&op);
    }
    // Those that something else needs, itself or a view of it, and that cost something.
    std::function<bool(Value)> isNeeded = [&](Value v) {
      return llvm::any_of(v.getUsers(), [&](Operation *user) {
        return !made.contains(user) || (costsNothing(user) && isNeeded(user->getResult(0)));
      });
    };
    for (Operation *op : made)
      if (ofWeights.contains(op) && !costsNothing(op) && isNeeded(op->getResult(0))) keep(op);
  }

private:
  // How the op's value comes about, as a number that equal expressions share, and the first parameter in it.
  struct Recipe {
    int64_t number;
    std::string parameter;
  };
  const Recipe &recipeOf(Operation *op) {
    auto it = recipes.find(op);
    if (it != recipes.end()) return it->second;
    std::string text, parameter;
    llvm::raw_string_ostream out(text);
    if (auto read = dyn_cast<graph::ReadOp>(op)) {
      parameter = read.getVariable().str();
      out << "@" << parameter;
    } else {
      out << op->getName() << op->getAttrDictionary() << op->getResult(0).getType();
      for (Value v : op->getOperands()) {
        const Recipe &operand = recipeOf(v.getDefiningOp());
        out << " " << operand.number;
        if (parameter.empty()) parameter = operand.parameter;
      }
    }
    int64_t number = expressions.try_emplace(text, expressions.size()).first->second;
    return recipes[op] = {number, parameter};
  }

  // How the products read a rounded weight that nothing else reads, directly or as a slice of a stack: as (…,
  // n, k) or (…, k, n), true or false. Nothing where it is empty, or has another reader.
  std::optional<bool> transposedRhs(Value value) {
    auto shape = graph::shapeOf(value);
    int64_t rank = shape.size();
    if (!graph::tensorType(value).getElementType().isBF16() || rank < 2) return std::nullopt;
    std::optional<bool> transposed;
    for (OpOperand &use : value.getUses()) {
      std::optional<bool> here;
      if (auto matmul = dyn_cast<graph::MatmulOp>(use.getOwner())) {
        if (matmul.getLhs() != value && matmul.getAcc() != value) here = matmul.getTransposeRhs();
      } else if (auto grouped = dyn_cast<graph::GroupedMatmulOp>(use.getOwner())) {
        if (grouped.getLhs() != value) here = grouped.getTransposeRhs();
      } else if (auto repeat = dyn_cast<graph::RepeatOp>(use.getOwner())) {
        if (Value slice = sliceOf(repeat, use)) here = transposedRhs(slice);
      }
      if (!here || (transposed && transposed != here)) return std::nullopt;
      transposed = here;
    }
    return shape[rank - 2] > 0 && shape[rank - 1] > 0 ? transposed : std::nullopt;
  }

  // The argument of the body that is the slice of a stacked operand; null where other repeats have the body
  // too, or the stack is updated.
  BlockArgument sliceOf(graph::RepeatOp repeat, OpOperand &use) {
    int64_t number = int64_t(use.getOperandNumber()) - int64_t(repeat.getCarry().size());
    if (number < 0 || number >= int64_t(repeat.getStacked().size()) ||
        llvm::is_contained(repeat.getTied(), number))
      return {};
    auto body = symbols.lookup<func::FuncOp>(repeat.getBody());
    auto uses = SymbolTable::getSymbolUses(body, module);
    if (!uses || std::distance(uses->begin(), uses->end()) != 1) return {};
    return body.getArgument(use.getOperandNumber());
  }

  // Readers of `value` read `packed` instead, through a view.
  void readPacked(Value value, Value packed, bool transposed) {
    for (OpOperand &use : llvm::make_early_inc_range(value.getUses())) {
      if (auto repeat = dyn_cast<graph::RepeatOp>(use.getOwner())) {
        BlockArgument slice = sliceOf(repeat, use);
        auto type = graph::tensorType(packed);
        Block *body = slice.getOwner();
        auto whole = body->insertArgument(slice.getArgNumber(), type.clone(type.getShape().drop_front()),
                                          slice.getLoc());
        readPacked(slice, whole, transposed);
        body->eraseArgument(slice.getArgNumber());
        auto f = cast<func::FuncOp>(body->getParentOp());
        f.setFunctionType(FunctionType::get(f.getContext(), body->getArgumentTypes(), f.getResultTypes()));
        use.set(packed);
        continue;
      }
      OpBuilder b(use.getOwner());
      use.set(unpackRhs(b, packed.getLoc(), packed, transposed, graph::shapeOf(value)));
    }
  }

  void keep(Operation *op) {
    std::string parameter = recipeOf(op).parameter, recipe = std::to_string(recipeOf(op).number);
    Value value = op->getResult(0);
    bool rounds = isa<graph::CastOp>(op);
    auto transposed = rounds ? transposedRhs(value) : std::nullopt;
    if (transposed) recipe += *transposed ? " in panels of rows" : " in panels of columns";
    auto [it, fresh] = known.try_emplace(recipe);
    if (fresh) {
      int &number = numbers[parameter];
      std::string name = parameter + ".derived" + (++number > 1 ? std::to_string(number) : "");
      Value made = make(op, transposed);
      OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
      auto variable = b.create<graph::VariableOp>(
          op->getLoc(), b.getStringAttr(name), TypeAttr::get(made.getType()),
          graph::VariableKindAttr::get(b.getContext(), graph::VariableKind::derived),
          graph::InitKindAttr::get(b.getContext(), graph::InitKind::zeros), b.getF64FloatAttr(0),
          b.getI64IntegerAttr(0), b.getI64IntegerAttr(0), b.getStringAttr(""), UnitAttr());
      symbols.insert(variable); // under another name, where a variable has this one
      b.setInsertionPoint(derive.getBody().front().getTerminator());
      b.create<graph::WriteOp>(op->getLoc(), variable.getSymName(), made);
      it->second = variable;
      emitRemark(op->getLoc()) << "made once for the entries that generate"
                               << (transposed ? ", in panels" : "") << ": " << variable.getSymName() << ", "
                               << made.getType();
    }
    OpBuilder b(op);
    Value read = b.create<graph::ReadOp>(op->getLoc(), it->second.getType(), it->second.getSymName());
    if (transposed)
      readPacked(value, read, *transposed);
    else
      value.replaceAllUsesWith(read);
  }

  // The op's value in @derive, packed where products read it.
  Value make(Operation *op, std::optional<bool> transposed) {
    OpBuilder b(module.getContext());
    if (!derive) {
      // The runtime knows the entry by this name; a layer's function may have another.
      if (Operation *other = symbols.lookup("derive")) (void)symbols.renameToUnique(other, {});
      derive = func::FuncOp::create(module.getLoc(), "derive", b.getFunctionType({}, {}));
      derive->setAttr("weft.entry", b.getUnitAttr());
      symbols.insert(derive, module.getBody()->end());
      b.setInsertionPointToStart(derive.addEntryBlock());
      b.create<func::ReturnOp>(module.getLoc());
    }
    b.setInsertionPoint(derive.getBody().front().getTerminator());
    IRMapping map;
    std::function<Value(Operation *)> copy = [&](Operation *source) -> Value {
      Value result = source->getResult(0);
      if (Value known = map.lookupOrNull(result)) return known;
      for (Value v : source->getOperands()) copy(v.getDefiningOp());
      // Packed first, then rounded: one kernel.
      if (source == op && transposed) {
        Value packed = packRhs(b, op->getLoc(), map.lookup(op->getOperand(0)), *transposed);
        return graph::castTo(b, op->getLoc(), packed, b.getBF16Type());
      }
      return b.clone(*source, map)->getResult(0);
    };
    return copy(op);
  }

  ModuleOp module;
  SymbolTable symbols;
  std::map<Operation *, Recipe> recipes;
  llvm::StringMap<int64_t> expressions;     // by their text, operands as numbers
  llvm::StringMap<graph::VariableOp> known; // derived variables by how they come about
  llvm::StringMap<int> numbers;
  func::FuncOp derive;
};

struct DeriveWeightsPass : impl::DeriveWeightsPassBase<DeriveWeightsPass> {
  void runOnOperation() override {
    WeightDeriver deriver(getOperation());
    for (auto f : llvm::to_vector(getOperation().getOps<func::FuncOp>()))
      if (f->hasAttr("weft.frozen")) deriver.run(f);
  }
};

} // namespace
} // namespace weft
