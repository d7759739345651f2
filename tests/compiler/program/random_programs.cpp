// Repeats, which hold functions of their own, and whole programs. The ops are in random_ops.cpp.
#include "tests/compiler/program/random_programs.h"
#include "tests/compiler/program/random_block.h"

namespace weft::testing {
namespace generator {

void Block::repeat() {
  int64_t trips = c.chance(5) ? 0 : 1 + c.below(3), begin = c.below(2), end = begin + trips;
  Block in(c, this);
  in.depth = depth + 1;
  in.stackLength = std::max<int64_t>(end + c.below(2), 1);
  std::vector<Val> carry;
  for (int64_t i = c.below(4); i > 0; --i) {
    Val v = c.chance(50) && !carry.empty() ? want(carry.back().shape) : recentFloat();
    carry.push_back(tame(v, 4));
    Val inside{c.name(), v.shape, 'f', 4};
    in.args.push_back(inside);
    in.pool.push_back(inside);
  }
  for (int64_t i = 3 + c.below(6); i > 0; --i) in.op();

  std::vector<Val> returned, results;
  std::vector<int64_t> tied;
  for (const Val &v : carry) {
    Val next = in.tame(in.want(v.shape), 4);
    returned.push_back(next);
    results.push_back({"", v.shape, 'f', 4});
  }
  for (int64_t i = trips ? c.below(3) : 0; i > 0 || (results.empty() && trips); --i) {
    if (!in.stacked.empty() && c.chance(50)) {
      size_t which = c.below(in.stacked.size());
      auto [slice, stack] = in.stacked[which];
      Val v = in.tame(in.want(slice.shape, slice.element), 50);
      returned.push_back(v);
      tied.push_back(which);
      results.push_back({"", stack.shape, stack.element, std::max(v.bound, stack.bound)});
    } else {
      Val v = in.recent();
      Shape stack{trips};
      stack.insert(stack.end(), v.shape.begin(), v.shape.end());
      returned.push_back(v);
      tied.push_back(-1);
      results.push_back({"", stack, v.element, v.bound});
    }
  }
  if (results.empty()) return;

  std::string name = "@body" + std::to_string(c.numNames++), signature, operands[3], operandTypes, names,
              resultTypes, innerNames, innerTypes;
  auto append = [](std::string &to, const std::string &what) { to += (to.empty() ? "" : ", ") + what; };
  auto operand = [&](int group, const Val &inside, const Val &outside) {
    append(signature, inside.name + ": " + inside.type());
    append(operands[group], outside.name);
    append(operandTypes, outside.type());
  };
  for (size_t i = 0; i < carry.size(); ++i) operand(0, in.args[i], carry[i]);
  for (auto &[inside, outside] : in.stacked) operand(1, inside, outside);
  for (auto &[inside, outside] : in.invariant) operand(2, inside, outside);
  for (size_t i = 0; i < results.size(); ++i) {
    results[i].name = c.name();
    append(names, results[i].name);
    append(resultTypes, results[i].type());
    append(innerNames, returned[i].name);
    append(innerTypes, returned[i].type());
    pool.push_back(results[i]);
  }
  c.functions += "func.func private " + name + "(" + signature + ") -> (" + innerTypes + ") {\n" + in.body +
                 "  return " + innerNames + " : " + innerTypes + "\n}\n";
  std::string ties;
  for (int64_t t : tied) ties += (ties.empty() ? ": " : ", ") + std::to_string(t);
  body += "  " + names + " = graph.repeat " + name + " carry(" + operands[0] + ") stacked(" + operands[1] +
          ") invariant(" + operands[2] + ") range(" + std::to_string(begin) + ", " + std::to_string(end) +
          ") {tied = array<i64" + ties + ">" + (c.chance(30) ? ", reverse" : "") + "} : (" + operandTypes +
          ") -> (" + resultTypes + ")\n";
}

void Block::op() {
  int64_t kind = c.below(100);
  if (kind < 40) return elementwise();
  if (kind < 60) return moving();
  if (kind < 70) return reduction();
  if (kind < 79) return product();
  if (kind < 85) return rows();
  if (kind < 93 && depth == 0) return variable();
  if (kind >= 93 && depth < 2) return repeat();
  elementwise();
}

} // namespace generator

EntryCase randomProgram(uint32_t seed) {
  using namespace generator;
  Context c(seed);
  Block f(c, nullptr);
  for (int64_t i = 20 + c.below(21); i > 0; --i) f.op();
  // What nothing reads, so that little is dropped, and a few others: arguments and reads among them.
  std::vector<Val> returned;
  for (const Val &v : f.pool)
    if (f.body.find(v.name + ",") == std::string::npos &&
        f.body.find(v.name + " ") == f.body.rfind(v.name + " ") && returned.size() < 6)
      returned.push_back(v);
  for (int i = 0; i < 3 && !f.pool.empty(); ++i) returned.push_back(f.pool[c.below(f.pool.size())]);

  std::string signature, names, types;
  EntryCase out{"seed " + std::to_string(seed)};
  auto value = [&](const Val &v) {
    Element e = v.element == 'f' ? Element::f32 : Element::i32;
    HostTensor t =
        randomTensor(v.shape, c.random(), v.element == 'f' ? -2 : -1, v.element == 'f' ? 2 : 10, e);
    t.roundToElement();
    return t;
  };
  for (const Val &v : f.args) {
    signature += (signature.empty() ? "" : ", ") + v.name + ": " + v.type();
    out.args.push_back(value(v));
  }
  for (const Val &v : c.variableValues) out.variables.push_back(value(v));
  for (const Val &v : returned) {
    names += (names.empty() ? "" : ", ") + v.name;
    types += (types.empty() ? "" : ", ") + v.type();
  }
  out.text = c.variables + c.functions + "func.func @f(" + signature + ") -> (" + types + ") {\n" + f.body +
             "  return " + names + " : " + types + "\n}\n";
  return out;
}

} // namespace weft::testing
