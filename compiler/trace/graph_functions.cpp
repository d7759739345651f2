// The Builder's functions of functions: gradients, over micro-batches, shards and stages, and calls.
#include "compiler/trace/graph_builder.h"
#include "dialects/dist/dist.h"
#include "frontends/dsl/scope.h"
#include "frontends/optimisers/optimiser.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/Support/MathExtras.h"
#include <map>

using namespace mlir;
namespace weft {

// What a function takes behind its explicit arguments, as this frame sees it.
SmallVector<mlir::Value> GraphBuilder::operandsOf(const Finished &f, const std::vector<Value> &args) {
  SmallVector<mlir::Value> operands;
  for (const Value &v : args) operands.push_back(unwrap(v));
  for (const Held &h : f.whole) operands.push_back(held(h.variable, frames.size() - 1).value);
  for (mlir::Value v : f.captured) operands.push_back(reach(v, frames.size() - 1));
  return operands;
}

std::vector<Value> GraphBuilder::value_and_grad(int function, const std::vector<Value> &args) {
  Finished f = finished[function];
  SmallVector<mlir::Value> operands = operandsOf(f, args);
  SmallVector<int64_t> wrt;
  SmallVector<Type> types(f.function.getResultTypes());
  for (size_t i = 0; i < args.size(); ++i) {
    wrt.push_back(i);
    types.push_back(operands[i].getType());
  }
  auto op = builderHere().create<graph::ValueAndGradOp>(location(), types, f.function.getSymName(), operands,
                                                        ValueRange(), ValueRange(), wrt);
  std::vector<Value> out;
  for (mlir::Value v : op.getResults()) out.push_back(wrap(v));
  return out;
}

std::vector<Value> GraphBuilder::custom_gradient(int forward, int backward, const std::vector<Value> &args) {
  Finished f = finished[forward], g = finished[backward];
  auto op = builderHere().create<graph::CustomGradientOp>(
      location(), f.function.getResultTypes(), f.function.getSymName(), g.function.getSymName(),
      operandsOf(f, args), operandsOf(g, {}), args.size());
  markCheckpoint(op);
  std::vector<Value> out;
  for (mlir::Value v : op.getResults()) out.push_back(wrap(v));
  return out;
}

// Which of a function's arguments are parameters' stacks over the layers that a pipeline cuts.
static bool isStackOfLayers(const Variable &v, BlockArgument argument, const Layers &layers) {
  return v.layers > 0 && repeatOfStack(argument, layers);
}

// A parameter has to be one stage's, or be used directly before the layers and after them: gradients of all
// else would have to be gathered from several stages.
void GraphBuilder::checkStages(Finished &f) {
  Layers layers = layersOf(f.function);
  if (layers.empty()) return;
  llvm::DenseSet<Operation *> later = readByLaterStages(f.function, layers);
  for (auto [i, h] : llvm::enumerate(f.whole)) {
    BlockArgument argument = f.function.getArgument(f.numExplicit + i);
    if (h.variable.kind != VariableKind::parameter || isStackOfLayers(h.variable, argument, layers)) continue;
    for (Operation *user : argument.getUsers()) {
      bool inside = isa<graph::RepeatOp>(user);
      if (!inside && !later.contains(user)) continue;
      std::string what = inside ? " is shared by the layers"
                                : " is read by the layers or behind them through a value from before them";
      fail("parameter " + h.variable.path + what +
               ", so that several pipeline stages hold it; run with one stage",
           user->getLoc());
    }
  }
}

func::FuncOp GraphBuilder::cutForStage(Finished &f, bool differentiated) {
  if (stage.count == 1) return f.function;
  checkStages(f);
  Layers layers = layersOf(f.function);
  llvm::BitVector local(f.function.getNumArguments());
  for (auto [i, h] : llvm::enumerate(f.whole)) {
    BlockArgument argument = f.function.getArgument(f.numExplicit + i);
    if (isStackOfLayers(h.variable, argument, layers)) local.set(argument.getArgNumber());
  }
  std::string message;
  Location where = f.function.getLoc();
  ScopedDiagnosticHandler handler(context(), [&](Diagnostic &d) {
    message += d.str();
    where = d.getLocation();
    return success();
  });
  func::FuncOp cut = cutFunction(f.function, stage, local, differentiated);
  if (!cut) fail(message, where);
  symbols.insert(cut, module.getBody()->end());
  return cut;
}

// A function's variables, as this stage has them: those it has no use for are dropped from `callee`.
std::vector<GraphBuilder::StageVariable> GraphBuilder::stageVariables(Finished &f, func::FuncOp callee) {
  std::vector<StageVariable> out;
  llvm::BitVector dropped(callee.getNumArguments());
  Layers layers = layersOf(f.function);
  for (auto [i, h] : llvm::enumerate(f.whole)) {
    BlockArgument argument = callee.getArgument(f.numExplicit + i);
    Variable v = h.variable;
    if (stage.count > 1 && argument.use_empty()) {
      dropped.set(argument.getArgNumber());
      continue;
    }
    BlockArgument whole = f.function.getArgument(f.numExplicit + i);
    if (stage.count > 1 && isStackOfLayers(v, whole, layers)) {
      auto [begin, end] = layersOfStage(stage, layers, repeatOfStack(whole, layers));
      v.layer_begin += begin;
      v.layers = v.shape[0] = end - begin;
    }
    out.push_back({v, i});
  }
  callee.eraseArguments(dropped);
  return out;
}

std::vector<Value> GraphBuilder::call(int function, const std::vector<Value> &args) {
  Finished f = finished[function];
  OpBuilder &b = builderHere();
  Location loc = location();
  func::FuncOp callee = cutForStage(f, false);
  SmallVector<mlir::Value> operands;
  for (const Value &v : args) operands.push_back(unwrap(v));
  for (const StageVariable &v : stageVariables(f, callee))
    operands.push_back(held(v.variable, frames.size() - 1).value);
  for (mlir::Value v : f.captured) operands.push_back(reach(v, frames.size() - 1));
  for (Type x : callee.getArgumentTypes().drop_front(operands.size()))
    operands.push_back(
        b.create<dist::ReceiveOp>(loc, x, dist::Axis::pipeline, stage.index - 1, kActivationTag));
  IRMapping map;
  map.map(callee.getArguments(), operands);
  Block &body = callee.getBody().front();
  for (Operation &op : body.without_terminator()) b.clone(op, map);
  std::vector<Value> out;
  for (auto [i, type] : llvm::enumerate(f.function.getResultTypes())) {
    // The last stage has the results, the others zeros to add.
    mlir::Value v = stage.last() ? map.lookupOrDefault(body.getTerminator()->getOperand(i))
                                 : graph::splat(b, loc, cast<RankedTensorType>(type), 0);
    if (stage.count > 1) v = b.create<dist::AllReduceOp>(loc, type, dist::Axis::pipeline, v);
    out.push_back(wrap(v));
  }
  return out;
}

// A parameter that several ops outside the layers use (a tied head) becomes as many arguments, so that each
// use has a gradient of its own, whose chain the next micro-batch continues: they are added once, whatever
// the stages. Uses inside the layers stay together, and so do all uses of a parameter that has some there.
void GraphBuilder::splitTiedParameters(Finished &f) {
  Layers layers = layersOf(f.function);
  Operation *first = layers.empty() ? nullptr : layers.front().getOperation(),
            *last = layers.empty() ? nullptr : layers.back().getOperation();
  SmallVector<Finished::Use> further;
  for (size_t i = 0, n = f.whole.size(); i < n; ++i) {
    Held h = f.whole[i];
    BlockArgument argument = f.function.getArgument(f.numExplicit + i);
    SmallVector<Operation *> users; // in the order of the block
    for (Operation *user : argument.getUsers())
      if (!llvm::is_contained(users, user)) users.push_back(user);
    llvm::sort(users, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
    auto isBefore = [&](Operation *user) { return first && user->isBeforeInBlock(first); };
    auto isAfter = [&](Operation *user) { return !last || last->isBeforeInBlock(user); };
    f.uses.push_back({i, users.empty() || !isBefore(users[0])});
    if (h.variable.kind != VariableKind::parameter ||
        !llvm::all_of(users, [&](Operation *user) { return isBefore(user) || isAfter(user); }))
      continue;
    for (size_t u = 1; u < users.size(); ++u) {
      size_t at = f.numExplicit + f.whole.size();
      f.function.insertArgument(at, argument.getType(), DictionaryAttr(), argument.getLoc());
      users[u]->replaceUsesOfWith(argument, f.function.getArgument(at));
      f.whole.push_back(h);
      further.push_back({i, isAfter(users[u])});
    }
  }
  f.uses.append(further);
}

std::vector<Value> GraphBuilder::accumulate_gradients(int function, const std::vector<Value> &micro,
                                                      std::vector<std::pair<Variable, Value>> &gradients) {
  Finished f = finished[function];
  OpBuilder &b = builderHere();
  Location loc = location();
  size_t here = frames.size() - 1;
  input("micro_batches", DType::i64, {}, -1, false);
  size_t numVariables = f.whole.size();
  splitTiedParameters(f);
  finished[function] = f;
  func::FuncOp callee = cutForStage(f, true);

  // Operands: slices of the micro-batch, variables, captured values.
  auto isParameter = [](const Variable &v) {
    return v.kind == VariableKind::parameter && (v.dtype == DType::f32 || v.dtype == DType::f64);
  };
  for (size_t i = 0; i < numVariables; ++i)
    if (isParameter(f.whole[i].variable)) allParameters.push_back(f.whole[i].variable);
  for (const Finished::Use &use : ArrayRef(f.uses).drop_front(numVariables))
    if (use.after != f.uses[use.variable].after) tiedAcrossStages.insert(f.whole[use.variable].variable.path);
  SmallVector<mlir::Value> stackedIn, invariantIn;
  for (const Value &v : micro) stackedIn.push_back(unwrap(v));
  SmallVector<int64_t> wrt;
  std::vector<StageVariable> parameters;
  for (const StageVariable &v : stageVariables(f, callee)) {
    if (isParameter(v.variable)) {
      wrt.push_back(f.numExplicit + invariantIn.size());
      parameters.push_back(v);
    }
    invariantIn.push_back(held(v.variable, here).value);
  }
  for (mlir::Value v : f.captured) invariantIn.push_back(reach(v, here));

  // The micro-batch step: (sums, gradients | slices | parameters, …) -> (sums, gradients). Both continue
  // their chains.
  SmallVector<Type> sumTypes(f.function.getResultTypes()), gradTypes, carryTypes(sumTypes), arguments;
  for (int64_t i : wrt) gradTypes.push_back(callee.getArgumentTypes()[i]);
  llvm::append_range(carryTypes, gradTypes);
  arguments = carryTypes;
  size_t numArguments = f.numExplicit + invariantIn.size();
  llvm::append_range(arguments, callee.getArgumentTypes().take_front(numArguments));
  auto step = func::FuncOp::create(loc, (callee.getName() + "_step").str(),
                                   FunctionType::get(context(), arguments, carryTypes));
  step.setPrivate();
  symbols.insert(step, module.getBody()->end());
  Block *block = step.addEntryBlock();
  // So that the memory plan says whose they are.
  for (auto [i, p] : llvm::enumerate(parameters))
    block->getArgument(sumTypes.size() + i)
        .setLoc(NameLoc::get(b.getStringAttr("gradient of " + p.variable.path), loc));
  OpBuilder inner = OpBuilder::atBlockEnd(block);
  SmallVector<Type> resultTypes(callee.getResultTypes());
  llvm::append_range(resultTypes, gradTypes);
  ValueRange carried = block->getArguments().take_front(carryTypes.size());
  ValueRange sumsSoFar = carried.take_front(sumTypes.size()),
             gradientsSoFar = carried.drop_front(sumTypes.size());
  SmallVector<mlir::Value> args(block->getArguments().drop_front(carryTypes.size()));
  SmallVector<int64_t> wanted(wrt);
  // The values carried in come from the stage before; their gradients, which have no accumulator, go back
  // there.
  ArrayRef<Type> carriedIn = callee.getArgumentTypes().drop_front(numArguments);
  for (Type x : carriedIn) {
    args.push_back(
        inner.create<dist::ReceiveOp>(loc, x, dist::Axis::pipeline, stage.index - 1, kActivationTag));
    wanted.push_back(args.size() - 1);
    resultTypes.push_back(x);
  }
  auto vag = inner.create<graph::ValueAndGradOp>(loc, resultTypes, callee.getSymName(), args, gradientsSoFar,
                                                 stage.last() ? sumsSoFar : ValueRange(), wanted);
  for (mlir::Value dx : vag.getResults().take_back(carriedIn.size()))
    inner.create<dist::SendOp>(loc, dist::Axis::pipeline, dx, stage.index - 1, kGradientTag);
  size_t numValues = callee.getNumResults();
  SmallVector<mlir::Value> next;
  if (stage.last())
    llvm::append_range(next, vag.getResults().take_front(numValues));
  else
    llvm::append_range(next, sumsSoFar);
  llvm::append_range(next, vag.getResults().slice(numValues, gradTypes.size()));
  inner.create<func::ReturnOp>(loc, next);

  SmallVector<SmallVector<mlir::Value>> parts(carryTypes.size()); // of each sum
  for (int64_t part = 0; part < layout.parts; ++part) {
    SmallVector<mlir::Value> zeros;
    for (Type t : carryTypes) zeros.push_back(graph::splat(b, loc, cast<RankedTensorType>(t), 0));
    auto repeat = b.create<graph::RepeatOp>(loc, carryTypes, step.getSymName(), zeros, stackedIn, invariantIn,
                                            0, 0, ArrayRef<int64_t>{}, false, true, part, layout.parts);
    for (auto [sum, v] : llvm::zip(parts, repeat.getResults())) sum.push_back(v);
  }
  SmallVector<mlir::Value> sums;
  for (ArrayRef<mlir::Value> sum : parts) sums.push_back(graph::treeSum(b, loc, sum));
  if (layout.dataParallel > 1)
    for (mlir::Value &v : sums) v = b.create<dist::AllReduceOp>(loc, v.getType(), dist::Axis::data, v);
  std::vector<Value> out;
  for (mlir::Value v : ArrayRef<mlir::Value>(sums).take_front(sumTypes.size())) {
    // Zero but in the last stage.
    if (stage.count > 1) v = b.create<dist::AllReduceOp>(loc, v.getType(), dist::Axis::pipeline, v);
    out.push_back(wrap(v));
  }
  // Of each variable, the sums over its uses before the layers and after them, in the order of the block.
  std::vector<std::array<mlir::Value, 2>> gradientOf(numVariables);
  for (auto [p, v] : llvm::zip(parameters, ArrayRef<mlir::Value>(sums).drop_front(sumTypes.size()))) {
    mlir::Value &sum = gradientOf[f.uses[p.number].variable][f.uses[p.number].after];
    sum = sum ? b.create<graph::AddOp>(loc, sum, v).getResult() : v;
  }
  for (size_t i = 0; i < numVariables; ++i) {
    auto [before, after] = gradientOf[i];
    if (!before && !after) continue;
    const std::string &path = f.whole[i].variable.path;
    if (stage.count > 1 && tiedAcrossStages.count(path)) {
      // First and last stage exchange their uses' gradients.
      mlir::Value mine = before ? before : after;
      int64_t peer = stage.first() ? stage.count - 1 : 0;
      b.create<dist::SendOp>(loc, dist::Axis::pipeline, mine, peer, kTiedTag);
      (before ? after : before) =
          b.create<dist::ReceiveOp>(loc, mine.getType(), dist::Axis::pipeline, peer, kTiedTag);
    }
    mlir::Value d = before ? before : after;
    if (before && after) d = b.create<graph::AddOp>(loc, before, after);
    for (const StageVariable &p : parameters)
      if (p.variable.path == path) {
        gradients.push_back({p.variable, wrap(d)});
        break;
      }
  }
  return out;
}

// The sums' places are the same whatever the stages: by path, then layer. Each stage fills in its own, and
// zeros are added to them exactly.
Value GraphBuilder::sum_over_parameters(const std::vector<std::pair<Variable, Value>> &partial) {
  OpBuilder &b = builderHere();
  Location loc = location();
  struct Part {
    mlir::Value sums;
    int64_t begin; // its first layer
  };
  std::map<std::string, Part> mine;
  Type element;
  for (auto &[v, value] : partial) {
    mlir::Value x = unwrap(value);
    element = graph::tensorType(x).getElementType();
    mine[v.path] = {x, v.layer_begin};
  }
  auto chunks = [](const Variable &v) {
    int64_t n = 1;
    for (int64_t d : v.shape) n *= d;
    int64_t layers = std::max<int64_t>(v.layers, 1);
    return std::pair(layers, (n / layers + norm_chunk - 1) / norm_chunk);
  };
  // The layers of several ranges follow each other as those of one would.
  std::sort(allParameters.begin(), allParameters.end(), [](const Variable &a, const Variable &b) {
    return std::pair(path_without_range(a.path), a.layer_begin) <
           std::pair(path_without_range(b.path), b.layer_begin);
  });
  SmallVector<mlir::Value> pieces;
  auto zeros = [&](int64_t n) {
    if (n > 0) pieces.push_back(graph::splat(b, loc, RankedTensorType::get({n}, element), 0));
  };
  for (const Variable &v : allParameters) {
    auto [layers, each] = chunks(v);
    auto found = mine.find(v.path);
    // What two stages hold counts in the first.
    if (found == mine.end() || (tiedAcrossStages.count(v.path) && !stage.first())) {
      zeros(layers * each);
      continue;
    }
    auto [sums, begin] = found->second;
    int64_t before = begin - v.layer_begin, have = graph::tensorType(sums).getNumElements();
    zeros(before * each);
    pieces.push_back(sums);
    zeros(layers * each - before * each - have);
  }
  mlir::Value all = pieces.size() == 1 ? pieces[0] : b.create<graph::ConcatOp>(loc, pieces, 0).getResult();
  if (stage.count > 1) all = b.create<dist::AllReduceOp>(loc, all.getType(), dist::Axis::pipeline, all);
  return wrap(graph::sum(b, loc, all, {0}));
}

std::variant<BatchLayout, std::string> layoutBatch(int64_t shards, int64_t ranks, int64_t microBatches,
                                                   int64_t microBatchRows) {
  if (shards == 0) shards = ranks;
  if (shards % ranks)
    return "train.shards is " + std::to_string(shards) + ", not a multiple of the " + std::to_string(ranks) +
           " data-parallel ranks";
  int64_t local = shards / ranks;
  if (local <= microBatches) {
    if (microBatches % local)
      return std::to_string(microBatches) + " micro-batches a rank cannot be cut into " +
             std::to_string(local) + " equal shards";
    return BatchLayout{ranks, local, 1};
  }
  int64_t inside = local / microBatches;
  if (local % microBatches || microBatchRows % inside || (microBatches > 1 && !llvm::isPowerOf2_64(inside)))
    return std::to_string(local) + " shards a rank do not fit " + std::to_string(microBatches) +
           " micro-batches of " + std::to_string(microBatchRows) + " rows";
  return BatchLayout{ranks, microBatches, inside};
}

} // namespace weft
