// What the training step does after the gradients: chunked global norm, AdamW, SGD.
#include "frontends/optimisers/adamw.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontends/losses/cross_entropy.h"
#include "frontends/optimisers/sgd.h"
#include "tests/frontends/recording_builder.h"

namespace weft {
namespace {

using testing::RecordingBuilder;

struct OptimiserTest : ::testing::Test {
  RecordingBuilder recording;
  Tensor make(const Shape &shape, DType dtype = DType::f32) { return {recording.make(dtype, shape), {}}; }
  Gradient gradient(const std::string &path, const Shape &shape, i64 layers = 0, bool decay = true) {
    Variable v{.path = path, .shape = shape, .decay = decay, .layers = layers};
    return {v, make(shape)};
  }
};

TEST_F(OptimiserTest, TheNormSumsChunksOf65536ByPathLayerAndChunk) {
  // b: 2 layers of 2 whole chunks and a tail of 5; a: 3 elements. Given in another order.
  std::vector<Gradient> gradients = {gradient("b", {2, 131077}, 2), gradient("a", {3})};
  Tensor norm = global_norm(gradients);
  EXPECT_EQ(norm.dtype(), DType::f32);
  EXPECT_EQ(recording.text(), "%2 = reshape %1 shape=[1, 3] : f32 (1, 3)\n"
                              "%3 = cast %2 element=f64 : f64 (1, 3)\n"
                              "%4 = mul %3 %3 : f64 (1, 3)\n"
                              "%5 = reduce %4 kind=0 axes=[1] : f64 (1)\n"
                              "%6 = reshape %5 shape=[1, 1] : f64 (1, 1)\n"
                              "%7 = reshape %6 shape=[1] : f64 (1)\n"
                              "%8 = slice %0 offsets=[0, 0] sizes=[2, 131072] : f32 (2, 131072)\n"
                              "%9 = reshape %8 shape=[2, 2, 65536] : f32 (2, 2, 65536)\n"
                              "%10 = cast %9 element=f64 : f64 (2, 2, 65536)\n"
                              "%11 = mul %10 %10 : f64 (2, 2, 65536)\n"
                              "%12 = reduce %11 kind=0 axes=[2] : f64 (2, 2)\n"
                              "%13 = slice %0 offsets=[0, 131072] sizes=[2, 5] : f32 (2, 5)\n"
                              "%14 = cast %13 element=f64 : f64 (2, 5)\n"
                              "%15 = mul %14 %14 : f64 (2, 5)\n"
                              "%16 = reduce %15 kind=0 axes=[1] : f64 (2)\n"
                              "%17 = reshape %16 shape=[2, 1] : f64 (2, 1)\n"
                              "%18 = concat %12 %17 axis=1 : f64 (2, 3)\n"
                              "%19 = reshape %18 shape=[6] : f64 (6)\n"
                              "%20 = concat %7 %19 axis=0 : f64 (7)\n"
                              "%21 = reduce %20 kind=0 axes=[0] : f64 ()\n"
                              "%22 = sqrt %21 : f64 ()\n"
                              "%23 = cast %22 element=f32 : f32 ()\n");
}

TEST_F(OptimiserTest, ClippingIsTheSmallerOfOneAndClipOverNorm) {
  clip_scale(make({}), 0.5);
  EXPECT_EQ(recording.text(), "%1 = constant 0.5 : f32 ()\n%2 = div %1 %0 : f32 ()\n"
                              "%3 = constant 1 : f32 ()\n%4 = min %2 %3 : f32 ()\n");
}

TEST_F(OptimiserTest, AdamwKeepsTwoStatesAParameterLaidOutAsItIs) {
  adamw({gradient("layers.w", {6, 8, 4}, 6)}, make({}), make({}), make({}), {.weight_decay = 0.1});
  const Variable &m = recording.variables.at("optimizer.m.layers.w"),
                 &v = recording.variables.at("optimizer.v.layers.w");
  for (const Variable *state : {&m, &v}) {
    EXPECT_EQ(state->shape, (Shape{6, 8, 4}));
    EXPECT_EQ(state->layers, 6);
    EXPECT_EQ(state->kind, VariableKind::optimizer);
    EXPECT_EQ(state->init, InitKind::zeros);
    EXPECT_FALSE(state->decay);
  }
  ASSERT_EQ(recording.events.size(), 3u);
  EXPECT_EQ(recording.events[0].rfind("assign optimizer.m.layers.w", 0), 0u);
  EXPECT_EQ(recording.events[1].rfind("assign optimizer.v.layers.w", 0), 0u);
  EXPECT_EQ(recording.events[2].rfind("assign layers.w", 0), 0u);
  EXPECT_EQ(recording.count("tanh"), 2); // bias corrections
}

TEST_F(OptimiserTest, MomentsKeptInBf16AreRoundedAtTheEndOfAStep) {
  Tensor apply = make({}, DType::boolean);
  adamw({gradient("w", {4}, 0, false)}, make({}), make({}), make({}),
        {.weight_decay = 0, .moments = DType::bf16}, apply);
  for (const char *name : {"optimizer.m.w", "optimizer.v.w"}) {
    EXPECT_EQ(recording.variables.at(name).dtype, DType::bf16);
    EXPECT_EQ(recording.variables.at(name).init, InitKind::zeros);
  }
  EXPECT_EQ(recording.variables.at("w").dtype, DType::f32);
  EXPECT_EQ(recording.count("cast"), 6); // of each read to be averaged, read to be kept, and written
  for (const auto &op : recording.ops)   // nothing is computed in it
    if (op.result.dtype == DType::bf16)
      EXPECT_TRUE(op.text.rfind("cast ", 0) == 0 || op.text.rfind("variable ", 0) == 0) << op.text;
}

TEST_F(OptimiserTest, Bf16IsNotComputedWith) {
  const Tensor x = make({4}, DType::bf16);
  auto refused = [](auto &&compute) {
    try {
      compute();
    } catch (const ModelError &e) {
      return std::string(e.what());
    }
    return std::string("not refused");
  };
  EXPECT_THAT(refused([&] { x *x; }), ::testing::HasSubstr("multiply of bf16 (4): cast it to f32 first"));
  EXPECT_THAT(refused([&] { 0.5 * x; }), ::testing::HasSubstr("multiply of bf16"));
  EXPECT_THAT(refused([&] { sum(x); }), ::testing::HasSubstr("sum of bf16"));
  EXPECT_THAT(refused([&] { exp(x); }), ::testing::HasSubstr("bf16"));
}

TEST_F(OptimiserTest, ParametersWithoutDecayAreNotScaled) {
  Tensor lr = make({}), step = make({}), scale = make({});
  adamw({gradient("w", {4})}, lr, step, scale);
  int with = recording.count("mul");
  recording.ops.clear();
  adamw({gradient("norm", {4}, 0, false)}, lr, step, scale);
  EXPECT_EQ(recording.count("mul"), with - 1);
}

TEST_F(OptimiserTest, SgdWithoutMomentumKeepsNoState) {
  sgd({gradient("w", {4})}, make({}), make({}), {.momentum = 0});
  EXPECT_EQ(recording.variables.size(), 1u);
}

TEST_F(OptimiserTest, CrossEntropyMasksWhatHasNoTarget) {
  CrossEntropy loss = cross_entropy(make({2, 3, 5}), make({2, 3}, DType::i32));
  EXPECT_EQ(loss.loss_sum.shape(), Shape{});
  EXPECT_EQ(loss.num_targets.shape(), Shape{});
  EXPECT_EQ(loss.logprobs.shape(), (Shape{2, 3}));
  EXPECT_EQ(recording.count("stop_gradient"), 1);
  EXPECT_EQ(recording.count("iota"), 1);
  EXPECT_EQ(recording.count("select"), 2);
}

TEST_F(OptimiserTest, CrossEntropySaysWhichShapesDisagree) {
  try {
    cross_entropy(make({2, 3, 5}), make({2, 4}, DType::i32));
    FAIL();
  } catch (const ModelError &e) {
    EXPECT_NE(std::string(e.what()).find(
                  "cross_entropy of logits (2, 3, 5) and targets (2, 4): should be (batch, seq, vocab) "
                  "and (batch, seq)"),
              std::string::npos)
        << e.what();
  }
}

} // namespace
} // namespace weft
