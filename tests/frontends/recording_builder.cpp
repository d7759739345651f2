#include "tests/frontends/recording_builder.h"

#include <algorithm>
#include <cstdio>

#include "frontends/dsl/tensor.h"

namespace weft::testing {
namespace {

std::string number(double x) {
  char buffer[32];
  snprintf(buffer, sizeof buffer, "%g", x);
  return buffer;
}

std::string list(const std::vector<i64> &values) {
  std::string text = shape_text(values);
  text.front() = '[', text.back() = ']';
  return text;
}

struct AttributeText {
  std::string operator()(i64 x) const { return std::to_string(x); }
  std::string operator()(double x) const { return number(x); }
  std::string operator()(const std::vector<i64> &x) const { return list(x); }
  std::string operator()(const std::string &x) const { return x; }
  std::string operator()(bool x) const { return x ? "true" : "false"; }
  std::string operator()(DType x) const { return dtype_name(x); }
};

template <class T> const T *find(const std::vector<Attribute> &attributes, std::string_view name) {
  for (const Attribute &a : attributes)
    if (a.name == name) return &std::get<T>(a.value);
  return nullptr;
}

Shape infer(std::string_view name, const std::vector<Value> &x, const std::vector<Attribute> &attributes) {
  if (auto *shape = find<Shape>(attributes, "shape")) return *shape;
  if (auto *sizes = find<Shape>(attributes, "sizes")) return *sizes;
  Shape s = x.at(0).shape;
  if (name == "transpose") {
    const auto &permutation = *find<Shape>(attributes, "permutation");
    for (size_t i = 0; i < s.size(); ++i) s[i] = x[0].shape[permutation[i]];
  } else if (name == "pad") {
    for (size_t i = 0; i < s.size(); ++i)
      s[i] += (*find<Shape>(attributes, "low"))[i] + (*find<Shape>(attributes, "high"))[i];
  } else if (name == "concat") {
    i64 axis = *find<i64>(attributes, "axis");
    for (size_t i = 1; i < x.size(); ++i) s[axis] += x[i].shape[axis];
  } else if (name == "reduce") {
    const auto &axes = *find<Shape>(attributes, "axes");
    for (size_t i = axes.size(); i-- > 0;) s.erase(s.begin() + axes[i]);
  } else if (name == "matmul") {
    Shape r = x[1].shape;
    if (find<bool>(attributes, "transpose_lhs")) s[s.size() - 2] = s.back();
    s.back() = find<bool>(attributes, "transpose_rhs") ? r[r.size() - 2] : r.back();
  } else if (name == "gather") {
    s = x[1].shape;
    s.insert(s.end(), x[0].shape.begin() + 1, x[0].shape.end());
  } else if (name == "attention") {
    s.back() = x[2].shape.back();
  } else if (name == "select") {
    s = x[1].shape;
  }
  return s;
}

} // namespace

RecordingBuilder::RecordingBuilder() : previous_(set_builder(this)) {}
RecordingBuilder::~RecordingBuilder() { set_builder(previous_); }

Value RecordingBuilder::make(DType dtype, const Shape &shape) { return {next_++, dtype, shape}; }

Value RecordingBuilder::add(const std::string &text, DType dtype, const Shape &shape) {
  Value result = make(dtype, shape);
  ops.push_back({text + " : " + dtype_name(dtype) + " " + shape_text(shape),
                 functions_.empty() ? "" : functions_.back(), path_,
                 lines_.empty() ? SourceLine{} : lines_.front(), result});
  return result;
}

std::string RecordingBuilder::text(const std::string &function) const {
  std::string text;
  for (const RecordedOp &op : ops)
    if (function.empty() || op.function == function)
      text += "%" + std::to_string(op.result.id) + " = " + op.text + "\n";
  return text;
}

int RecordingBuilder::count(const std::string &name, const std::string &function) const {
  return std::count_if(ops.begin(), ops.end(), [&](const RecordedOp &op) {
    return op.text.rfind(name + " ", 0) == 0 && (function.empty() || op.function == function);
  });
}

std::vector<Value> RecordingBuilder::op(std::string_view name, const std::vector<Value> &operands,
                                        const std::vector<Attribute> &attributes) {
  std::string text(name);
  for (const Value &x : operands) text += " %" + std::to_string(x.id);
  for (const Attribute &a : attributes)
    text += " " + std::string(a.name) + "=" + std::visit(AttributeText(), a.value);
  DType dtype = operands.empty() ? DType::f32 : operands[0].dtype;
  if (auto *element = find<DType>(attributes, "element")) dtype = *element;
  if (name == "compare") dtype = DType::boolean;
  if (name == "select") dtype = operands.at(1).dtype;
  std::vector<Value> results = {add(text, dtype, infer(name, operands, attributes))};
  if (name == "attention") {
    Shape rows = operands[0].shape;
    rows.pop_back();
    results.push_back(make(dtype, rows));
  }
  return results;
}

Value RecordingBuilder::constant(DType dtype, const Shape &shape, const std::vector<double> &values) {
  std::string text = "constant";
  for (double x : values) text += " " + number(x);
  return add(text, dtype, shape);
}

Value RecordingBuilder::variable(const Variable &v) {
  Variable known = v;
  if (!repeats_.empty() && v.kind != VariableKind::optimizer) {
    known.layer_begin = repeats_.back().first;
    known.layers = repeats_.back().second - known.layer_begin;
    known.shape.insert(known.shape.begin(), known.layers);
  }
  auto [at, fresh] = variables.emplace(v.path, known);
  if (!fresh && at->second.shape != known.shape)
    throw ModelError("variable " + v.path + " is " + shape_text(known.shape) + " and " +
                     shape_text(at->second.shape));
  return add("variable " + v.path, v.dtype, v.shape);
}

void RecordingBuilder::assign(const std::string &path, Value value) {
  events.push_back("assign " + path + " %" + std::to_string(value.id));
}

std::vector<Value> RecordingBuilder::begin_function(const std::string &name, const std::vector<Value> &like) {
  functions_.push_back(name);
  events.push_back("function " + name);
  std::vector<Value> parameters;
  for (const Value &x : like) parameters.push_back(make(x.dtype, x.shape));
  return parameters;
}

int RecordingBuilder::end_function(const std::vector<Value> &results) {
  events.push_back("end " + functions_.back() + " with " + std::to_string(results.size()));
  functions_.pop_back();
  results_.push_back(results);
  return results_.size() - 1;
}

std::vector<Value> RecordingBuilder::apply(const std::string &text, int function,
                                           const std::vector<Value> &args) {
  std::string line = text + " f" + std::to_string(function);
  for (const Value &x : args) line += " %" + std::to_string(x.id);
  std::vector<Value> out;
  for (const Value &y : results_.at(function)) out.push_back(add(line, y.dtype, y.shape));
  return out;
}

std::vector<Value> RecordingBuilder::call(int function, const std::vector<Value> &args) {
  return apply("call", function, args);
}
std::vector<Value> RecordingBuilder::value_and_grad(int function, const std::vector<Value> &args) {
  std::vector<Value> out = apply("value_and_grad", function, args);
  for (const Value &x : args) out.push_back(make(x.dtype, x.shape));
  return out;
}
std::vector<Value> RecordingBuilder::custom_gradient(int forward, int backward,
                                                     const std::vector<Value> &args) {
  return apply("custom_gradient f" + std::to_string(backward) + " of", forward, args);
}

std::vector<Value> RecordingBuilder::repeat(int body, const std::vector<Value> &carry,
                                            const std::vector<Value> &, i64 begin, i64 end) {
  std::vector<Value> results;
  for (const Value &x : carry)
    results.push_back(
        add("repeat f" + std::to_string(body) + " %" + std::to_string(x.id) + " " + list({begin, end}),
            x.dtype, x.shape));
  return results;
}

void RecordingBuilder::begin_repeat(i64 begin, i64 end) {
  repeats_.emplace_back(begin, end);
  events.push_back("repeat " + list({begin, end}));
}
void RecordingBuilder::end_repeat() { repeats_.pop_back(); }

void RecordingBuilder::begin_entry(const std::string &name, bool) {
  functions_.push_back(name);
  events.push_back("entry " + name);
}

Value RecordingBuilder::input(const std::string &name, DType dtype, const Shape &shape, i64 limit,
                              bool micro) {
  events.push_back("input " + name + " " + dtype_name(dtype) + " " + shape_text(shape) + " limit " +
                   std::to_string(limit) + (micro ? " micro" : ""));
  return make(dtype, shape);
}

void RecordingBuilder::output(const std::string &name, Value value) {
  events.push_back("output " + name + " " + dtype_name(value.dtype) + " " + shape_text(value.shape));
}

void RecordingBuilder::end_entry() { functions_.pop_back(); }

std::vector<Value>
RecordingBuilder::accumulate_gradients(int function, const std::vector<Value> &micro,
                                       std::vector<std::pair<Variable, Value>> &gradients) {
  events.push_back("accumulate_gradients f" + std::to_string(function) + " of " +
                   std::to_string(micro.size()));
  for (const auto &[path, v] : variables)
    if (v.kind == VariableKind::parameter)
      gradients.emplace_back(v, add("gradient " + path, v.dtype, v.shape));
  std::reverse(gradients.begin(), gradients.end()); // any order will do
  std::vector<Value> sums;
  for (const Value &result : results_.at(function)) sums.push_back(add("loss", result.dtype, result.shape));
  return sums;
}

Value RecordingBuilder::sum_over_parameters(const std::vector<std::pair<Variable, Value>> &partial) {
  std::vector<Value> sums;
  for (const auto &[variable, value] : partial) sums.push_back(value);
  std::vector<Value> all = op("concat", sums, {{"axis", i64(0)}});
  return op("reduce", all, {{"kind", i64(0)}, {"axes", std::vector<i64>{0}}})[0];
}

} // namespace weft::testing
