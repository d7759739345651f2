// Variables as frames of a trace see them: entries read them, functions and bodies of repeats take them as
// arguments.
#include "compiler/trace/graph_builder.h"
#include "frontends/dsl/tensor.h"

using namespace mlir;
namespace weft {

graph::VariableOp GraphBuilder::declare(const Variable &v) {
  if (auto known = symbols.lookup<graph::VariableOp>(v.path)) {
    auto type = RankedTensorType::get(v.shape, elementType(v.dtype));
    if (known.getType() != type) {
      std::string text;
      llvm::raw_string_ostream(text) << "variable " << v.path << " is " << type << " here and "
                                     << known.getType() << " elsewhere";
      fail(text);
    }
    return known;
  }
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  auto op = b.create<graph::VariableOp>(location(), b.getStringAttr(v.path),
                                        TypeAttr::get(RankedTensorType::get(v.shape, elementType(v.dtype))),
                                        graph::VariableKindAttr::get(context(), graph::VariableKind(v.kind)),
                                        graph::InitKindAttr::get(context(), graph::InitKind(v.init)),
                                        b.getF64FloatAttr(v.init_scale), b.getI64IntegerAttr(v.layers),
                                        b.getI64IntegerAttr(v.layer_begin), b.getStringAttr(v.file_name),
                                        v.decay ? b.getUnitAttr() : UnitAttr());
  // In the order of first use, before the functions.
  Operation *last = nullptr;
  for (auto other : module.getOps<graph::VariableOp>())
    if (other != op) last = other;
  if (last) op->moveAfter(last);
  symbols.insert(op);
  return op;
}

// The layer whose name in a checkpoint's file two parameters share; -1: the file does not number them.
static std::optional<int64_t> sharedLayer(const Variable &a, const Variable &b) {
  if (a.layers == 0 && b.layers > 0) return sharedLayer(b, a);
  if (a.layers == 0) return a.file_name == b.file_name ? std::optional<int64_t>(-1) : std::nullopt;
  int64_t begin = a.layer_begin, end = a.layer_begin + a.layers;
  if (b.layers > 0) {
    begin = std::max(begin, b.layer_begin);
    end = std::min(end, b.layer_begin + b.layers);
    return a.file_name == b.file_name && begin < end ? std::optional<int64_t>(begin) : std::nullopt;
  }
  StringRef name = b.file_name, pattern = a.file_name;
  auto [before, after] = pattern.split("{}");
  int64_t layer;
  if (!name.consume_front(before) || !name.consume_back(after) || name.getAsInteger(10, layer) ||
      layer < begin || layer >= end)
    return std::nullopt;
  return layer;
}

// A checkpoint's file holds a layer once: ranges under one name do not overlap.
void GraphBuilder::checkFileNames(const Variable &v, const Frame &frame) const {
  if (v.kind != VariableKind::parameter || v.file_name.empty()) return;
  for (const auto &[path, held] : frame.variables) {
    const Variable &other = held.variable;
    if (other.kind != VariableKind::parameter || other.file_name.empty() || path == v.path) continue;
    std::optional<int64_t> layer = sharedLayer(v, other);
    if (!layer) continue;
    fail("parameters " + path + " and " + v.path + (*layer < 0 ? "" : " of layer " + std::to_string(*layer)) +
         " have one name in a checkpoint, " + v.file_name +
         (*layer < 0 ? "" : ": ranges of layers under one name should not overlap"));
  }
}

// The variable in frame `depth`: in an entry it is read; in a function it is an argument; in a repeat's body
// one layer's slice of a stack.
GraphBuilder::Held &GraphBuilder::held(const Variable &v, size_t depth) {
  Frame &frame = frames[depth];
  if (Held *known = frame.find(v.path)) {
    if (known->variable.shape != v.shape) {
      std::string text = "variable " + v.path + " is " + shape_text(v.shape) + " here and was " +
                         shape_text(known->variable.shape);
      if (std::string line = lineText(known->value.getLoc()); !line.empty())
        text += "\n" + line + "first made here";
      fail(text);
    }
    return *known;
  }
  checkFileNames(v, frame);
  auto type = RankedTensorType::get(v.shape, elementType(v.dtype));
  Held h{v, {}, false, false};
  if (depth == 0) {
    auto op = declare(v);
    h.value = frame.b.create<graph::ReadOp>(location(), type, op.getSymName());
  } else {
    // Known outside without layers (a tied embedding): the same for every layer.
    bool outside = false;
    for (size_t i = 0; i < depth; ++i)
      if (Held *known = frames[i].find(v.path)) outside |= !known->perLayer && known->variable.layers == 0;
    h.perLayer = frame.range && !outside;
    if (h.perLayer && !v.file_name.empty() && v.file_name.find("{}") == std::string::npos)
      fail("parameter " + v.path +
           " is first made inside the layers under a name from outside them; make it before " +
           "repeat to share it, or under the scope that the body is given");
    h.value = frame.function.getBody().front().addArgument(type, location());
  }
  frame.variables.push_back({v.path, h});
  return frame.variables.back().second;
}
Value GraphBuilder::variable(const Variable &v) { return wrap(held(v, frames.size() - 1).value); }

void GraphBuilder::assign(const std::string &name, Value value) {
  Held *h = frames.back().find(name);
  if (!h) fail("variable " + name + " is assigned before it is read");
  mlir::Value v = unwrap(value);
  if (v.getType() != h->value.getType()) fail("variable " + name + " is assigned a tensor of another type");
  h->value = v;
  h->assigned = true;
}

} // namespace weft
