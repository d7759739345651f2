// Large values in blocks of rows (tile-rows), executed: the head with its loss and gradients, and a
// feed-forward layer that nothing of is kept.
#include "tests/compiler/program/harness.h"
#include <gtest/gtest.h>

namespace weft::testing {
namespace {

std::string replaced(std::string text, const std::vector<std::pair<std::string, std::string>> &names) {
  for (const auto &[from, to] : names)
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
      text.replace(at, from.size(), to);
  return text;
}

// Log-softmax and its gradient with respect to h and w, the latter onto `acc`.
std::string head(int64_t batch, int64_t seq, int64_t vocab) {
  std::string b = std::to_string(batch), t = std::to_string(seq), v = std::to_string(vocab),
              r = std::to_string(batch * seq);
  return replaced(R"(
    func.func @f(%h: tensor<BxTx9xf32>, %w: tensor<Vx9xf32>, %acc: tensor<Vx9xf32>, %k: tensor<BxTxi32>, %s: tensor<f32>)
        -> (tensor<BxTxf32>, tensor<BxTx9xf32>, tensor<Vx9xf32>, tensor<Vxf32>) {
      %x = graph.matmul %h, %w {transpose_rhs} : (tensor<BxTx9xf32>, tensor<Vx9xf32>) -> tensor<BxTxVxf32>
      %m = graph.reduce max %x axes = [2] : (tensor<BxTxVxf32>) -> tensor<BxTxf32>
      %mb = graph.broadcast %m dims = [0, 1] shape = [B, T, V] : tensor<BxTxf32>
      %d = graph.sub %x, %mb : tensor<BxTxVxf32>
      %e = graph.exp %d : tensor<BxTxVxf32>
      %z = graph.reduce sum %e axes = [2] : (tensor<BxTxVxf32>) -> tensor<BxTxf32>
      %l = graph.log %z : tensor<BxTxf32>
      %lse = graph.add %l, %m : tensor<BxTxf32>
      %i = graph.iota tensor<BxTxVxi32> axis = 2
      %kb = graph.broadcast %k dims = [0, 1] shape = [B, T, V] : tensor<BxTxi32>
      %hit = graph.compare eq %i, %kb : tensor<BxTxVxi32>
      %zero = graph.constant dense<0.0> : tensor<BxTxVxf32>
      %one = graph.constant dense<1.0> : tensor<BxTxVxf32>
      %t = graph.select %hit, %x, %zero : tensor<BxTxVxi1>, tensor<BxTxVxf32>
      %picked = graph.reduce sum %t axes = [2] : (tensor<BxTxVxf32>) -> tensor<BxTxf32>
      %logprob = graph.sub %picked, %lse : tensor<BxTxf32>
      %zb = graph.broadcast %z dims = [0, 1] shape = [B, T, V] : tensor<BxTxf32>
      %p = graph.div %e, %zb : tensor<BxTxVxf32>
      %y = graph.select %hit, %one, %zero : tensor<BxTxVxi1>, tensor<BxTxVxf32>
      %g = graph.sub %p, %y : tensor<BxTxVxf32>
      %sb = graph.broadcast %s dims = [] shape = [B, T, V] : tensor<f32>
      %dx = graph.mul %g, %sb : tensor<BxTxVxf32>
      %dh = graph.matmul %dx, %w : (tensor<BxTxVxf32>, tensor<Vx9xf32>) -> tensor<BxTx9xf32>
      %dx2 = graph.reshape %dx shape = [R, V] : tensor<BxTxVxf32>
      %h2 = graph.reshape %h shape = [R, 9] : tensor<BxTx9xf32>
      %dw = graph.matmul %dx2, %h2 acc %acc {transpose_lhs} : (tensor<RxVxf32>, tensor<Rx9xf32>, tensor<Vx9xf32>) -> tensor<Vx9xf32>
      %db = graph.reduce sum %dx axes = [0, 1] : (tensor<BxTxVxf32>) -> tensor<Vxf32>
      return %logprob, %dh, %dw, %db : tensor<BxTxf32>, tensor<BxTx9xf32>, tensor<Vx9xf32>, tensor<Vxf32>
    })",
                  {{"tensor<BxT", "tensor<" + b + "x" + t},
                   {"tensor<Rx", "tensor<" + r + "x"},
                   {"tensor<V", "tensor<" + v},
                   {"xVx", "x" + v + "x"},
                   {"[B, T, V]", "[" + b + ", " + t + ", " + v + "]"},
                   {"[R, V]", "[" + r + ", " + v + "]"},
                   {"[R, 9]", "[" + r + ", 9]"}});
}

EntryCase headCase(const std::string &what, int64_t batch, int64_t seq, int64_t vocab) {
  HostTensor targets = randomTensor({batch, seq}, 4, 0, double(vocab), Element::i32);
  targets.roundToElement();
  return {what,
          head(batch, seq, vocab),
          {real({batch, seq, 9}, 1), real({vocab, 9}, 2), real({vocab, 9}, 3), targets, real({}, 5)},
          {}};
}

TEST(TiledPrograms, HeadAndItsGradients) {
  checkTiledPrograms({headCase("blocks of one sequence", 3, 32, 71), headCase("of two sequences", 4, 16, 71),
                      headCase("of a part of one", 1, 96, 71),
                      headCase("as many rows as there are words", 2, 32, 64)});
}

TEST(TiledPrograms, FeedForwardThatIsNotKept) {
  checkTiledPrograms({{"swiglu",
                       R"(
    func.func @f(%x: tensor<64x5xf32>, %g: tensor<33x5xf32>, %u: tensor<33x5xf32>, %d: tensor<5x33xf32>) -> tensor<64x5xf32> {
      %a = graph.matmul %x, %g {transpose_rhs} : (tensor<64x5xf32>, tensor<33x5xf32>) -> tensor<64x33xf32>
      %b = graph.matmul %x, %u {transpose_rhs} : (tensor<64x5xf32>, tensor<33x5xf32>) -> tensor<64x33xf32>
      %s = graph.sigmoid %a : tensor<64x33xf32>
      %t = graph.mul %a, %s : tensor<64x33xf32>
      %h = graph.mul %t, %b : tensor<64x33xf32>
      %y = graph.matmul %h, %d {transpose_rhs} : (tensor<64x33xf32>, tensor<5x33xf32>) -> tensor<64x5xf32>
      %o = graph.add %x, %y : tensor<64x5xf32>
      return %o : tensor<64x5xf32>
    })",
                       {real({64, 5}, 1), real({33, 5}, 2), real({33, 5}, 3), real({5, 33}, 4)},
                       {}}});
}

TEST(TiledPrograms, RowsTimesAllRows) {
  checkTiledPrograms({{"similarity",
                       R"(
    func.func @f(%h: tensor<64x5xf32>) -> (tensor<64xf32>, tensor<64x5xf32>) {
      %s = graph.matmul %h, %h {transpose_rhs} : (tensor<64x5xf32>, tensor<64x5xf32>) -> tensor<64x64xf32>
      %e = graph.exp %s : tensor<64x64xf32>
      %z = graph.reduce sum %e axes = [1] : (tensor<64x64xf32>) -> tensor<64xf32>
      %y = graph.matmul %e, %h : (tensor<64x64xf32>, tensor<64x5xf32>) -> tensor<64x5xf32>
      return %z, %y : tensor<64xf32>, tensor<64x5xf32>
    })",
                       {real({64, 5}, 1)},
                       {}}});
}

} // namespace
} // namespace weft::testing
