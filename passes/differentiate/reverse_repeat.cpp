// Reverse mode through a repeat: its backward body, and what forward saves for it.
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/IRMapping.h"
#include "passes/differentiate/reverse.h"

using namespace mlir;
namespace weft {
using graph::RepeatOp;

namespace {

// What a saved or recomputed value costs decides: these are saved.
bool isExpensive(Operation *op) {
  return isa<graph::MatmulOp, graph::AttentionOp, graph::ReduceOp, graph::GatherOp, graph::ScatterAddOp,
             graph::WriteRowsOp, graph::TopKOp, graph::SortByExpertOp, graph::CollectOp,
             graph::GroupedMatmulOp, graph::GroupedOuterOp, graph::CustomGradientOp, RepeatOp>(op) ||
         op->getName().getDialectNamespace() != "graph";
}
bool isProduct(Operation *op) {
  return isa<graph::MatmulOp, graph::AttentionOp, graph::GroupedMatmulOp, graph::GroupedOuterOp>(op);
}
// What it was rounded to is kept instead of the result itself.
bool isRoundedExpensive(Operation *op) {
  auto cast = dyn_cast<graph::CastOp>(op);
  return cast && cast.getElement().isBF16() && cast.getX().getDefiningOp() &&
         isExpensive(cast.getX().getDefiningOp());
}

// The backward body of a repeat: forward values come as slices of the forward's stacked operands, as
// invariants, as saved residuals, or are computed again.
class BodyReverse : public Reverse {
public:
  enum Role { carry, stacked, invariant };
  struct Input {
    Role role;
    Value inner; // block argument of the backward body
    Value outer; // what the backward repeat passes; null: residual number `residual`
    int residual = -1;
  };

  BodyReverse(OpBuilder &b, SymbolTable &symbols, ResidualChoice &choice, Block *block, func::FuncOp forward,
              RepeatOp op, Reverse &parent)
      : Reverse(b, symbols, choice), block(block), forward(forward), op(op), parent(parent) {
    // Ops are numbered as they were before anything is added to them.
    int64_t number = 0;
    for (Operation &o : forward.getBody().front()) numbers[&o] = number++;
  }

  Value input(Role role, Type type, Value outer, int residual = -1) {
    Value inner = block->addArgument(type, op.getLoc());
    inputs.push_back({role, inner, outer, residual});
    return inner;
  }

  Value needed(Value v) override {
    if (Value known = available.lookup(v)) return known;
    return available[v] = make(v);
  }

  void replaced(Value from, Value to) override {
    for (Value &v : residuals)
      if (v == from) v = to;
    if (Value known = available.lookup(from)) available[to] = known;
  }

  SmallVector<Input> inputs;
  SmallVector<Value> residuals; // values of the forward body that it must return, stacked

private:
  Value make(Value v) {
    if (auto arg = dyn_cast<BlockArgument>(v)) {
      size_t i = arg.getArgNumber(), numCarry = op.getCarry().size(), numStacked = op.getStacked().size();
      if (i >= numCarry + numStacked)
        return input(invariant, v.getType(), parent.needed(op.getInvariant()[i - numCarry - numStacked]));
      if (i >= numCarry) return input(stacked, v.getType(), parent.needed(op.getStacked()[i - numCarry]));
      return save(v, "the value carried into each iteration");
    }
    Operation *source = v.getDefiningOp();
    if (isExpensive(source) || isRoundedExpensive(source)) {
      Operation *costly = isExpensive(source) ? source : source->getOperand(0).getDefiningOp();
      std::string key = (op.getBody() + ":" + Twine(numbers.lookup(costly))).str();
      bool budget = choice.recompute.contains(key) && numbers.count(costly);
      if (!isCheckpointed(costly) && !budget) {
        if (numbers.count(costly) && !isa<RepeatOp, graph::CustomGradientOp>(costly))
          choice.kept.push_back({key, bytesOf(v) * op.tripCount(), graph::flopsOf(costly) * op.tripCount(),
                                 isProduct(costly), costly->getName().stripDialect().str(),
                                 costly->getLoc()});
        return save(v, "costly to compute again");
      }
      emitRemark(v.getLoc()) << "computed again in backward: " << graph::flopsOf(costly)
                             << " operations instead of " << bytesOf(v) << " bytes an iteration, "
                             << (budget ? "for the memory budget" : "as the model asks");
    }
    OpBuilder::InsertionGuard guard(b);
    IRMapping map;
    for (Value operand : source->getOperands()) map.map(operand, needed(operand));
    b.setInsertionPointToEnd(block);
    Operation *copy = computeAgain(b, source, map);
    for (auto [from, to] : llvm::zip(source->getResults(), copy->getResults())) available[from] = to;
    return copy->getResult(cast<OpResult>(v).getResultNumber());
  }
  static int64_t bytesOf(Value v) {
    return graph::tensorType(v).getNumElements() * graph::tensorType(v).getElementTypeBitWidth() / 8;
  }
  Value save(Value v, StringRef why) {
    // Layer values that the iteration does not change would have been hoisted; what is left has one value an
    // iteration.
    residuals.push_back(v);
    emitRemark(v.getLoc()) << "saved for backward: " << bytesOf(v) << " bytes an iteration, " << why;
    return input(stacked, v.getType(), {}, residuals.size() - 1);
  }

  Block *block;
  func::FuncOp forward;
  RepeatOp op;
  Reverse &parent;
  llvm::DenseMap<Value, Value> available;
  llvm::DenseMap<Operation *, int64_t> numbers; // of forward's ops
};

} // namespace

LogicalResult Reverse::runRepeat(RepeatOp &op) {
  if (op.getDynamic())
    return op.emitOpError("with a trip count known only at run time cannot be differentiated");
  if (op.getBegin() != 0)
    return op.emitOpError() << "begins at " << op.getBegin()
                            << " and has tied slice results, which cannot be differentiated";
  MLIRContext *ctx = op.getContext();
  OpBuilder moduleBuilder(ctx);
  size_t numCarry = op.getCarry().size(), numStacked = op.getStacked().size();
  auto original = symbols.lookup<func::FuncOp>(op.getBody());
  auto fwd = cast<func::FuncOp>(original->clone());
  fwd.setName((original.getName() + ".forward").str());
  symbols.insert(fwd, std::next(original->getIterator()));
  Block &fwdBlock = fwd.getBody().front();

  SmallVector<bool> argumentActive, resultActive;
  for (Value v : op.getOperands()) argumentActive.push_back(wants(v));
  activateBody(fwd, numCarry, argumentActive, resultActive, symbols);

  // The backward body, built with arguments in the order of need and put in order at the end.
  auto bwd = func::FuncOp::create(op.getLoc(), (original.getName() + ".backward").str(),
                                  FunctionType::get(ctx, {}, {}));
  bwd.setPrivate();
  symbols.insert(bwd, std::next(fwd->getIterator()));
  Block *block = bwd.addEntryBlock();
  OpBuilder inner = OpBuilder::atBlockEnd(block);
  BodyReverse reverse(inner, symbols, choice, block, fwd, op, *this);

  SmallVector<Operation *> ops;
  for (Operation &o : fwdBlock.without_terminator()) ops.push_back(&o);
  sliceStackedOperands(ops);
  SmallVector<Value> sources;
  for (auto [v, on] : llvm::zip(fwd.getArguments(), argumentActive))
    if (on) sources.push_back(v);
  reverse.activate(sources, ops);

  // Adjoints that come in: of the carry (from the iteration above), and of slice results.
  auto returned = llvm::to_vector(fwdBlock.getTerminator()->getOperands());
  SmallVector<Value> seeds(returned.size());
  for (size_t i = 0; i < returned.size(); ++i) {
    Value result = op.getResult(i);
    if (i < numCarry) {
      if (!argumentActive[i]) continue;
      Value d = adjoint(result);
      if (!d) d = graph::splat(b, loc(), graph::adjointType(result), 0);
      seeds[i] = reverse.input(BodyReverse::carry, d.getType(), d);
    } else if (Value d = adjoint(result)) {
      if (op.getTied()[i - numCarry] >= 0)
        return op.emitOpError("has a tied slice result, which cannot be differentiated");
      seeds[i] = reverse.input(BodyReverse::stacked, graph::adjointType(returned[i]), d);
    }
  }
  // Running adjoints of invariants are carried; those of stacked operands are tied where there is one to add
  // to. A value passed twice has its adjoint continued once; the other is added.
  SmallVector<std::pair<size_t, Value>> stackedGrads,
      invariantGrads; // operand number, outer start (null: none)
  llvm::DenseSet<Value> continued;
  for (size_t i = numCarry; i < op.getNumOperands(); ++i) {
    if (!argumentActive[i]) continue;
    Value outer = origin(op.getOperand(i));
    bool first = continued.insert(outer).second;
    Value start = first ? adjoint(outer) : Value();
    if (i < numCarry + numStacked) {
      if (start)
        reverse.set(fwd.getArgument(i),
                    reverse.input(BodyReverse::stacked, graph::adjointType(fwd.getArgument(i)), start));
      stackedGrads.push_back({i, start});
    } else {
      if (!start) start = graph::splat(b, loc(), graph::adjointType(outer), 0);
      reverse.set(fwd.getArgument(i), reverse.input(BodyReverse::carry, start.getType(), start));
      invariantGrads.push_back({i, first ? start : Value()});
    }
  }
  for (auto [v, seed] : llvm::zip(returned, seeds))
    if (seed) reverse.add(v, seed);
  if (failed(reverse.run(ops))) return failure();

  // Results of the backward body: adjoints of the carry, of invariants, then slices.
  auto adjointOrZero = [&](Value v) {
    Value d = reverse.adjoint(v);
    return d ? d : graph::splat(inner, op.getLoc(), graph::adjointType(v), 0);
  };
  inner.setInsertionPointToEnd(block);
  SmallVector<Value> bwdResults;
  for (size_t i = 0; i < numCarry; ++i)
    if (argumentActive[i]) bwdResults.push_back(adjointOrZero(fwd.getArgument(i)));
  for (auto [i, start] : invariantGrads) bwdResults.push_back(adjointOrZero(fwd.getArgument(i)));
  for (auto [i, start] : stackedGrads) bwdResults.push_back(adjointOrZero(fwd.getArgument(i)));
  inner.create<func::ReturnOp>(op.getLoc(), bwdResults);

  // The forward repeat, now returning residuals.
  auto ret = cast<func::ReturnOp>(fwdBlock.getTerminator());
  SmallVector<Type> types(op.getResultTypes());
  SmallVector<int64_t> tied(op.getTied());
  for (Value v : reverse.residuals) {
    ret.getOperandsMutable().append(v);
    SmallVector<int64_t> shape{int64_t(op.tripCount())};
    llvm::append_range(shape, graph::shapeOf(v));
    types.push_back(RankedTensorType::get(shape, graph::tensorType(v).getElementType()));
    tied.push_back(-1);
  }
  fwd.setFunctionType(FunctionType::get(ctx, fwd.getArgumentTypes(), ret.getOperandTypes()));
  OpBuilder at(op);
  auto extended =
      at.create<RepeatOp>(op.getLoc(), types, fwd.getSymName(), op.getCarry(), op.getStacked(),
                          op.getInvariant(), op.getBegin(), op.getEnd(), tied, op.getReverse(), false, 0, 1);
  extended->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  for (auto [from, to] : llvm::zip(op.getResults(), extended.getResults())) {
    if (Value d = adjoint(from)) set(to, d);
    if (active.contains(from)) active.insert(to);
    from.replaceAllUsesWith(to);
    replaced(from, to);
  }

  // The backward repeat. Its arguments by role: carry, stacked, invariant.
  SmallVector<Value> operands[3];
  SmallVector<Value> order[3];
  llvm::DenseMap<Value, int64_t> stackedNumber;
  for (auto &in : reverse.inputs) {
    Value outer = in.outer;
    if (!outer) outer = needed(extended.getResult(op.getNumResults() + in.residual));
    if (in.role == BodyReverse::stacked) stackedNumber[in.inner] = operands[BodyReverse::stacked].size();
    operands[in.role].push_back(outer);
    order[in.role].push_back(in.inner);
  }
  auto *ordered = new Block();
  SmallVector<Type> argumentTypes;
  for (auto &list : order)
    for (Value v : list) {
      argumentTypes.push_back(v.getType());
      v.replaceAllUsesWith(ordered->addArgument(v.getType(), op.getLoc()));
    }
  // Tied accumulators by number: looked up before the arguments were replaced.
  SmallVector<int64_t> bwdTied;
  SmallVector<Type> bwdTypes;
  for (Value v : operands[BodyReverse::carry]) bwdTypes.push_back(v.getType());
  for (auto [i, start] : stackedGrads) {
    int64_t number = -1;
    if (start)
      for (auto &in : reverse.inputs)
        if (in.role == BodyReverse::stacked && in.outer == start) number = stackedNumber[in.inner];
    bwdTied.push_back(number);
    bwdTypes.push_back(graph::adjointType(op.getOperand(i)));
  }
  ordered->getOperations().splice(ordered->end(), block->getOperations());
  bwd.getBody().push_back(ordered);
  block->erase();
  bwd.setFunctionType(FunctionType::get(ctx, argumentTypes, ordered->getTerminator()->getOperandTypes()));
  auto backward = b.create<RepeatOp>(loc(), bwdTypes, bwd.getSymName(), operands[0], operands[1], operands[2],
                                     op.getBegin(), op.getEnd(), bwdTied, !op.getReverse(), false, 0, 1);

  // Adjoints that come out: first those that continue one, then those that are added.
  SmallVector<std::pair<Value, Value>> added;
  size_t next = 0;
  for (size_t i = 0; i < numCarry; ++i)
    if (argumentActive[i]) {
      Value d = backward.getResult(next++);
      if (wants(op.getCarry()[i])) added.push_back({op.getCarry()[i], d});
    }
  for (auto *list : {&invariantGrads, &stackedGrads})
    for (auto [i, start] : *list) {
      Value d = backward.getResult(next++);
      if (start)
        set(op.getOperand(i), d);
      else
        added.push_back({op.getOperand(i), d});
    }
  for (auto [v, d] : added) add(v, d);
  op.erase();
  op = extended;
  return success();
}

} // namespace weft
