// The ops of random programs: an operand is one made before or a new argument, and values are kept tame.
#include "tests/compiler/program/random_block.h"
#include <numeric>

namespace weft::testing::generator {

Val Block::want(const Shape &shape, char element) {
  std::vector<Val> fits;
  for (const Val &v : pool)
    if (v.shape == shape && v.element == element) fits.push_back(v);
  if (!fits.empty() && !c.chance(10)) return fits[c.below(fits.size())];
  Val v{c.name(), shape, element, element == 'f' ? 2.0 : 9.0, true};
  if (!outer) {
    args.push_back(v);
  } else {
    Shape stack{stackLength};
    stack.insert(stack.end(), shape.begin(), shape.end());
    bool slice = c.chance(40) && graph::numElements(stack) <= 4 * kLargest;
    Val from = outer->want(slice ? stack : shape, element);
    v.bound = from.bound;
    v.exact = from.exact;
    v.positive = from.positive;
    (slice ? stacked : invariant).push_back({v, from});
  }
  pool.push_back(v);
  return v;
}

void Block::elementwise() {
  Val x = recent();
  if (x.element == 'i') {
    if (c.chance(50)) {
      emit("graph.cast " + x.name + " to f32 : " + x.type(), {"", x.shape, 'f', x.bound, x.exact});
      return;
    }
    Val y = tame(want(x.shape), 50), z = tame(want(x.shape), 50), other = want(x.shape, 'i');
    const char *predicates[] = {"eq", "ne", "lt", "le", "gt", "ge"};
    std::string mask = c.name();
    body += "  " + mask + " = graph.compare " + predicates[c.below(6)] + " " + x.name + ", " + other.name +
            " : " + x.type() + "\n";
    emit("graph.select " + mask + ", " + y.name + ", " + z.name + " : tensor<" +
             graph::describe(x.shape, Element::i1) + ">, " + y.type(),
         {"", x.shape, 'f', std::max(y.bound, z.bound), y.exact && z.exact});
    return;
  }
  auto binary = [&](const char *op, const Val &a, const Val &b, double bound) {
    emit(std::string("graph.") + op + " " + a.name + ", " + b.name + " : " + a.type(),
         {"", a.shape, 'f', bound});
  };
  switch (c.below(12)) {
  case 0:
    unary("sin", x, 1);
    break;
  case 1:
    unary("neg", x, x.bound);
    break;
  case 2:
    unary("tanh", x, 1);
    break;
  case 3:
    x = tame(x, 3);
    unary("exp", x, 21, true);
    break;
  case 4:
    x = tame(x, 3);
    unary("sigmoid", x, 1, true);
    break;
  case 5:
    if (x.positive)
      unary(c.chance(50) ? "sqrt" : c.chance(50) ? "log" : "rsqrt", x, 5);
    else
      unary("abs", x, x.bound);
    break;
  case 6:
    if (Val y = want(x.shape); y.positive) return binary("div", x, y, x.bound * 21);
    unary("cos", x, 1);
    break;
  case 7:
    if (x.exact) {
      Val k = emit("graph.constant dense<0.1237> : " + x.type(), {"", x.shape, 'f', 1});
      Val y = want(x.shape);
      std::string mask = c.name();
      body += "  " + mask + " = graph.compare gt " + x.name + ", " + k.name + " : " + x.type() + "\n";
      emit("graph.select " + mask + ", " + y.name + ", " + x.name + " : tensor<" +
               graph::describe(x.shape, Element::i1) + ">, " + y.type(),
           {"", x.shape, 'f', std::max(x.bound, y.bound)});
      break;
    }
    [[fallthrough]];
  default:
    Val y = want(x.shape);
    switch (c.below(5)) {
    case 0:
      return binary("add", x, y, x.bound + y.bound);
    case 1:
      return binary("sub", x, y, x.bound + y.bound);
    case 2:
      return binary("max", x, y, std::max(x.bound, y.bound));
    case 3:
      return binary("min", x, y, std::max(x.bound, y.bound));
    default:
      x = tame(x, 8), y = tame(y, 8);
      return binary("mul", x, y, x.bound * y.bound);
    }
  }
}

void Block::moving() {
  Val x = recent(), out = x;
  out.positive = x.positive;
  int64_t rank = x.shape.size();
  switch (c.below(7)) {
  case 0: { // new dimensions in front, between and behind; unit ones spread
    Shape shape, dims;
    for (int64_t d = 0; d <= rank; ++d) {
      if (shape.size() < 4 && c.chance(35)) shape.push_back(c.sizes[c.below(3)]);
      if (d == rank) break;
      dims.push_back(shape.size());
      shape.push_back(x.shape[d] == 1 && c.chance(50) ? c.sizes[c.below(3)] : x.shape[d]);
    }
    if (shape.size() > 4 || graph::numElements(shape) > kLargest) return;
    out.shape = shape;
    emit("graph.broadcast " + x.name + " dims = " + list(dims) + " shape = " + list(shape) + " : " + x.type(),
         out);
    return;
  }
  case 1: {
    if (rank < 2) return;
    Shape permutation(rank);
    std::iota(permutation.begin(), permutation.end(), 0);
    for (int64_t d = rank - 1; d > 0; --d) std::swap(permutation[d], permutation[c.below(d + 1)]);
    for (int64_t d = 0; d < rank; ++d) out.shape[d] = x.shape[permutation[d]];
    emit("graph.transpose " + x.name + " permutation = " + list(permutation) + " : " + x.type(), out);
    return;
  }
  case 2: {
    Shape shape;
    int64_t left = x.size();
    for (int64_t s : {c.sizes[c.below(3)], c.sizes[c.below(3)]})
      if (left % s == 0) shape.push_back(s), left /= s;
    if (left != 1 || c.chance(30)) shape.insert(shape.begin() + c.below(shape.size() + 1), left);
    out.shape = shape;
    emit("graph.reshape " + x.name + " shape = " + list(shape) + " : " + x.type(), out);
    return;
  }
  case 3: {
    Shape offsets, sizes;
    for (int64_t d : x.shape) {
      offsets.push_back(c.chance(50) ? 0 : c.below(d));
      sizes.push_back(c.chance(40) ? d - offsets.back() : 1 + c.below(d - offsets.back()));
    }
    out.shape = sizes;
    emit("graph.slice " + x.name + " offsets = " + list(offsets) + " sizes = " + list(sizes) + " : " +
             x.type(),
         out);
    return;
  }
  case 4: {
    if (rank == 0) return;
    int64_t axis = c.below(rank);
    Val y = want(x.shape, x.element);
    out.shape[axis] *= 2;
    out.bound = std::max(x.bound, y.bound);
    out.exact = x.exact && y.exact;
    out.positive = x.positive && y.positive;
    if (out.size() > kLargest) return;
    emit("graph.concat " + x.name + ", " + y.name + " axis = " + std::to_string(axis) + " : " + x.type() +
             ", " + y.type(),
         out);
    return;
  }
  case 5: {
    Shape low, high;
    for (int64_t &d : out.shape) {
      low.push_back(c.below(3));
      high.push_back(c.below(3));
      d += low.back() + high.back();
    }
    out.positive = false;
    if (out.size() > kLargest) return;
    emit("graph.pad " + x.name + " low = " + list(low) + " high = " + list(high) + " : " + x.type(), out);
    return;
  }
  default: // alone, it is the identity; no kernel absorbs it
    emit("dist.all_reduce data " + x.name + " : " + x.type(), out);
  }
}

void Block::reduction() {
  Val x = tame(recentFloat(), 4);
  int64_t rank = x.shape.size();
  if (rank == 0) return;
  Shape axes, kept;
  if (c.chance(50)) {
    for (int64_t d = rank - 1 - c.below(rank); d < rank; ++d) axes.push_back(d);
  } else {
    for (int64_t d = 0; d + 1 < rank; ++d)
      if (c.chance(60)) axes.push_back(d);
    if (axes.empty()) return;
  }
  double terms = 1;
  for (int64_t d = 0; d < rank; ++d)
    if (llvm::is_contained(axes, d))
      terms *= x.shape[d];
    else
      kept.push_back(x.shape[d]);
  Val out{"", kept, 'f', x.bound};
  std::string tail = " axes = " + list(axes) + " : (" + x.type();
  if (c.chance(30)) {
    emit("graph.reduce max " + x.name + tail + ") -> " + out.type(), out);
  } else if (axes.back() != rank - 1 && c.chance(60)) {
    Val acc = want(kept);
    out.bound = x.bound * terms + acc.bound;
    emit("graph.reduce sum " + x.name + " acc " + acc.name + tail + ", " + acc.type() + ") -> " + out.type(),
         out);
  } else {
    out.bound = x.bound * terms;
    emit("graph.reduce sum " + x.name + tail + ") -> " + out.type(), out);
  }
}

void Block::product() {
  Val a = recentFloat();
  if (a.shape.size() < 2) a = want(c.shape(2));
  a = tame(a, 2);
  size_t rank = a.shape.size();
  bool transposeRight = c.chance(40), shared = rank > 2 && c.chance(50),
       transposeLeft = !shared && c.chance(30);
  int64_t m = a.shape[rank - 2], k = a.shape[rank - 1], n = c.sizes[c.below(3)];
  if (transposeLeft) std::swap(m, k);
  Shape right(a.shape.begin(), a.shape.end() - 2), out = right;
  if (shared) right.clear();
  right.push_back(transposeRight ? n : k);
  right.push_back(transposeRight ? k : n);
  out.push_back(m);
  out.push_back(n);
  if (graph::numElements(out) > kLargest || graph::numElements(right) > kLargest) return;
  Val b = tame(want(right), 2);
  Val y{"", out, 'f', a.bound * b.bound * double(k)};
  std::string acc, accType,
      flags = transposeLeft && transposeRight ? " {transpose_lhs, transpose_rhs}"
              : transposeLeft                 ? " {transpose_lhs}"
              : transposeRight                ? " {transpose_rhs}"
                                              : "";
  if (c.chance(40)) {
    Val start = want(out);
    y.bound += start.bound;
    acc = " acc " + start.name;
    accType = ", " + start.type();
  }
  emit("graph.matmul " + a.name + ", " + b.name + acc + flags + " : (" + a.type() + ", " + b.type() +
           accType + ") -> " + y.type(),
       y);
}

void Block::rows() {
  Val table = recentFloat();
  if (table.shape.empty()) return;
  Val index =
      want(c.chance(50) ? Shape{c.sizes[c.below(3)]} : Shape{c.sizes[c.below(3)], c.sizes[c.below(3)]}, 'i');
  Shape picked = index.shape;
  picked.insert(picked.end(), table.shape.begin() + 1, table.shape.end());
  if (graph::numElements(picked) > kLargest) return;
  Val out = table;
  if (c.chance(50)) {
    out.shape = picked;
    emit("graph.gather " + table.name + ", " + index.name + " : (" + table.type() + ", " + index.type() +
             ") -> " + out.type(),
         out);
    return;
  }
  Val updates = tame(want(picked), 2);
  out.bound += updates.bound * double(index.size());
  out.exact = out.positive = false;
  emit("graph.scatter_add " + table.name + ", " + index.name + ", " + updates.name + " : (" + table.type() +
           ", " + index.type() + ", " + updates.type() + ") -> " + out.type(),
       out);
}

// In the entry only: reads, and writes of anything that fits.
void Block::variable() {
  if (c.variableValues.empty() || (c.variableValues.size() < 4 && c.chance(30))) {
    Val v = c.variableValues.empty() || c.chance(50) ? recentFloat() : c.variableValues.back();
    v.name = "@x" + std::to_string(c.variableValues.size());
    c.variableValues.push_back(v);
    c.variables += "graph.variable " + v.name + " : " + v.type() + " {kind = 0 : i64, init = 0 : i64}\n";
  }
  Val v = c.variableValues[c.below(c.variableValues.size())];
  if (c.chance(50)) {
    emit("graph.read " + v.name + " : " + v.type(), {"", v.shape, 'f', 4});
  } else {
    Val value = tame(want(v.shape), 4);
    body += "  graph.write " + v.name + ", " + value.name + " : " + v.type() + "\n";
  }
}

} // namespace weft::testing::generator
