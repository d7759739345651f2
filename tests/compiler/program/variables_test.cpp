// What a variable held, and what is in one memory under two names, is read as it was: each program here was
// once, or would easily be, lowered so that one value is written over another that is still needed.
#include "tests/compiler/program/harness.h"
#include <gtest/gtest.h>

namespace weft::testing {
namespace {

HostTensor count(int64_t n) { return tensor({}, {double(n)}, Element::i64); }

// `T` in a text is tensor<8x4xf32>, `V(v)` a variable of it.
std::string expanded(const std::string &text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    bool word = i && (isalnum(text[i - 1]) || text[i - 1] == '_' || text[i - 1] == '%');
    if (text.compare(i, 2, "V(") == 0 && !word) {
      size_t end = text.find(')', i);
      out += "graph.variable @" + text.substr(i + 2, end - i - 2) +
             " : tensor<8x4xf32> {kind = 0 : i64, init = 0 : i64}";
      i = end;
    } else if (text[i] == 'T' && !word && !isalnum(text[i + 1])) {
      out += "tensor<8x4xf32>";
    } else {
      out += text[i];
    }
  }
  return out;
}

class ProgramCases {
public:
  // One argument %x : T; variables of T.
  void add(const std::string &what, const std::string &text, size_t numVariables = 0) {
    Tensors variables;
    for (size_t v = 0; v < numVariables; ++v) variables.push_back(real({8, 4}, 20 + v));
    add(what, text, {real({8, 4}, 1)}, variables);
  }
  void add(const std::string &what, const std::string &text, Tensors args, Tensors variables) {
    cases.push_back({what, expanded(text), std::move(args), std::move(variables)});
  }
  ~ProgramCases() { checkPrograms(cases); }

private:
  std::vector<EntryCase> cases;
};

TEST(VariablesExecuted, OldValueOutlivesTheWrite) {
  ProgramCases c;
  c.add("the old value is used after the write", R"(V(v)
    func.func @f(%x: T) -> T {
      %r = graph.read @v : T
      graph.write @v, %x : T
      %y = graph.exp %r : T
      return %y : T
    })",
        1);
  c.add("the old value is returned", R"(V(v)
    func.func @f(%x: T) -> T {
      %r = graph.read @v : T
      %n = graph.add %r, %x : T
      graph.write @v, %n : T
      return %r : T
    })",
        1);
  c.add("a reshape of the old value is returned", R"(V(v)
    func.func @f(%x: T) -> tensor<32xf32> {
      %r = graph.read @v : T
      %s = graph.reshape %r shape = [32] : T
      %n = graph.add %r, %x : T
      graph.write @v, %n : T
      return %s : tensor<32xf32>
    })",
        1);
  c.add("the old value is written to another variable", R"(V(cur) V(prev)
    func.func @f(%x: T) {
      %r = graph.read @cur : T
      %n = graph.add %r, %x : T
      graph.write @cur, %n : T
      graph.write @prev, %r : T
      return
    })",
        2);
  c.add("the same, the other variable first", R"(V(prev) V(cur)
    func.func @f(%x: T) {
      %r = graph.read @cur : T
      graph.write @prev, %r : T
      %n = graph.add %r, %x : T
      graph.write @cur, %n : T
      return
    })",
        2);
  c.add("new and old value meet after the write", R"(V(v)
    func.func @f(%x: T) -> T {
      %r = graph.read @v : T
      %n = graph.mul %r, %x : T
      graph.write @v, %n : T
      %a = dist.all_reduce data %n : T
      %z = graph.sub %r, %a : T
      return %z : T
    })",
        1);
  c.add("the old value's transpose is the new one",
        R"(graph.variable @v : tensor<5x5xf32> {kind = 0 : i64, init = 0 : i64}
    func.func @f() {
      %r = graph.read @v : tensor<5x5xf32>
      %t = graph.transpose %r permutation = [1, 0] : tensor<5x5xf32>
      graph.write @v, %t : tensor<5x5xf32>
      return
    })",
        {}, {real({5, 5}, 1)});
}

TEST(VariablesExecuted, ValuesChangeVariables) {
  ProgramCases c;
  c.add("swapped", R"(V(a) V(b)
    func.func @f() {
      %a = graph.read @a : T
      %b = graph.read @b : T
      graph.write @a, %b : T
      graph.write @b, %a : T
      return
    })",
        {}, {real({8, 4}, 1), real({8, 4}, 2)});
  c.add("rotated, and one computed", R"(V(a) V(b) V(c)
    func.func @f(%x: T) {
      %a = graph.read @a : T
      %b = graph.read @b : T
      %c = graph.read @c : T
      %n = graph.add %a, %x : T
      graph.write @a, %b : T
      graph.write @b, %c : T
      graph.write @c, %n : T
      return
    })",
        3);
  c.add("two variables get one value, which is returned, too", R"(V(a) V(b)
    func.func @f(%x: T) -> (T, T) {
      %n = graph.exp %x : T
      graph.write @a, %n : T
      graph.write @b, %n : T
      return %n, %n : T, T
    })",
        2);
  c.add("a variable keeps what it holds", R"(V(a) V(b)
    func.func @f(%x: T) -> T {
      %a = graph.read @a : T
      graph.write @b, %a : T
      graph.write @a, %a : T
      return %a : T
    })",
        2);
  c.add("an argument is written, and its reshape", R"(V(a)
    graph.variable @b : tensor<32xf32> {kind = 0 : i64, init = 0 : i64}
    func.func @f(%x: T) -> T {
      %r = graph.reshape %x shape = [32] : T
      graph.write @a, %x : T
      graph.write @b, %r : tensor<32xf32>
      return %x : T
    })",
        {real({8, 4}, 1)}, {real({8, 4}, 2), real({32}, 3)});
}

TEST(VariablesExecuted, ReadsAndWritesInAnyOrder) {
  ProgramCases c;
  c.add("a read after the write is what was written",
        R"(graph.variable @v : tensor<4x4xf32> {kind = 0 : i64, init = 0 : i64}
    func.func @f(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
      graph.write @v, %x : tensor<4x4xf32>
      %r = graph.read @v : tensor<4x4xf32>
      %y = graph.matmul %x, %x acc %r : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
      return %y : tensor<4x4xf32>
    })",
        {real({4, 4}, 1)}, {real({4, 4}, 2)});
  c.add("two reads before one write", R"(V(v)
    func.func @f(%x: T) -> T {
      %r1 = graph.read @v : T
      %r2 = graph.read @v : T
      %n = graph.add %r2, %x : T
      %m = dist.all_reduce data %n : T
      %z = graph.sub %r1, %m : T
      graph.write @v, %n : T
      return %z : T
    })",
        1);
  c.add("read, write, read, write, read", R"(V(v)
    func.func @f(%x: T) -> (T, T, T) {
      %r1 = graph.read @v : T
      %n = graph.add %r1, %x : T
      graph.write @v, %n : T
      %r2 = graph.read @v : T
      %m = graph.mul %r2, %x : T
      graph.write @v, %m : T
      %r3 = graph.read @v : T
      return %r1, %r2, %r3 : T, T, T
    })",
        1);
  c.add("the first of two writes is read", R"(V(v) V(w)
    func.func @f(%x: T) -> T {
      %e = graph.exp %x : T
      graph.write @v, %e : T
      %r = graph.read @v : T
      graph.write @v, %x : T
      graph.write @w, %r : T
      return %r : T
    })",
        2);
}

TEST(MemoryExecuted, ReshapesOfWhatIsUpdated) {
  ProgramCases c;
  const std::string body = R"(
    func.func private @body(%x: T, %w: tensor<32xf32>) -> T {
      %r = graph.reshape %w shape = [8, 4] : tensor<32xf32>
      %y = graph.add %x, %r : T
      return %y : T
    })";
  c.add("a carry and its reshape as an invariant", body + R"(
    func.func @f(%x: T) -> T {
      %e = graph.exp %x : T
      %f = graph.reshape %e shape = [32] : T
      %y = graph.repeat @body carry(%e) stacked() invariant(%f) range(0, 3) {tied = array<i64>} : (T, tensor<32xf32>) -> T
      return %y : T
    })");
  c.add("an invariant and its reshape as a carry", body + R"(
    func.func @f(%x: tensor<32xf32>) -> T {
      %e = graph.exp %x : tensor<32xf32>
      %f = graph.reshape %e shape = [8, 4] : tensor<32xf32>
      %y = graph.repeat @body carry(%f) stacked() invariant(%e) range(0, 3) {tied = array<i64>} : (T, tensor<32xf32>) -> T
      return %y : T
    })",
        {real({32}, 1)}, {});
  c.add("acc is a reshape of what is read, too", R"(
    func.func @f(%x: tensor<4x4xf32>) -> tensor<16xf32> {
      %e = graph.exp %x : tensor<4x4xf32>
      %f = graph.reshape %e shape = [16] : tensor<4x4xf32>
      %b = graph.broadcast %f dims = [1] shape = [2, 16] : tensor<16xf32>
      %s = graph.reduce sum %b acc %f axes = [0] : (tensor<2x16xf32>, tensor<16xf32>) -> tensor<16xf32>
      return %s : tensor<16xf32>
    })",
        {real({4, 4}, 1)}, {});
  c.add("acc is an operand", R"(
    func.func @f(%x: tensor<5x5xf32>) -> tensor<5x5xf32> {
      %e = graph.exp %x : tensor<5x5xf32>
      %y = graph.matmul %e, %e acc %e : (tensor<5x5xf32>, tensor<5x5xf32>, tensor<5x5xf32>) -> tensor<5x5xf32>
      return %y : tensor<5x5xf32>
    })",
        {real({5, 5}, 1)}, {});
  c.add("acc's reshape is read later", R"(
    func.func @f(%x: tensor<5x5xf32>) -> (tensor<5x5xf32>, tensor<25xf32>) {
      %e = graph.exp %x : tensor<5x5xf32>
      %r = graph.reshape %e shape = [25] : tensor<5x5xf32>
      %y = graph.matmul %x, %x acc %e : (tensor<5x5xf32>, tensor<5x5xf32>, tensor<5x5xf32>) -> tensor<5x5xf32>
      %z = graph.sin %r : tensor<25xf32>
      return %y, %z : tensor<5x5xf32>, tensor<25xf32>
    })",
        {real({5, 5}, 1)}, {});
}

TEST(MemoryExecuted, ViewsThatOnlyMoveUnitDimensions) {
  ProgramCases c;
  c.add("returned", R"(
    func.func @f(%x: tensor<7x1xf32>, %s: tensor<f32>) -> (tensor<1x7xf32>, tensor<1x7x1xf32>, tensor<1xf32>, tensor<7xf32>) {
      %t = graph.transpose %x permutation = [1, 0] : tensor<7x1xf32>
      %b = graph.broadcast %x dims = [1, 2] shape = [1, 7, 1] : tensor<7x1xf32>
      %o = graph.broadcast %s dims = [] shape = [1] : tensor<f32>
      %r = graph.reshape %t shape = [7] : tensor<1x7xf32>
      return %t, %b, %o, %r : tensor<1x7xf32>, tensor<1x7x1xf32>, tensor<1xf32>, tensor<7xf32>
    })",
        {real({7, 1}, 1), real({}, 2)}, {});
  c.add("written, carried, summed over the ranks", R"(
    graph.variable @v : tensor<1x7xf32> {kind = 0 : i64, init = 0 : i64}
    func.func private @body(%a: tensor<1x7xf32>) -> tensor<1x7xf32> {
      %s = graph.sin %a : tensor<1x7xf32>
      return %s : tensor<1x7xf32>
    }
    func.func @f(%x: tensor<7x1xf32>) -> (tensor<1x7xf32>, tensor<1x7xf32>) {
      %e = graph.exp %x : tensor<7x1xf32>
      %t = graph.transpose %e permutation = [1, 0] : tensor<7x1xf32>
      %y = graph.repeat @body carry(%t) stacked() invariant() range(0, 2) {tied = array<i64>} : (tensor<1x7xf32>) -> tensor<1x7xf32>
      %z = dist.all_reduce data %t : tensor<1x7xf32>
      graph.write @v, %t : tensor<1x7xf32>
      return %y, %z : tensor<1x7xf32>, tensor<1x7xf32>
    })",
        {real({7, 1}, 1)}, {real({1, 7}, 2)});
}

TEST(RepeatsExecuted, CarriesChangePlaces) {
  ProgramCases c;
  c.add("swapped each time", R"(
    func.func private @body(%a: T, %b: T) -> (T, T) {
      return %b, %a : T, T
    }
    func.func @f(%x: T) -> (T, T) {
      %e = graph.exp %x : T
      %y, %z = graph.repeat @body carry(%x, %e) stacked() invariant() range(0, 3) {tied = array<i64>} : (T, T) -> (T, T)
      return %y, %z : T, T
    })");
  c.add("Fibonacci", R"(
    func.func private @body(%a: T, %b: T) -> (T, T) {
      %s = graph.add %a, %b : T
      return %b, %s : T, T
    }
    func.func @f(%x: T) -> (T, T) {
      %y, %z = graph.repeat @body carry(%x, %x) stacked() invariant() range(0, 5) {tied = array<i64>} : (T, T) -> (T, T)
      return %y, %z : T, T
    })");
  c.add("a carry becomes an invariant, which becomes nothing", R"(
    func.func private @body(%a: T, %b: T, %i: T) -> (T, T) {
      %s = graph.mul %a, %b : T
      return %i, %s : T, T
    }
    func.func @f(%x: T) -> (T, T) {
      %e = graph.exp %x : T
      %y, %z = graph.repeat @body carry(%e, %x) stacked() invariant(%e) range(0, 4) {tied = array<i64>} : (T, T, T) -> (T, T)
      return %y, %z : T, T
    })");
}

TEST(RepeatsExecuted, SlicesReadAndWritten) {
  ProgramCases c;
  c.add("the carry before each iteration, stacked", R"(
    func.func private @body(%a: tensor<3xf32>, %w: tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>) {
      %s = graph.add %a, %w : tensor<3xf32>
      return %s, %a : tensor<3xf32>, tensor<3xf32>
    }
    func.func @f(%x: tensor<3xf32>, %w: tensor<5x3xf32>) -> (tensor<3xf32>, tensor<3x3xf32>) {
      %y, %z = graph.repeat @body carry(%x) stacked(%w) invariant() range(1, 4) {tied = array<i64: -1>} : (tensor<3xf32>, tensor<5x3xf32>) -> (tensor<3xf32>, tensor<3x3xf32>)
      return %y, %z : tensor<3xf32>, tensor<3x3xf32>
    })",
        {real({3}, 1), real({5, 3}, 2)}, {});
  c.add("a variable's slices updated, its first and last ones kept", R"(
    graph.variable @w : tensor<5x3xf32> {kind = 0 : i64, init = 0 : i64}
    func.func private @body(%a: tensor<3xf32>, %w: tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>) {
      %s = graph.add %a, %w : tensor<3xf32>
      %t = graph.mul %a, %w : tensor<3xf32>
      return %s, %t : tensor<3xf32>, tensor<3xf32>
    }
    func.func @f(%x: tensor<3xf32>) -> (tensor<3xf32>, tensor<5x3xf32>) {
      %w = graph.read @w : tensor<5x3xf32>
      %y, %z = graph.repeat @body carry(%x) stacked(%w) invariant() range(1, 4) {tied = array<i64: 0>, reverse} : (tensor<3xf32>, tensor<5x3xf32>) -> (tensor<3xf32>, tensor<5x3xf32>)
      graph.write @w, %z : tensor<5x3xf32>
      return %y, %w : tensor<3xf32>, tensor<5x3xf32>
    })",
        {real({3}, 1)}, {real({5, 3}, 2)});
  c.add("two slice results tied to one stack", R"(
    func.func private @body(%w: tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>) {
      %s = graph.sin %w : tensor<3xf32>
      %t = graph.exp %w : tensor<3xf32>
      return %s, %t : tensor<3xf32>, tensor<3xf32>
    }
    func.func @f(%x: tensor<4x3xf32>) -> (tensor<4x3xf32>, tensor<4x3xf32>) {
      %e = graph.tanh %x : tensor<4x3xf32>
      %y, %z = graph.repeat @body carry() stacked(%e) invariant() range(0, 3) {tied = array<i64: 0, 0>} : (tensor<4x3xf32>) -> (tensor<4x3xf32>, tensor<4x3xf32>)
      return %y, %z : tensor<4x3xf32>, tensor<4x3xf32>
    })",
        {real({4, 3}, 1)}, {});
  c.add("a slice carried on while another value takes its place", R"(
    func.func private @body(%a: tensor<3xf32>, %w: tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) {
      %s = graph.sin %a : tensor<3xf32>
      return %w, %s, %w : tensor<3xf32>, tensor<3xf32>, tensor<3xf32>
    }
    func.func @f(%x: tensor<3xf32>, %w: tensor<5x3xf32>) -> (tensor<3xf32>, tensor<5x3xf32>, tensor<3x3xf32>) {
      %y, %z, %u = graph.repeat @body carry(%x) stacked(%w) invariant() range(1, 4) {tied = array<i64: 0, -1>} : (tensor<3xf32>, tensor<5x3xf32>) -> (tensor<3xf32>, tensor<5x3xf32>, tensor<3x3xf32>)
      return %y, %z, %u : tensor<3xf32>, tensor<5x3xf32>, tensor<3x3xf32>
    })",
        {real({3}, 1), real({5, 3}, 2)}, {});
  c.add("slices tied crosswise", R"(
    func.func private @body(%v: tensor<3xf32>, %w: tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>) {
      return %v, %w : tensor<3xf32>, tensor<3xf32>
    }
    func.func @f(%x: tensor<4x3xf32>) -> (tensor<4x3xf32>, tensor<4x3xf32>) {
      %e = graph.tanh %x : tensor<4x3xf32>
      %g = graph.exp %x : tensor<4x3xf32>
      %y, %z = graph.repeat @body carry() stacked(%e, %g) invariant() range(1, 4) {tied = array<i64: 1, 0>} : (tensor<4x3xf32>, tensor<4x3xf32>) -> (tensor<4x3xf32>, tensor<4x3xf32>)
      return %y, %z : tensor<4x3xf32>, tensor<4x3xf32>
    })",
        {real({4, 3}, 1)}, {});
}

TEST(RepeatsExecuted, TripCountAtRunTime) {
  const std::string text = R"(V(g)
    func.func private @body(%g: T, %x: T) -> T {
      %e = graph.sin %x : T
      %s = graph.add %g, %e : T
      return %s : T
    }
    func.func @f(%n: tensor<i64> {weft.name = "micro_batches"}, %x: tensor<?x8x4xf32>) -> (T, T) {
      %g = graph.read @g : T
      %a = graph.repeat @body carry(%g) stacked(%x) invariant() range(0, 0) {tied = array<i64>, dynamic, part = 0 : i64, parts = 2 : i64} : (T, tensor<?x8x4xf32>) -> T
      %b = graph.repeat @body carry(%a) stacked(%x) invariant() range(0, 0) {tied = array<i64>, dynamic, part = 1 : i64, parts = 2 : i64} : (T, tensor<?x8x4xf32>) -> T
      graph.write @g, %b : T
      return %g, %a : T, T
    })";
  ProgramCases c;
  for (int64_t n : {0, 2, 6})
    c.add(std::to_string(n) + " micro-batches", text, {count(n), real({n, 8, 4}, 3)}, {real({8, 4}, 4)});
}

} // namespace
} // namespace weft::testing
