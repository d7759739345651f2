#include "compiler/trace/graph_builder.h"
#include "frontends/dsl/tensor.h"
#include "mlir/IR/Diagnostics.h"

using namespace mlir;
namespace weft {

GraphBuilder::GraphBuilder(ModuleOp module, BatchLayout layout, Stage stage)
    : module(module), symbols(module), layout(layout), stage(stage) {}

GraphBuilder::Held *GraphBuilder::Frame::find(const std::string &path) {
  for (auto &[name, held] : variables)
    if (name == path) return &held;
  return nullptr;
}

void GraphBuilder::fail(const std::string &what) const {
  std::string text;
  if (!lines.empty())
    text = std::string(lines.front().file) + ":" + std::to_string(lines.front().line) + ": ";
  throw ModelError(text + what);
}

std::string GraphBuilder::lineText(Location at) {
  std::string text;
  at->walk([&](Location l) {
    auto file = dyn_cast<FileLineColLoc>(l);
    if (!file) return WalkResult::advance();
    text = file.getFilename().str() + ":" + std::to_string(file.getLine()) + ": ";
    return WalkResult::interrupt();
  });
  return text;
}
void GraphBuilder::fail(const std::string &what, Location where) const {
  std::string line = lineText(where);
  if (line.empty()) fail(what);
  throw ModelError(line + what);
}

// The outermost line on the stack: the model's own. The module path goes with it.
Location GraphBuilder::location() const {
  if (lines.empty()) return UnknownLoc::get(context());
  const SourceLine &l = lines.front();
  Location at = FileLineColLoc::get(context(), l.file, l.line, l.column);
  return path.empty() ? at : Location(NameLoc::get(StringAttr::get(context(), path), at));
}

Type GraphBuilder::elementType(DType dtype) const {
  OpBuilder b(context());
  switch (dtype) {
  case DType::f32:
    return b.getF32Type();
  case DType::f64:
    return b.getF64Type();
  case DType::i32:
    return b.getI32Type();
  case DType::i64:
    return b.getI64Type();
  case DType::boolean:
    return b.getI1Type();
  case DType::bf16:
    return b.getBF16Type();
  }
  llvm_unreachable("dtype");
}

Value GraphBuilder::wrap(mlir::Value v) {
  auto t = graph::tensorType(v);
  Value out;
  out.id = values.size();
  values.push_back(v);
  Type e = t.getElementType();
  out.dtype = e.isF32()         ? DType::f32
              : e.isF64()       ? DType::f64
              : e.isBF16()      ? DType::bf16
              : e.isInteger(32) ? DType::i32
              : e.isInteger(64) ? DType::i64
                                : DType::boolean;
  out.shape.assign(t.getShape().begin(), t.getShape().end());
  return out;
}

mlir::Value GraphBuilder::reach(mlir::Value v, size_t depth) {
  Frame &frame = frames[depth];
  Operation *owner = v.getParentRegion()->getParentOp();
  if (owner == frame.function) return v;
  if (depth == 0) fail("a tensor of another program, or of a repeat's body that has ended, is used here");
  if (auto known = frame.captured.find(v); known != frame.captured.end()) return known->second;
  mlir::Value outer = reach(v, depth - 1);
  if (auto known = frame.captured.find(outer); known != frame.captured.end()) return known->second;
  mlir::Value inner = frame.function.getBody().front().addArgument(v.getType(), v.getLoc());
  frame.captured.insert({outer, inner});
  return inner;
}
mlir::Value GraphBuilder::unwrap(const Value &v) {
  if (v.id >= values.size()) fail("an empty tensor is used here");
  return reach(values[v.id], frames.size() - 1);
}

void GraphBuilder::markCheckpoint(Operation *op) {
  if (checkpoints > 0) op->setDiscardableAttr(graph::kRecompute, UnitAttr::get(context()));
}

std::vector<Value> GraphBuilder::op(std::string_view name, const std::vector<Value> &operands,
                                    const std::vector<Attribute> &attributes) {
  OpBuilder &b = builderHere();
  auto info = RegisteredOperationName::lookup("graph." + std::string(name), context());
  if (!info) fail("the graph dialect has no operator " + std::string(name));
  SmallVector<mlir::Value> in;
  for (const Value &v : operands) in.push_back(unwrap(v));
  NamedAttrList list;
  Shape shape;
  std::optional<DType> element;
  for (const Attribute &a : attributes) {
    StringRef key(a.name.data(), a.name.size());
    if (auto *i = std::get_if<i64>(&a.value)) list.append(key, b.getI64IntegerAttr(*i));
    if (auto *d = std::get_if<double>(&a.value)) list.append(key, b.getF64FloatAttr(*d));
    if (auto *s = std::get_if<std::string>(&a.value)) list.append(key, b.getStringAttr(*s));
    if (auto *t = std::get_if<DType>(&a.value)) {
      element = *t;
      if (name == "cast") list.append(key, TypeAttr::get(elementType(*t)));
    }
    if (auto *on = std::get_if<bool>(&a.value); on && *on) list.append(key, b.getUnitAttr());
    if (auto *v = std::get_if<std::vector<i64>>(&a.value)) {
      if (name == "iota" && a.name == "shape")
        shape = *v;
      else
        list.append(key, b.getDenseI64ArrayAttr(*v));
    }
  }
  if (name == "iota")
    list.append("type",
                TypeAttr::get(RankedTensorType::get(shape, elementType(element.value_or(DType::i32)))));
  // Enums arrive as their value.
  auto setEnum = [&](StringRef key, auto make) {
    if (auto i = dyn_cast_or_null<IntegerAttr>(list.get(key))) list.set(key, make(i.getInt()));
  };
  if (name == "compare")
    setEnum("predicate",
            [&](int64_t i) { return graph::PredicateAttr::get(context(), graph::Predicate(i)); });
  if (name == "reduce")
    setEnum("kind", [&](int64_t i) { return graph::ReduceKindAttr::get(context(), graph::ReduceKind(i)); });
  std::string message;
  ScopedDiagnosticHandler handler(context(), [&](Diagnostic &d) {
    message += d.str();
    return success();
  });
  Location loc = location();
  DictionaryAttr dictionary = list.getDictionary(context());
  std::vector<char> storage(info->getOpPropertyByteSize());
  OpaqueProperties properties(storage.data());
  SmallVector<Type> types;
  bool ok = true;
  if (!storage.empty()) {
    info->initOpProperties(properties, nullptr);
    info->populateDefaultProperties(properties);
    ok = succeeded(info->setOpPropertiesFromAttribute(*info, properties, dictionary,
                                                      [&]() { return mlir::emitError(loc); }));
  }
  ok = ok && succeeded(info->getInterface<InferTypeOpInterface>()->inferReturnTypes(
                 context(), loc, in, dictionary, properties, {}, types));
  if (!storage.empty()) info->destroyOpProperties(properties);
  std::vector<Value> out;
  if (ok) {
    OperationState state(loc, *info, in, types, dictionary.getValue());
    Operation *made = b.create(state);
    markCheckpoint(made);
    ok = succeeded(info->verifyInvariants(made));
    for (mlir::Value v : made->getResults()) out.push_back(wrap(v));
  }
  if (!ok) fail(message.empty() ? "graph." + std::string(name) + " does not accept its operands" : message);
  return out;
}

Value GraphBuilder::constant(DType dtype, const Shape &shape, const std::vector<double> &numbers) {
  OpBuilder &b = builderHere();
  Type e = elementType(dtype);
  auto type = RankedTensorType::get(shape, e);
  SmallVector<mlir::Attribute> elements;
  for (double v : numbers)
    elements.push_back(isa<FloatType>(e) ? mlir::Attribute(b.getFloatAttr(e, v))
                                         : mlir::Attribute(b.getIntegerAttr(e, int64_t(v))));
  return wrap(b.create<graph::ConstantOp>(location(), DenseElementsAttr::get(type, elements)));
}

void GraphBuilder::begin_repeat(i64 begin, i64 end) { pendingRepeat = {begin, end}; }

std::vector<Value> GraphBuilder::begin_function(const std::string &name, const std::vector<Value> &like) {
  SmallVector<Type> types;
  for (const Value &v : like) types.push_back(RankedTensorType::get(v.shape, elementType(v.dtype)));
  auto f = func::FuncOp::create(location(), name, FunctionType::get(context(), types, {}));
  f.setPrivate();
  symbols.insert(f, module.getBody()->end());
  Block *block = f.addEntryBlock();
  frames.push_back({f, OpBuilder::atBlockEnd(block), like.size(), pendingRepeat, {}, {}, {}});
  pendingRepeat.reset();
  std::vector<Value> out;
  for (mlir::Value v : block->getArguments()) out.push_back(wrap(v));
  return out;
}

int GraphBuilder::end_function(const std::vector<Value> &results) {
  SmallVector<mlir::Value> returned;
  for (const Value &v : results) returned.push_back(unwrap(v));
  Frame frame = std::move(frames.back());
  frames.pop_back();
  Finished done{frame.function, frame.numExplicit, results.size(), {}, {}, {}, frame.range};
  Block &block = frame.function.getBody().front();
  // Arguments in their final order. The argument of a variable is found by position: assigned ones no longer
  // hold it.
  SmallVector<mlir::Value> order(block.getArguments().begin(),
                                 block.getArguments().begin() + frame.numExplicit);
  SmallVector<mlir::Value> perLayer, whole, captured;
  llvm::DenseSet<mlir::Value> capturedArguments;
  for (auto &[outer, inner] : frame.captured) capturedArguments.insert(inner);
  SmallVector<mlir::Value> variableArguments;
  for (mlir::Value v : block.getArguments().drop_front(frame.numExplicit))
    if (!capturedArguments.contains(v)) variableArguments.push_back(v);
  for (auto [pair, argument] : llvm::zip(frame.variables, variableArguments)) {
    Held &h = pair.second;
    if (h.assigned && !h.perLayer)
      fail("variable " + pair.first +
           " is assigned inside a function; only an entry and a repeat's body may (attention keeps a cache, "
           "so that it cannot stand in a function of grad or custom_gradient)");
    if (h.assigned) returned.push_back(h.value);
    (h.perLayer ? perLayer : whole).push_back(argument);
    (h.perLayer ? done.perLayer : done.whole).push_back(h);
  }
  for (auto &[outer, inner] : frame.captured) {
    captured.push_back(inner);
    done.captured.push_back(outer);
  }
  order.append(perLayer);
  order.append(whole);
  order.append(captured);
  frame.b.create<func::ReturnOp>(location(), returned);
  auto *ordered = new Block();
  SmallVector<Type> argumentTypes, resultTypes;
  for (mlir::Value v : order) {
    argumentTypes.push_back(v.getType());
    v.replaceAllUsesWith(ordered->addArgument(v.getType(), v.getLoc()));
  }
  ordered->getOperations().splice(ordered->end(), block.getOperations());
  frame.function.getBody().push_back(ordered);
  block.erase();
  for (mlir::Value v : ordered->getTerminator()->getOperands()) resultTypes.push_back(v.getType());
  frame.function.setFunctionType(FunctionType::get(context(), argumentTypes, resultTypes));
  finished.push_back(std::move(done));
  return finished.size() - 1;
}

std::vector<Value> GraphBuilder::repeat(int body, const std::vector<Value> &carry,
                                        const std::vector<Value> &stacked, i64 begin, i64 end) {
  Finished &f = finished[body];
  int64_t layers = end - begin;
  size_t here = frames.size() - 1;
  SmallVector<mlir::Value> carryIn, stackedIn, invariantIn;
  for (const Value &v : carry) carryIn.push_back(unwrap(v));
  for (const Value &v : stacked) {
    mlir::Value x = unwrap(v); // a row for each layer from 0 on
    bool exact = begin == 0 && graph::shapeOf(x)[0] == end;
    stackedIn.push_back(exact ? x : graph::rows(builderHere(), location(), x, begin, end));
  }
  SmallVector<int64_t> tied;
  SmallVector<Type> types;
  for (mlir::Value v : carryIn) types.push_back(v.getType());
  size_t numSlices = f.numResults - carry.size();
  for (size_t i = 0; i < numSlices; ++i) {
    auto t = cast<RankedTensorType>(f.function.getResultTypes()[carry.size() + i]);
    SmallVector<int64_t> shape{layers};
    llvm::append_range(shape, t.getShape());
    types.push_back(RankedTensorType::get(shape, t.getElementType()));
    tied.push_back(-1);
  }
  SmallVector<std::string> assigned;
  for (Held &h : f.perLayer) {
    Variable v = h.variable;
    v.shape.insert(v.shape.begin(), layers);
    v.layers = layers;
    v.layer_begin = begin;
    if (h.assigned) {
      tied.push_back(stackedIn.size());
      assigned.push_back(v.path);
    }
    stackedIn.push_back(held(v, here).value);
    if (h.assigned) types.push_back(stackedIn.back().getType());
  }
  for (Held &h : f.whole) invariantIn.push_back(held(h.variable, here).value);
  for (mlir::Value v : f.captured) invariantIn.push_back(reach(v, here));
  auto op =
      builderHere().create<graph::RepeatOp>(location(), types, f.function.getSymName(), carryIn, stackedIn,
                                            invariantIn, 0, layers, tied, false, false, 0, 1);
  std::vector<Value> out;
  for (mlir::Value v : op.getResults().take_front(f.numResults)) out.push_back(wrap(v));
  for (auto [name, v] : llvm::zip(assigned, op.getResults().drop_front(f.numResults))) {
    Held *h = frames[here].find(name);
    h->value = v;
    h->assigned = true;
  }
  return out;
}

void GraphBuilder::begin_entry(const std::string &name, bool frozen) {
  auto f = func::FuncOp::create(location(), name, FunctionType::get(context(), {}, {}));
  f->setAttr("weft.entry", UnitAttr::get(context()));
  if (frozen) f->setAttr("weft.frozen", UnitAttr::get(context()));
  symbols.insert(f, module.getBody()->end());
  Block *block = f.addEntryBlock();
  frames.push_back({f, OpBuilder::atBlockEnd(block), 0, {}, {}, {}, {}});
}

Value GraphBuilder::input(const std::string &name, DType dtype, const Shape &shape, i64 limit, bool micro) {
  Frame &frame = frames.back();
  SmallVector<int64_t> dims;
  if (micro) dims.push_back(ShapedType::kDynamic);
  dims.append(shape.begin(), shape.end());
  mlir::Value v = frame.function.getBody().front().addArgument(
      RankedTensorType::get(dims, elementType(dtype)), location());
  // Function type and argument attributes are set together, at the end.
  frame.function->setAttr(
      "weft.input" + std::to_string(frame.numExplicit),
      DictionaryAttr::get(context(), {frame.b.getNamedAttr("name", frame.b.getStringAttr(name)),
                                      frame.b.getNamedAttr("limit", frame.b.getI64IntegerAttr(limit))}));
  ++frame.numExplicit;
  return wrap(v);
}

void GraphBuilder::output(const std::string &name, Value value) {
  frames.back().outputs.push_back({name, unwrap(value)});
}

void GraphBuilder::end_entry() {
  Frame frame = std::move(frames.back());
  frames.pop_back();
  SmallVector<mlir::Value> returned;
  SmallVector<Type> resultTypes;
  for (auto &[name, v] : frame.outputs) {
    returned.push_back(v);
    resultTypes.push_back(v.getType());
  }
  for (auto &[name, h] : frame.variables)
    if (h.assigned) frame.b.create<graph::WriteOp>(location(), name, h.value);
  frame.b.create<func::ReturnOp>(location(), returned);
  func::FuncOp f = frame.function;
  f.setFunctionType(FunctionType::get(context(), f.getBody().front().getArgumentTypes(), resultTypes));
  for (size_t i = 0; i < frame.numExplicit; ++i) {
    std::string key = "weft.input" + std::to_string(i);
    auto described = f->getAttrOfType<DictionaryAttr>(key);
    f->removeAttr(key);
    f.setArgAttr(i, "weft.name", described.get("name"));
    if (cast<IntegerAttr>(described.get("limit")).getInt() >= 0)
      f.setArgAttr(i, "weft.limit", described.get("limit"));
  }
  for (auto [i, out] : llvm::enumerate(frame.outputs))
    f.setResultAttr(i, "weft.name", StringAttr::get(context(), out.first));
}

} // namespace weft
