// What random programs are made of: values with what is known of them, and functions that grow by an op at a
// time.
#pragma once
#include "tests/compiler/program/harness.h"
#include <random>

namespace weft::testing::generator {

using Shape = std::vector<int64_t>;

// A tensor in the text being written. `bound`: no element is larger. `exact`: an input's values, only moved,
// which f32 and f64 agree on, so that they may be compared with constants.
struct Val {
  std::string name;
  Shape shape;
  char element = 'f'; // f: f32, i: i32
  double bound = 2;
  bool exact = false, positive = false;
  std::string type() const {
    return "tensor<" + graph::describe(shape, element == 'f' ? Element::f32 : Element::i32) + ">";
  }
  int64_t size() const { return graph::numElements(shape); }
};
inline std::string list(llvm::ArrayRef<int64_t> values) {
  std::string out = "[";
  for (size_t i = 0; i < values.size(); ++i) out += (i ? ", " : "") + std::to_string(values[i]);
  return out + "]";
}

constexpr int64_t kLargest = 700; // elements

// What the functions of one program share.
struct Context {
  std::mt19937 random;
  std::vector<int64_t> sizes; // few, so that equal ones meet
  std::string functions, variables;
  std::vector<Val> variableValues;
  int numNames = 0;

  explicit Context(uint32_t seed) : random(seed) {
    const std::vector<int64_t> all = {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33};
    for (int i = 0; i < 3; ++i) sizes.push_back(all[below(all.size())]);
  }
  int64_t below(int64_t n) { return random() % n; }
  bool chance(int percent) { return below(100) < percent; }
  Shape shape(int64_t minRank = 0) {
    Shape s;
    do {
      s.clear();
      for (int64_t r = std::max<int64_t>(minRank, below(4)); r > 0; --r) s.push_back(sizes[below(3)]);
    } while (graph::numElements(s) > kLargest);
    return s;
  }
  std::string name() { return "%v" + std::to_string(numNames++); }
};

// One function: its values so far, and its text.
class Block {
public:
  Block(Context &c, Block *outer) : c(c), outer(outer) {}

  void op();
  // Makes sure that there is a value of this shape.
  Val want(const Shape &shape, char element = 'f');
  Val tame(Val v, double limit) { return v.bound <= limit ? v : unary("tanh", v, 1); }
  Val recent() {
    if (pool.empty() || c.chance(5)) return want(c.shape());
    size_t n = pool.size(), back = c.chance(50) ? c.below(std::min<size_t>(n, 4)) : c.below(n);
    return pool[n - 1 - back];
  }
  Val recentFloat() {
    for (int i = 0; i < 8; ++i)
      if (Val v = recent(); v.element == 'f') return v;
    return want(c.shape());
  }
  Val emit(const std::string &text, Val v) {
    v.name = c.name();
    body += "  " + v.name + " = " + text + "\n";
    pool.push_back(v);
    return v;
  }
  Val unary(const std::string &op, const Val &x, double bound, bool positive = false) {
    return emit("graph." + op + " " + x.name + " : " + x.type(),
                {"", x.shape, x.element, bound, false, positive});
  }

  Context &c;
  Block *outer;
  std::string body;
  std::vector<Val> pool;
  std::vector<Val> args;                               // of the entry; of a body: its carry
  std::vector<std::pair<Val, Val>> stacked, invariant; // of a body: here, and outside
  int depth = 0;
  int64_t stackLength = 0; // of a body's stacked operands

private:
  void elementwise();
  void moving();
  void reduction();
  void product();
  void rows();
  void variable();
  void repeat();
};

} // namespace weft::testing::generator
