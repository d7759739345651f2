// Repeats: carries, stacked parameters, invariants, nesting, direction, ranges, and values in several roles.
#include "tests/compiler/op_programs.h"

namespace weft::testing {
namespace {

// x' = tanh(x W) + x * scale; m' = m + x' x'; the slice result is exp(x') * w's row sum.
const std::string kLayer = R"(
  func.func private @layer(%x: tensor<2x3xf64>, %m: tensor<2x3xf64>, %w: tensor<3x3xf64>, %s: tensor<3xf64>, %inv: tensor<2x3xf64>)
      -> (tensor<2x3xf64>, tensor<2x3xf64>, tensor<2x3xf64>) {
    %p = graph.matmul %x, %w : (tensor<2x3xf64>, tensor<3x3xf64>) -> tensor<2x3xf64>
    %t = graph.tanh %p : tensor<2x3xf64>
    %b = graph.broadcast %s dims = [1] shape = [2, 3] : tensor<3xf64>
    %i = graph.mul %b, %inv : tensor<2x3xf64>
    %r = graph.mul %x, %i : tensor<2x3xf64>
    %y = graph.add %t, %r : tensor<2x3xf64>
    %q = graph.mul %y, %y : tensor<2x3xf64>
    %n = graph.add %m, %q : tensor<2x3xf64>
    %e = graph.exp %y : tensor<2x3xf64>
    %z = graph.mul %e, %inv : tensor<2x3xf64>
    return %y, %n, %z : tensor<2x3xf64>, tensor<2x3xf64>, tensor<2x3xf64>
  })";

std::string layers(const std::string &range, const std::string &attributes, const std::string &slices) {
  return kLayer +
         "func.func @f(%x: tensor<2x3xf64>, %m: tensor<2x3xf64>, %w: tensor<4x3x3xf64>, %s: tensor<4x3xf64>, "
         "%inv: tensor<2x3xf64>) -> tensor<f64> {\n"
         "%y, %n, %z = graph.repeat @layer carry(%x, %m) stacked(%w, %s) invariant(%inv) range" +
         range + " {tied = array<i64: -1>" + attributes +
         "}\n"
         " : (tensor<2x3xf64>, tensor<2x3xf64>, tensor<4x3x3xf64>, tensor<4x3xf64>, tensor<2x3xf64>) -> "
         "(tensor<2x3xf64>, tensor<2x3xf64>, tensor<" +
         slices +
         "x2x3xf64>)\n"
         R"(%a = graph.mul %y, %n : tensor<2x3xf64>
    %ra = graph.reduce sum %a axes = [0, 1] : (tensor<2x3xf64>) -> tensor<f64>
    %sin = graph.sin %z : tensor<)" +
         slices + R"(x2x3xf64>
    %rz = graph.reduce sum %sin axes = [0, 1, 2] : (tensor<)" +
         slices + R"(x2x3xf64>) -> tensor<f64>
    %l = graph.add %ra, %rz : tensor<f64>
    return %l : tensor<f64>
  })";
}
Tensors layerOperands() {
  return {randomTensor({2, 3}, 1), randomTensor({2, 3}, 2), randomTensor({4, 3, 3}, 3),
          randomTensor({4, 3}, 4), randomTensor({2, 3}, 5)};
}

} // namespace

std::vector<Program> repeatPrograms() {
  std::vector<Program> all;
  auto add = [&](const std::string &text, const Tensors &args, const std::string &what) {
    all.push_back({what, text, args});
  };
  add(layers("(0, 4)", "", "4"), layerOperands(), "four layers");
  add(layers("(1, 3)", "", "2"), layerOperands(), "layers 1 and 2");
  add(layers("(3, 4)", "", "1"), layerOperands(), "the last layer");
  add(layers("(0, 4)", ", reverse", "4"), layerOperands(), "four layers, downwards");
  add(R"(
    func.func private @inner(%x: tensor<3xf64>, %w: tensor<3xf64>) -> tensor<3xf64> {
      %a = graph.mul %x, %w : tensor<3xf64>
      %b = graph.sin %a : tensor<3xf64>
      %c = graph.add %b, %x : tensor<3xf64>
      return %c : tensor<3xf64>
    }
    func.func private @outer(%x: tensor<3xf64>, %w: tensor<2x3xf64>, %s: tensor<3xf64>) -> tensor<3xf64> {
      %y = graph.repeat @inner carry(%x) stacked(%w) invariant() range(0, 2) {tied = array<i64>} : (tensor<3xf64>, tensor<2x3xf64>) -> tensor<3xf64>
      %z = graph.mul %y, %s : tensor<3xf64>
      %t = graph.tanh %z : tensor<3xf64>
      return %t : tensor<3xf64>
    }
    func.func @f(%x: tensor<3xf64>, %w: tensor<3x2x3xf64>, %s: tensor<3xf64>) -> tensor<f64> {
      %y = graph.repeat @outer carry(%x) stacked(%w) invariant(%s) range(0, 3) {tied = array<i64>} : (tensor<3xf64>, tensor<3x2x3xf64>, tensor<3xf64>) -> tensor<3xf64>
      %r = graph.reduce sum %y axes = [0] : (tensor<3xf64>) -> tensor<f64>
      return %r : tensor<f64>
    })",
      {randomTensor({3}, 1), randomTensor({3, 2, 3}, 2), randomTensor({3}, 3)}, "nested repeats");
  // The parameter is read outside the repeat too: its gradient is the sum of both uses.
  add(R"(
    func.func private @body(%x: tensor<2x3xf64>, %w: tensor<3x3xf64>) -> tensor<2x3xf64> {
      %a = graph.matmul %x, %w {transpose_rhs} : (tensor<2x3xf64>, tensor<3x3xf64>) -> tensor<2x3xf64>
      %b = graph.sigmoid %a : tensor<2x3xf64>
      return %b : tensor<2x3xf64>
    }
    func.func @f(%x: tensor<2x3xf64>, %w: tensor<3x3xf64>) -> tensor<f64> {
      %y = graph.repeat @body carry(%x) stacked() invariant(%w) range(0, 3) {tied = array<i64>} : (tensor<2x3xf64>, tensor<3x3xf64>) -> tensor<2x3xf64>
      %z = graph.matmul %y, %w : (tensor<2x3xf64>, tensor<3x3xf64>) -> tensor<2x3xf64>
      %r = graph.reduce sum %z axes = [0, 1] : (tensor<2x3xf64>) -> tensor<f64>
      return %r : tensor<f64>
    })",
      {randomTensor({2, 3}, 1), randomTensor({3, 3}, 2)}, "a parameter used in and outside a repeat");
  add(R"(
    func.func private @body(%x: tensor<3xf64>, %w: tensor<3xf64>) -> tensor<3xf64> {
      %a = graph.mul %x, %w : tensor<3xf64>
      %b = graph.cos %a : tensor<3xf64>
      return %b : tensor<3xf64>
    }
    func.func @f(%x: tensor<3xf64>, %w: tensor<5x3xf64>) -> tensor<f64> {
      %y = graph.repeat @body carry(%x) stacked(%w) invariant() range(0, 2) {tied = array<i64>} : (tensor<3xf64>, tensor<5x3xf64>) -> tensor<3xf64>
      %z = graph.repeat @body carry(%y) stacked(%w) invariant() range(2, 5) {tied = array<i64>} : (tensor<3xf64>, tensor<5x3xf64>) -> tensor<3xf64>
      %r = graph.reduce sum %z axes = [0] : (tensor<3xf64>) -> tensor<f64>
      return %r : tensor<f64>
    })",
      {randomTensor({3}, 1), randomTensor({5, 3}, 2)}, "two repeats over one stack");
  // Attention by document inside a layer, with integer invariants that have no gradient.
  add(R"(
    func.func private @layer(%x: tensor<1x7x2x2xf64>, %w: tensor<2x2xf64>, %b: tensor<1x7xi32>, %e: tensor<1x7xi32>) -> tensor<1x7x2x2xf64> {
      %q = graph.matmul %x, %w : (tensor<1x7x2x2xf64>, tensor<2x2xf64>) -> tensor<1x7x2x2xf64>
      %o, %l = graph.attention %q, %x, %q range %b, %e {scale = 0.8 : f64}
        : (tensor<1x7x2x2xf64>, tensor<1x7x2x2xf64>, tensor<1x7x2x2xf64>, tensor<1x7xi32>, tensor<1x7xi32>) -> (tensor<1x7x2x2xf64>, tensor<1x7x2xf64>)
      %y = graph.add %x, %o : tensor<1x7x2x2xf64>
      return %y : tensor<1x7x2x2xf64>
    }
    func.func @f(%x: tensor<1x7x2x2xf64>, %w: tensor<3x2x2xf64>, %b: tensor<1x7xi32>, %e: tensor<1x7xi32>) -> tensor<f64> {
      %y = graph.repeat @layer carry(%x) stacked(%w) invariant(%b, %e) range(0, 3) {tied = array<i64>}
        : (tensor<1x7x2x2xf64>, tensor<3x2x2xf64>, tensor<1x7xi32>, tensor<1x7xi32>) -> tensor<1x7x2x2xf64>
      %t = graph.tanh %y : tensor<1x7x2x2xf64>
      %r = graph.reduce sum %t axes = [0, 1, 2, 3] : (tensor<1x7x2x2xf64>) -> tensor<f64>
      return %r : tensor<f64>
    })",
      {randomTensor({1, 7, 2, 2}, 1), randomTensor({3, 2, 2}, 2),
       tensor({1, 7}, {0, 0, 0, 3, 3, 3, 3}, Element::i32),
       tensor({1, 7}, {1, 2, 3, 4, 5, 6, 7}, Element::i32)},
      "attention by document in a repeat");
  // One value may come in several ways: as the carry and an invariant, as two invariants, as two stacks; its
  // gradient is the sum.
  add(R"(
    func.func private @body(%x: tensor<3xf64>, %w: tensor<3xf64>, %v: tensor<3xf64>, %i: tensor<3xf64>, %j: tensor<3xf64>, %k: tensor<3xf64>) -> tensor<3xf64> {
      %a = graph.mul %x, %w : tensor<3xf64>
      %b = graph.mul %i, %v : tensor<3xf64>
      %c = graph.mul %j, %k : tensor<3xf64>
      %d = graph.add %a, %b : tensor<3xf64>
      %e = graph.add %d, %c : tensor<3xf64>
      %y = graph.sin %e : tensor<3xf64>
      return %y : tensor<3xf64>
    }
    func.func @f(%x: tensor<3xf64>, %w: tensor<2x3xf64>, %s: tensor<3xf64>) -> tensor<f64> {
      %y = graph.repeat @body carry(%x) stacked(%w, %w) invariant(%x, %s, %s) range(0, 2) {tied = array<i64>}
        : (tensor<3xf64>, tensor<2x3xf64>, tensor<2x3xf64>, tensor<3xf64>, tensor<3xf64>, tensor<3xf64>) -> tensor<3xf64>
      %z = graph.mul %y, %x : tensor<3xf64>
      %r = graph.reduce sum %z axes = [0] : (tensor<3xf64>) -> tensor<f64>
      return %r : tensor<f64>
    })",
      {randomTensor({3}, 1), randomTensor({2, 3}, 2), randomTensor({3}, 3)}, "one value in several roles");
  // A second repeat goes on from the first one's slice results.
  add(R"(
    func.func private @body(%x: tensor<3xf64>, %w: tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>) {
      %a = graph.mul %x, %w : tensor<3xf64>
      %b = graph.cos %a : tensor<3xf64>
      %c = graph.exp %a : tensor<3xf64>
      return %b, %c : tensor<3xf64>, tensor<3xf64>
    }
    func.func @f(%x: tensor<3xf64>, %w: tensor<2x3xf64>) -> tensor<f64> {
      %y, %u = graph.repeat @body carry(%x) stacked(%w) invariant() range(0, 2) {tied = array<i64: -1>} : (tensor<3xf64>, tensor<2x3xf64>) -> (tensor<3xf64>, tensor<2x3xf64>)
      %z, %v = graph.repeat @body carry(%y) stacked(%u) invariant() range(0, 2) {tied = array<i64: -1>} : (tensor<3xf64>, tensor<2x3xf64>) -> (tensor<3xf64>, tensor<2x3xf64>)
      %r = graph.reduce sum %v axes = [0, 1] : (tensor<2x3xf64>) -> tensor<f64>
      return %r : tensor<f64>
    })",
      {randomTensor({3}, 1), randomTensor({2, 3}, 2)}, "slice results as stacked operands");
  return all;
}

} // namespace weft::testing
