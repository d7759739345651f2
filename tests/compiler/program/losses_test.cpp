// What the losses of the DSL say of logits, interpreted, against the formulas.
#include "compiler/trace/graph_builder.h"
#include "frontends/losses/cross_entropy.h"
#include "frontends/programs/entry.h"
#include "tests/compiler/interpret_text.h"

#include <cmath>
#include <gtest/gtest.h>

namespace weft::testing {
namespace {

TEST(Losses, LogProbabilityAndEntropyOfATokensLogits) {
  TextModule m("");
  GraphBuilder graph(*m.module, {});
  Builder *before = set_builder(&graph);
  graph.begin_entry("f", false);
  Tensor logits = declare_input({"logits", DType::f32, {2, 3, 5}});
  Tensor targets = declare_input({"targets", DType::i32, {2, 3}});
  declare_output("logprob", token_logprobs(logits, targets));
  declare_output("entropy", token_entropy(logits));
  graph.end_entry();
  set_builder(before);

  HostTensor x = randomTensor({2, 3, 5}, 1, -40, 40, Element::f32),
             t = randomTensor({2, 3}, 2, 0, 5, Element::i32);
  x.values[7] = 300; // exp of it is no number: only differences may be taken
  t.roundToElement();
  Tensors got = m.run("f", {x, t});
  ASSERT_EQ(m.errors, "");
  ASSERT_EQ(got.size(), 2u);
  for (size_t row = 0; row < 6; ++row) {
    const double *l = &x.values[row * 5];
    double top = *std::max_element(l, l + 5), z = 0, entropy = 0;
    for (int i = 0; i < 5; ++i) z += std::exp(l[i] - top);
    for (int i = 0; i < 5; ++i) {
      double p = std::exp(l[i] - top) / z;
      if (p > 0) entropy -= p * std::log(p);
    }
    EXPECT_NEAR(got[0].values[row], l[int(t.values[row])] - top - std::log(z), 1e-11) << row;
    EXPECT_NEAR(got[1].values[row], entropy, 1e-11) << row;
  }
}

} // namespace
} // namespace weft::testing
