#include "dialects/graph/interpret.h"
#include "dialects/dist/dist.h"
#include "dialects/graph/graph.h"
#include "dialects/kernel/interpret.h"
#include <memory>

using namespace mlir;
namespace weft::graph {

namespace {
using Ref = std::shared_ptr<const HostTensor>;
using Refs = SmallVector<Ref>;

class Interpreter {
public:
  Interpreter(Variables &variables, const InterpretOptions &options)
      : variables(variables), options(options) {}

  FailureOr<Refs> call(Operation *caller, StringRef name, const Refs &args);
  FailureOr<Refs> run(func::FuncOp f, const Refs &args);
  FailureOr<Refs> repeat(RepeatOp op, const Refs &operands);

private:
  FailureOr<Refs> execute(Operation *op, const Refs &operands);
  FailureOr<Refs> evaluate(Operation *op, const Refs &operands);
  FailureOr<Refs> meet(Operation *op, const Refs &operands);
  void observe(Operation *op, const Refs &operands, const Refs &results) {
    if (options.observer) options.observer->after(op, tensorsOf(operands), tensorsOf(results));
  }
  static SmallVector<const HostTensor *> tensorsOf(const Refs &refs) {
    SmallVector<const HostTensor *> tensors;
    for (const Ref &r : refs) tensors.push_back(r.get());
    return tensors;
  }

  Variables &variables;
  const InterpretOptions &options;
  SymbolTableCollection symbols;
  int depth = 0;
};
} // namespace

FailureOr<Refs> Interpreter::call(Operation *caller, StringRef name, const Refs &args) {
  auto f = symbols.lookupNearestSymbolFrom<func::FuncOp>(caller, StringAttr::get(caller->getContext(), name));
  if (!f) return caller->emitOpError() << "calls @" << name << ", which is not a function of the module";
  if (depth > 64)
    return caller->emitOpError() << "calls @" << name
                                 << " more than 64 calls deep: functions must not call themselves";
  return run(f, args);
}

FailureOr<Refs> Interpreter::run(func::FuncOp f, const Refs &args) {
  if (f.isExternal()) return f.emitOpError("has no body to interpret");
  if (args.size() != f.getNumArguments())
    return f.emitOpError() << "gets " << args.size() << " arguments when it has " << f.getNumArguments();
  DenseMap<Value, Ref> values;
  for (auto [arg, ref] : llvm::zip(f.getArguments(), args)) {
    if (!ref->fits(cast<RankedTensorType>(arg.getType())))
      return f.emitOpError() << "gets " << describe(ref->shape, ref->element) << " for argument "
                             << arg.getArgNumber() << ", which is " << arg.getType();
    values[arg] = ref;
  }
  ++depth;
  for (Operation &op : f.getBody().front()) {
    Refs operands;
    for (Value v : op.getOperands()) operands.push_back(values.at(v));
    if (isa<func::ReturnOp>(op)) {
      --depth;
      observe(&op, operands, {});
      return operands;
    }
    auto results = execute(&op, operands);
    if (failed(results)) return failure();
    if (!isa<func::CallOp, RepeatOp, CustomGradientOp>(op)) observe(&op, operands, *results);
    for (auto [value, ref] : llvm::zip(op.getResults(), *results)) {
      if (!ref->fits(cast<RankedTensorType>(value.getType())))
        return op.emitOpError() << "gives " << describe(ref->shape, ref->element) << " when its result is "
                                << value.getType();
      values[value] = ref;
    }
    // What nobody reads any more goes, so that a large model's check needs its live values alone.
    for (Value v : op.getOperands())
      if (llvm::all_of(v.getUsers(),
                       [&](Operation *user) { return user == &op || user->isBeforeInBlock(&op); }))
        values.erase(v);
  }
  return f.emitOpError("has no func.return");
}

FailureOr<Refs> Interpreter::execute(Operation *op, const Refs &operands) {
  if (auto call = dyn_cast<func::CallOp>(op)) return this->call(op, call.getCallee(), operands);
  if (auto repeat = dyn_cast<RepeatOp>(op)) return this->repeat(repeat, operands);
  if (auto custom = dyn_cast<CustomGradientOp>(op))
    return this->call(op, custom.getForward(), Refs(ArrayRef(operands).take_front(custom.getArgs().size())));
  if (isa<dist::DistDialect>(op->getDialect())) return meet(op, operands);
  if (auto read = dyn_cast<ReadOp>(op)) {
    auto it = variables.find(read.getVariable().str());
    if (it == variables.end())
      return op->emitOpError() << "reads @" << read.getVariable() << ", which has no value";
    return Refs{std::make_shared<HostTensor>(it->second)};
  }
  if (auto write = dyn_cast<WriteOp>(op)) {
    variables[write.getVariable().str()] = *operands[0];
    return Refs{};
  }
  return evaluate(op, operands);
}

FailureOr<Refs> Interpreter::meet(Operation *op, const Refs &operands) {
  auto reduce = dyn_cast<dist::AllReduceOp>(op);
  if (reduce && (!options.rank || reduce.getAxis() == dist::Axis::data)) return operands;
  if (!options.rank) return op->emitOpError("needs several ranks, of which one alone is interpreted");
  auto met = options.rank->meet(op, tensorsOf(operands));
  if (failed(met)) return failure();
  Refs results;
  for (HostTensor &t : *met) {
    if (options.roundToElement) t.roundToElement();
    results.push_back(std::make_shared<HostTensor>(std::move(t)));
  }
  return results;
}

FailureOr<Refs> Interpreter::evaluate(Operation *op, const Refs &operands) {
  SmallVector<const HostTensor *> in = tensorsOf(operands);
  SmallVector<HostTensor> out;
  for (Type type : op->getResultTypes()) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor || !tensor.hasStaticShape())
      return op->emitOpError() << "has a result of " << type << " when it should be a tensor of known shape";
    out.push_back(HostTensor::zeros(tensor));
  }
  bool made = false;
  if (options.observer && (isa<kernel::KernelDialect>(op->getDialect()) || isa<ValueAndGradOp>(op))) {
    auto ran = options.observer->runInstead(op, in, out);
    if (failed(ran)) return failure();
    made = *ran;
  }
  if (made) {
  } else if (isa<ValueAndGradOp>(op)) {
    return op->emitOpError("cannot be interpreted: run the pass `differentiate`, which removes it");
  } else if (auto evaluable = dyn_cast<EvaluateInterface>(op)) {
    if (failed(evaluable.evaluate(in, out))) return failure();
  } else if (isa<kernel::KernelDialect>(op->getDialect())) {
    if (failed(kernel::evaluate(op, in, out))) return failure();
  } else {
    return op->emitOpError("cannot be interpreted: it is no op of the graph or kernel dialect");
  }
  if (options.observer) options.observer->change(op, in, out);
  Refs results;
  for (HostTensor &t : out) {
    if (options.roundToElement) t.roundToElement();
    results.push_back(std::make_shared<HostTensor>(std::move(t)));
  }
  return results;
}

// Slice i along the first dimension.
static Ref sliceOf(const HostTensor &t, int64_t i) {
  HostTensor s = HostTensor::zeros(ArrayRef(t.shape).drop_front(), t.element);
  std::copy_n(t.values.begin() + i * s.numElements(), s.numElements(), s.values.begin());
  return std::make_shared<HostTensor>(std::move(s));
}
static LogicalResult setSlice(Operation *op, HostTensor &t, int64_t i, const HostTensor &slice) {
  if (ArrayRef(t.shape).drop_front() != ArrayRef(slice.shape))
    return op->emitOpError() << "gets a slice of " << describe(slice.shape, slice.element)
                             << " for a stack of " << describe(t.shape, t.element);
  llvm::copy(slice.values, t.values.begin() + i * slice.numElements());
  return success();
}

FailureOr<Refs> Interpreter::repeat(RepeatOp op, const Refs &operands) {
  size_t numCarry = op.getCarry().size(), numStacked = op.getStacked().size();
  Refs carry(operands.begin(), operands.begin() + numCarry);
  ArrayRef<Ref> stacked = ArrayRef(operands).slice(numCarry, numStacked);
  ArrayRef<Ref> invariant = ArrayRef(operands).drop_front(numCarry + numStacked);

  int64_t begin = op.getBegin(), end = op.getEnd();
  if (op.getDynamic()) {
    if (stacked.empty()) return op.emitOpError("is dynamic without a stacked operand to count by");
    int64_t count = stacked[0]->shape[0], parts = op.getParts();
    if (count % parts != 0)
      return op.emitOpError() << "runs " << count << " iterations in " << parts
                              << " parts, which are not equal";
    begin = count / parts * int64_t(op.getPart());
    end = begin + count / parts;
  }
  for (auto [i, s] : llvm::enumerate(stacked))
    if (s->rank() == 0 || begin < 0 || end > s->shape[0])
      return op.emitOpError() << "runs [" << begin << ", " << end << ") over stacked operand " << i << " of "
                              << describe(s->shape, s->element);

  ArrayRef<int64_t> tied = op.getTied();
  SmallVector<std::shared_ptr<HostTensor>> stacks(tied.size());
  for (auto [j, t] : llvm::enumerate(tied)) {
    if (t >= 0) {
      stacks[j] = std::make_shared<HostTensor>(*stacked[t]);
      if (options.observer) options.observer->made(stacked[t].get(), stacks[j].get());
    } else if (auto type = cast<RankedTensorType>(op.sliceResults()[j].getType()); type.hasStaticShape())
      stacks[j] = std::make_shared<HostTensor>(HostTensor::zeros(type));
    else
      return op.emitOpError() << "stacks slice result " << j << " anew as " << type
                              << " when a dynamic repeat's slice results are tied";
  }
  for (int64_t n = 0; n < end - begin; ++n) {
    int64_t i = op.getReverse() ? end - 1 - n : begin + n;
    Refs args = carry;
    for (const Ref &s : stacked) {
      args.push_back(sliceOf(*s, i));
      if (options.observer) options.observer->made(s.get(), args.back().get());
    }
    args.append(invariant.begin(), invariant.end());
    auto results = call(op, op.getBody(), args);
    if (failed(results)) return failure();
    if (results->size() != numCarry + stacks.size())
      return op.emitOpError() << "has a body with " << results->size() << " results when it should have "
                              << numCarry + stacks.size();
    carry.assign(results->begin(), results->begin() + numCarry);
    for (auto [j, stack] : llvm::enumerate(stacks)) {
      const Ref &slice = (*results)[numCarry + j];
      if (failed(setSlice(op, *stack, tied[j] >= 0 ? i : i - begin, *slice))) return failure();
      if (options.observer) options.observer->added(slice.get(), stack.get());
    }
  }
  Refs results = carry;
  results.append(stacks.begin(), stacks.end());
  return results;
}

FailureOr<SmallVector<HostTensor>> interpret(func::FuncOp function, ArrayRef<HostTensor> args,
                                             Variables &variables, const InterpretOptions &options) {
  Refs refs;
  for (const HostTensor &t : args) refs.push_back(std::make_shared<HostTensor>(t));
  auto results = Interpreter(variables, options).run(function, refs);
  if (failed(results)) return failure();
  SmallVector<HostTensor> out;
  for (const Ref &r : *results) out.push_back(*r);
  return out;
}

} // namespace weft::graph
