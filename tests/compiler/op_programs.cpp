// Every operator, a line an operator and shape.
#include "tests/compiler/op_programs.h"

namespace weft::testing {
namespace {

HostTensor real(llvm::ArrayRef<int64_t> shape, uint32_t seed = 1, double low = -1, double high = 1) {
  return randomTensor(shape, seed, low, high);
}
HostTensor ints(llvm::ArrayRef<int64_t> shape, std::vector<double> values) {
  return tensor(shape, std::move(values), Element::i32);
}
HostTensor bits(llvm::ArrayRef<int64_t> shape, uint32_t seed) {
  return randomTensor(shape, seed, 0, 2, Element::i1);
}
std::string typeOf(const HostTensor &t) { return "tensor<" + graph::describe(t.shape, t.element) + ">"; }

const std::vector<std::vector<int64_t>> kShapes = {{}, {1}, {7}, {3, 5}, {2, 1, 3}, {2, 1, 3, 2}};

struct Row {
  std::string op;
  Tensors operands;
  std::vector<std::vector<int64_t>> results;
};
std::vector<Program> programs(const std::vector<Row> &table) {
  std::vector<Program> all;
  for (const Row &row : table) all.push_back(opProgram(row.op, row.operands, row.results));
  return all;
}

} // namespace

Program opProgram(std::string op, const Tensors &args,
                  const std::vector<std::vector<int64_t>> &resultShapes) {
  std::string what = op, signature, body, total;
  auto substitute = [&](const std::string &from, const std::string &to) {
    for (size_t p; (p = op.find(from)) != std::string::npos;) op.replace(p, from.size(), to);
  };
  for (size_t i = 0; i < args.size(); ++i) {
    signature += (i ? ", %" : "%") + std::to_string(i) + ": " + typeOf(args[i]);
    substitute("$" + std::to_string(i), typeOf(args[i]));
    what += " " + graph::describe(args[i].shape, args[i].element);
  }
  Tensors all = args;
  std::string names;
  for (size_t r = 0; r < resultShapes.size(); ++r) {
    HostTensor weights = randomTensor(resultShapes[r], 77 + r, 0.5, 2);
    std::string type = typeOf(weights), n = std::to_string(r);
    substitute(r ? "$s" : "$r", type);
    names += (r ? ", %r" : "%r") + n;
    signature += ", %w" + n + ": " + type;
    body += " %m" + n + " = graph.mul %r" + n + ", %w" + n + " : " + type + "\n";
    std::string sum = "%m" + n;
    if (!resultShapes[r].empty()) {
      std::string axes;
      for (size_t d = 0; d < resultShapes[r].size(); ++d) axes += (d ? ", " : "") + std::to_string(d);
      body += " %t" + n + " = graph.reduce sum %m" + n + " axes = [" + axes + "] : (" + type +
              ") -> tensor<f64>\n";
      sum = "%t" + n;
    }
    if (r) body += " %u" + n + " = graph.add " + total + ", " + sum + " : tensor<f64>\n";
    total = r ? "%u" + n : sum;
    all.push_back(weights);
  }
  return {what,
          "func.func @f(" + signature + ") -> tensor<f64> {\n " + names + " = " + op + "\n" + body +
              " return " + total + " : tensor<f64>\n}",
          all};
}

std::vector<size_t> differentiableArguments(const Program &p) {
  std::vector<size_t> which;
  for (size_t i = 0; i < p.args.size(); ++i)
    if (p.args[i].isFloat()) which.push_back(i);
  return which;
}

Program withGradient(const Program &p) {
  std::string signature, names, types, results = "tensor<f64>", accNames, accTypes, wrt, grads;
  Tensors all = p.args;
  for (size_t i = 0; i < p.args.size(); ++i) {
    std::string n = "%" + std::to_string(i), comma = i ? ", " : "";
    signature += comma + n + ": " + typeOf(p.args[i]);
    names += comma + n;
    types += comma + typeOf(p.args[i]);
    if (!p.args[i].isFloat()) continue;
    std::string c = wrt.empty() ? "" : ", ";
    wrt += c + std::to_string(i);
    accNames += c + "%acc" + std::to_string(i);
    accTypes += ", " + typeOf(p.args[i]);
    grads += ", %g" + std::to_string(i);
    results += ", " + typeOf(p.args[i]);
  }
  for (size_t i : differentiableArguments(p)) {
    signature += ", %acc" + std::to_string(i) + ": " + typeOf(p.args[i]);
    all.push_back(randomTensor(p.args[i].shape, 1000 + i));
  }
  return {p.what,
          p.text + "\nfunc.func @gradient(" + signature + ") -> (" + results + ") {\n %v" + grads +
              " = graph.value_and_grad @f(" + names + ") acc(" + accNames + ") wrt [" + wrt + "] : (" +
              types + accTypes + ") -> (" + results + ")\n return %v" + grads + " : " + results + "\n}\n",
          all};
}

std::vector<Program> unaryPrograms() {
  std::vector<Program> all;
  auto add = [&](const std::vector<Row> &table) { llvm::append_range(all, programs(table)); };
  for (auto &shape : kShapes)
    for (const char *name : {"neg", "exp", "log", "sqrt", "rsqrt", "tanh", "sigmoid", "sin", "cos", "abs"}) {
      bool positive = llvm::is_contained({"log", "sqrt", "rsqrt"}, llvm::StringRef(name));
      add({{std::string("graph.") + name + " %0 : $0", {real(shape, 3, positive ? 0.3 : -2, 2)}, {shape}}});
    }
  return all;
}

std::vector<Program> binaryPrograms() {
  std::vector<Program> all;
  auto add = [&](const std::vector<Row> &table) { llvm::append_range(all, programs(table)); };
  for (auto &shape : kShapes)
    for (const char *name : {"add", "sub", "mul", "div", "max", "min", "pow"})
      add({{std::string("graph.") + name + " %0, %1 : $0",
            {real(shape, 1, 0.4, 2), real(shape, 2, 0.4, 2)},
            {shape}}});
  return all;
}

std::vector<Program> repeatedOperandPrograms() {
  return programs({{"graph.mul %0, %0 : $0", {real({3, 5})}, {{3, 5}}},
                   {"graph.div %0, %0 : $0", {real({5}, 1, 1, 2)}, {{5}}},
                   {"graph.matmul %0, %0 {transpose_rhs} : ($0, $0) -> $r", {real({3, 5})}, {{3, 3}}},
                   {"graph.matmul %0, %0 : ($0, $0) -> $r", {real({3, 3})}, {{3, 3}}},
                   {"graph.concat %0, %0 axis = 0 : $0, $0", {real({2, 3})}, {{4, 3}}}});
}

std::vector<Program> selectAndCastPrograms() {
  return programs(
      {{"graph.select %0, %1, %2 : $0, $1", {bits({3, 5}, 1), real({3, 5}, 2), real({3, 5}, 3)}, {{3, 5}}},
       {"graph.select %0, %1, %1 : $0, $1", {bits({7}, 1), real({7}, 2)}, {{7}}},
       {"graph.cast %0 to f64 : $0", {real({3})}, {{3}}}});
}

std::vector<Program> movingPrograms() {
  return programs(
      {{"graph.broadcast %0 dims = [] shape = [2, 3] : $0", {real({})}, {{2, 3}}},
       {"graph.broadcast %0 dims = [1] shape = [2, 3, 5] : $0", {real({3})}, {{2, 3, 5}}},
       {"graph.broadcast %0 dims = [2] shape = [2, 3, 5] : $0", {real({5})}, {{2, 3, 5}}},
       {"graph.broadcast %0 dims = [0, 2] shape = [2, 3, 5] : $0", {real({2, 5})}, {{2, 3, 5}}},
       {"graph.broadcast %0 dims = [0, 1] shape = [2, 7] : $0", {real({2, 1})}, {{2, 7}}},
       {"graph.broadcast %0 dims = [0, 1, 2] shape = [3, 2, 7] : $0", {real({1, 2, 1})}, {{3, 2, 7}}},
       {"graph.reshape %0 shape = [5, 6] : $0", {real({2, 3, 5})}, {{5, 6}}},
       {"graph.reshape %0 shape = [] : $0", {real({1, 1})}, {{}}},
       {"graph.transpose %0 permutation = [2, 0, 1] : $0", {real({2, 3, 5})}, {{5, 2, 3}}},
       {"graph.transpose %0 permutation = [0, 2, 1, 3] : $0", {real({2, 3, 1, 2})}, {{2, 1, 3, 2}}},
       {"graph.slice %0 offsets = [1, 0, 2] sizes = [1, 3, 2] : $0", {real({2, 3, 5})}, {{1, 3, 2}}},
       {"graph.pad %0 low = [1, 0] high = [0, 2] : $0", {real({2, 3})}, {{3, 5}}},
       {"graph.concat %0, %1, %2 axis = 1 : $0, $1, $2",
        {real({2, 3}), real({2, 1}, 2), real({2, 2}, 3)},
        {{2, 6}}}});
}

// Constants of one value a position, as tables along the last, an outer and both dimensions.
std::vector<Program> tablePrograms() {
  auto with = [](const std::string &table) {
    return Program{"a table",
                   R"(func.func @f(%x: tensor<2x3xf64>) -> tensor<f64> {
    )" + table + R"(
    %y = graph.mul %x, %t : tensor<2x3xf64>
    %z = graph.sin %y : tensor<2x3xf64>
    %r = graph.reduce sum %z axes = [0, 1] : (tensor<2x3xf64>) -> tensor<f64>
    return %r : tensor<f64>
  })",
                   {real({2, 3})}};
  };
  return {with("%c = graph.constant dense<[1.0, 2.5, -0.5]> : tensor<3xf64>\n"
               "%t = graph.broadcast %c dims = [1] shape = [2, 3] : tensor<3xf64>"),
          with("%c = graph.constant dense<[0.25, -3.0]> : tensor<2xf64>\n"
               "%t = graph.broadcast %c dims = [0] shape = [2, 3] : tensor<2xf64>"),
          with("%t = graph.constant dense<[[1.0, 2.0, 3.0], [-1.0, 0.5, 4.0]]> : tensor<2x3xf64>"),
          with("%i = graph.constant dense<[[1, 2, 3], [0, -7, 4]]> : tensor<2x3xi32>\n"
               "%t = graph.cast %i to f64 : tensor<2x3xi32>")};
}

std::vector<Program> reductionPrograms() {
  std::vector<Program> all;
  auto add = [&](const std::vector<Row> &table) { llvm::append_range(all, programs(table)); };
  add({{"graph.reduce sum %0 axes = [0] : ($0) -> $r", {real({7})}, {{}}},
       {"graph.reduce sum %0 axes = [2] : ($0) -> $r", {real({2, 3, 5})}, {{2, 3}}},
       {"graph.reduce sum %0 axes = [1, 2] : ($0) -> $r", {real({2, 3, 5})}, {{2}}},
       {"graph.reduce sum %0 axes = [0, 1] : ($0) -> $r", {real({2, 3, 5})}, {{5}}},
       {"graph.reduce sum %0 axes = [1] : ($0) -> $r", {real({2, 3, 5})}, {{2, 5}}},
       {"graph.reduce sum %0 acc %1 axes = [0, 1] : ($0, $1) -> $r", {real({2, 3, 5}), real({5}, 2)}, {{5}}},
       {"graph.reduce max %0 axes = [2] : ($0) -> $r", {real({2, 3, 5})}, {{2, 3}}},
       {"graph.reduce max %0 axes = [0] : ($0) -> $r", {real({7, 2})}, {{2}}},
       {"graph.reduce max %0 axes = [1] : ($0) -> $r", {real({3, 1})}, {{3}}}});
  return all;
}

std::vector<Program> productPrograms() {
  std::vector<Program> all;
  auto add = [&](const std::vector<Row> &table) { llvm::append_range(all, programs(table)); };
  for (auto [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{1, 1, 1}, {3, 5, 7}, {1, 5, 2}, {5, 1, 3}}) {
    HostTensor a = real({m, k}), at = real({k, m}), b = real({k, n}, 2), bt = real({n, k}, 2),
               acc = real({m, n}, 3);
    add({{"graph.matmul %0, %1 : ($0, $1) -> $r", {a, b}, {{m, n}}},
         {"graph.matmul %0, %1 {transpose_rhs} : ($0, $1) -> $r", {a, bt}, {{m, n}}},
         {"graph.matmul %0, %1 {transpose_lhs} : ($0, $1) -> $r", {at, b}, {{m, n}}},
         {"graph.matmul %0, %1 {transpose_lhs, transpose_rhs} : ($0, $1) -> $r", {at, bt}, {{m, n}}},
         {"graph.matmul %0, %1 acc %2 : ($0, $1, $2) -> $r", {a, b, acc}, {{m, n}}},
         {"graph.matmul %0, %1 acc %2 {transpose_rhs} : ($0, $1, $2) -> $r", {a, bt, acc}, {{m, n}}}});
  }
  add({{"graph.matmul %0, %1 : ($0, $1) -> $r", {real({2, 2, 1, 3}), real({2, 2, 3, 5}, 2)}, {{2, 2, 1, 5}}},
       {"graph.matmul %0, %1 {transpose_lhs} : ($0, $1) -> $r",
        {real({2, 3, 1}), real({2, 3, 5}, 2)},
        {{2, 1, 5}}},
       {"graph.matmul %0, %1 {transpose_rhs} : ($0, $1) -> $r",
        {real({2, 1, 3}), real({2, 5, 3}, 2)},
        {{2, 1, 5}}},
       {"graph.matmul %0, %1 {transpose_lhs, transpose_rhs} : ($0, $1) -> $r",
        {real({2, 3, 2}), real({2, 5, 3}, 2)},
        {{2, 2, 5}}},
       {"graph.matmul %0, %1 : ($0, $1) -> $r", {real({2, 3, 5}), real({5, 2}, 2)}, {{2, 3, 2}}},
       {"graph.matmul %0, %1 {transpose_rhs} : ($0, $1) -> $r",
        {real({2, 1, 3, 5}), real({2, 5}, 2)},
        {{2, 1, 3, 2}}}});
  return all;
}

std::vector<Program> rowPrograms() {
  std::vector<Program> all;
  auto add = [&](const std::vector<Row> &table) { llvm::append_range(all, programs(table)); };
  HostTensor tokens = ints({2, 3}, {2, 0, 2, 3, -1, 9});
  add({{"graph.gather %0, %1 : ($0, $1) -> $r", {real({4, 3}), tokens}, {{2, 3, 3}}},
       {"graph.gather %0, %1 : ($0, $1) -> $r", {real({4}), tokens}, {{2, 3}}},
       {"graph.scatter_add %0, %1, %2 : ($0, $1, $2) -> $r",
        {real({4, 3}), tokens, real({2, 3, 3}, 2)},
        {{4, 3}}},
       {"graph.write_rows %0, %1, %2 : ($0, $1, $2) -> $r",
        {real({2, 5, 2}), ints({2, 2}, {4, 0, 2, 3}), real({2, 2, 2}, 2)},
        {{2, 5, 2}}},
       {"graph.write_rows %0, %1, %2 : ($0, $1, $2) -> $r",
        {real({1, 3, 2}), ints({1, 3}, {1, 9, 0}), real({1, 3, 2}, 2)},
        {{1, 3, 2}}}});
  return all;
}

// Two documents of 3 and 4 tokens in one row, causal within each; and odd ranges, empty ones too.
std::vector<Program> attentionPrograms() {
  std::vector<Program> all;
  auto add = [&](const std::vector<Row> &table) { llvm::append_range(all, programs(table)); };
  std::string op =
      "graph.attention %0, %1, %2 range %3, %4 {scale = 0.6 : f64} : ($0, $1, $2, $3, $4) -> ($r, $s)";
  HostTensor documents = ints({1, 7}, {0, 0, 0, 3, 3, 3, 3}), causal = ints({1, 7}, {1, 2, 3, 4, 5, 6, 7});
  add({{op,
        {real({1, 7, 2, 3}), real({1, 7, 2, 3}, 2), real({1, 7, 2, 3}, 3), documents, causal},
        {{1, 7, 2, 3}, {1, 7, 2}}},
       {op,
        {real({1, 7, 4, 2}), real({1, 7, 2, 2}, 2), real({1, 7, 2, 3}, 3), documents, causal},
        {{1, 7, 4, 3}, {1, 7, 4}}},
       {op,
        {real({2, 2, 3, 1}), real({2, 5, 1, 1}, 2), real({2, 5, 1, 2}, 3), ints({2, 2}, {0, 3, 2, -1}),
         ints({2, 2}, {5, 3, 9, 1})},
        {{2, 2, 3, 2}, {2, 2, 3}}}});
  return all;
}

// Experts with many rows, one and none.
std::vector<Program> routingPrograms() {
  std::vector<Program> all;
  auto add = [&](const std::vector<Row> &table) { llvm::append_range(all, programs(table)); };
  for (int64_t k : {1, 2, 5}) {
    std::string kept = "tensor<3x" + std::to_string(k) + "x";
    std::string text = "func.func @f(%x: tensor<3x5xf64>, %w: KEPTf64>) -> tensor<f64> {\n"
                       "%v, %i = graph.top_k %x k = " +
                       std::to_string(k) +
                       " : (tensor<3x5xf64>) -> (KEPTf64>, KEPTi32>)\n"
                       "%c = graph.cast %i to f64 : KEPTi32>\n"
                       "%m = graph.mul %v, %w : KEPTf64>\n"
                       "%n = graph.add %m, %c : KEPTf64>\n"
                       "%o = graph.mul %n, %n : KEPTf64>\n"
                       "%r = graph.reduce sum %o axes = [0, 1] : (KEPTf64>) -> tensor<f64>\n"
                       "return %r : tensor<f64>\n}";
    for (size_t at; (at = text.find("KEPT")) != std::string::npos;) text.replace(at, 4, kept);
    all.push_back({"top_k " + std::to_string(k), text, {real({3, 5}), real({3, k}, 2)}});
  }
  HostTensor choices = ints({4, 2}, {2, 0, 2, 3, -1, 9, 0, 2});
  HostTensor token = ints({8}, {0, 2, 3, 0, 1, 3, 1, 2}), place = ints({4, 2}, {3, 0, 4, 6, 1, 7, 2, 5});
  for (std::string segments : {"1", "2"}) {
    std::string offsets = segments == "1" ? "tensor<5xi32>" : "tensor<9xi32>";
    std::string text =
        R"(func.func @f(%i: tensor<4x2xi32>, %x: tensor<4x3xf64>, %w: tensor<4x5x3xf64>) -> tensor<f64> {
      %o, %t, %p, %f = graph.sort_by_expert %i experts = 4 segments = SEGMENTS : (tensor<4x2xi32>) -> (tensor<8xi32>, tensor<8xi32>, tensor<4x2xi32>, OFFSETS)
      %s = graph.dispatch %x, %t, %p : (tensor<4x3xf64>, tensor<8xi32>, tensor<4x2xi32>) -> tensor<8x3xf64>
      %y = graph.grouped_matmul %s, %w, %f {transpose_rhs} : (tensor<8x3xf64>, tensor<4x5x3xf64>, OFFSETS) -> tensor<8x5xf64>
      %z = graph.sin %y : tensor<8x5xf64>
      %n = graph.cast %o to f64 : tensor<8xi32>
      %nb = graph.broadcast %n dims = [0] shape = [8, 5] : tensor<8xf64>
      %u = graph.mul %z, %nb : tensor<8x5xf64>
      %c = graph.collect %u, %p, %t : (tensor<8x5xf64>, tensor<4x2xi32>, tensor<8xi32>) -> tensor<4x5xf64>
      %q = graph.mul %c, %c : tensor<4x5xf64>
      %a = graph.reduce sum %q axes = [0, 1] : (tensor<4x5xf64>) -> tensor<f64>
      %fc = graph.cast %f to f64 : OFFSETS
      %b = graph.reduce sum %fc axes = [0] : (OFFSETS64) -> tensor<f64>
      %r = graph.add %a, %b : tensor<f64>
      return %r : tensor<f64>
    })";
    auto substitute = [&](const std::string &from, const std::string &to) {
      for (size_t at; (at = text.find(from)) != std::string::npos;) text.replace(at, from.size(), to);
    };
    substitute("OFFSETS64", segments == "1" ? "tensor<5xf64>" : "tensor<9xf64>");
    substitute("OFFSETS", offsets);
    substitute("SEGMENTS", segments);
    // Several segments an expert come only after differentiating: there, the weights are no argument.
    HostTensor weights = real({4, 5, 3}, 2);
    if (segments == "2") {
      substitute("%w: tensor<4x5x3xf64>", "%wide: tensor<4x5x3xi32>");
      text.insert(text.find("%s = graph.dispatch"), "%w = graph.cast %wide to f64 : tensor<4x5x3xi32>\n");
      weights = randomTensor({4, 5, 3}, 2, -3, 4, Element::i32);
    }
    all.push_back({"experts, segments " + segments, text, {choices, real({4, 3}), weights}});
  }
  HostTensor gates = real({8}), rows = real({8, 3});
  HostTensor order = ints({8}, {1, 4, 6, 0, 2, 7, 3, 5}), inverse = ints({8, 1}, {3, 0, 4, 6, 1, 7, 2, 5});
  add({{"graph.dispatch %0, %1, %2 : ($0, $1, $2) -> $r", {gates, order, inverse}, {{8}}},
       {"graph.collect %0, %1, %2 : ($0, $1, $2) -> $r", {gates, inverse, order}, {{8}}},
       {"graph.collect %0, %1, %2 : ($0, $1, $2) -> $r", {gates, place, token}, {{4}}},
       {"graph.collect %0, %1, %2 : ($0, $1, $2) -> $r", {rows, place, token}, {{4, 3}}}});
  HostTensor offsets = ints({5}, {0, 5, 5, 6, 8}), one = ints({2}, {0, 8});
  add({{"graph.grouped_matmul %0, %1, %2 : ($0, $1, $2) -> $r",
        {real({8, 3}), real({4, 3, 5}, 2), offsets},
        {{8, 5}}},
       {"graph.grouped_matmul %0, %1, %2 {transpose_rhs} : ($0, $1, $2) -> $r",
        {real({8, 1}), real({1, 7, 1}, 2), one},
        {{8, 7}}},
       {"graph.grouped_outer %0, %1, %2 : ($0, $1, $2) -> $r",
        {real({8, 3}), real({8, 5}, 2), offsets},
        {{4, 3, 5}}},
       {"graph.grouped_outer %0, %1, %2 acc %3 : ($0, $1, $2, $3) -> $r",
        {real({8, 3}), real({8, 1}, 2), offsets, real({4, 3, 1}, 3)},
        {{4, 3, 1}}}});
  return all;
}

} // namespace weft::testing
