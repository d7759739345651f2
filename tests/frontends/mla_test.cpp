// Multi-head latent attention: its parameters, its cache, the scale of its scores, and what it refuses. What
// it computes is held against PyTorch by tests/goldens and tests/interop.
#include "frontends/layers/mla.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/frontends/recording_builder.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using testing::RecordedOp;
using testing::RecordingBuilder;

class MlaTest : public ::testing::Test {
protected:
  RecordingBuilder recording;
  MlaOptions options{.heads = 3,
                     .q_lora_rank = 10,
                     .kv_lora_rank = 7,
                     .qk_nope_head_dim = 5,
                     .qk_rope_head_dim = 4,
                     .v_head_dim = 6};

  Tensor make(const Shape &shape, DType dtype = DType::f32) { return {recording.make(dtype, shape), {}}; }
  // mla of (2, 8, 16)
  Tensor run(i64 context = 0, CacheForm *cache = nullptr) {
    Tensor tokens = make({2, 8}, DType::i32);
    Trace trace;
    trace.cache = cache;
    return mla(Scope(trace) / "self_attn", make({2, 8, 16}), make_sequence(tokens, tokens, tokens, context),
               options);
  }
  std::string parameters() {
    std::string list;
    for (const auto &[path, v] : recording.variables)
      list += v.file_name + " " + shape_text(v.shape) + (v.decay ? " decay" : "") + "\n";
    return list;
  }
  std::string attention() {
    for (const RecordedOp &op : recording.ops)
      if (op.text.rfind("attention ", 0) == 0) return op.text;
    return "";
  }
  std::string error() {
    try {
      run();
    } catch (const ModelError &e) {
      std::string text = e.what();
      return text.substr(text.find(": ") + 2);
    }
    return "no error";
  }
};

TEST_F(MlaTest, ParametersHaveHuggingFacesNamesAndShapes) {
  Tensor y = run();
  EXPECT_EQ(y.shape(), (Shape{2, 8, 16}));
  EXPECT_EQ(parameters(), "model.self_attn.kv_a_layernorm.weight (7)\n"
                          "model.self_attn.kv_a_proj_with_mqa.weight (11, 16) decay\n"
                          "model.self_attn.kv_b_proj.weight (33, 7) decay\n"
                          "model.self_attn.o_proj.weight (16, 18) decay\n"
                          "model.self_attn.q_a_layernorm.weight (10)\n"
                          "model.self_attn.q_a_proj.weight (10, 16) decay\n"
                          "model.self_attn.q_b_proj.weight (27, 10) decay\n");
}

TEST_F(MlaTest, WithoutALatentOfQueriesThereIsOneProjection) {
  options.q_lora_rank = 0;
  run();
  EXPECT_EQ(parameters(), "model.self_attn.kv_a_layernorm.weight (7)\n"
                          "model.self_attn.kv_a_proj_with_mqa.weight (11, 16) decay\n"
                          "model.self_attn.kv_b_proj.weight (33, 7) decay\n"
                          "model.self_attn.o_proj.weight (16, 18) decay\n"
                          "model.self_attn.q_proj.weight (27, 16) decay\n");
}

TEST_F(MlaTest, TheRotaryKeyIsTurnedOnceAndSharedByAllHeads) {
  run();
  EXPECT_THAT(recording.text(), HasSubstr("shape=[2, 8, 3, 4] : f32 (2, 8, 3, 4)")); // from (2, 8, 1, 4)
  EXPECT_THAT(recording.text(), HasSubstr(": f32 (2, 8, 1, 2)")); // half of its pairs, of one head
}

TEST_F(MlaTest, TheCacheHoldsEachHeadsKeysAndValues) {
  run(/*context=*/32);
  EXPECT_EQ(recording.variables.at("self_attn.k_cache").shape, (Shape{2, 3, 32, 9}));
  EXPECT_EQ(recording.variables.at("self_attn.v_cache").shape, (Shape{2, 3, 32, 6}));
  EXPECT_EQ(recording.count("write_rows"), 2);
}

TEST_F(MlaTest, AbsorbedItHasTheSameParametersAndCachesLatentsForAllHeads) {
  run();
  std::string all = parameters();
  recording.variables.clear();
  recording.ops.clear();
  CacheForm form{.absorbed = true};
  EXPECT_EQ(run(/*context=*/32, &form).shape(), (Shape{2, 8, 16}));
  EXPECT_TRUE(form.has_latents);
  EXPECT_EQ(recording.variables.at("self_attn.latent_cache").shape, (Shape{2, 1, 32, 11})); // rank + rope
  EXPECT_EQ(recording.count("write_rows"), 1);
  EXPECT_FALSE(recording.variables.count("self_attn.k_cache"));
  EXPECT_THAT(attention(), HasSubstr("f32 (2, 8, 3, 7)")); // each head's sum of latents
  EXPECT_THAT(attention(), HasSubstr("scale=0.333333"));   // by the width of the heads, not of the latents
  recording.variables.erase("self_attn.latent_cache");
  EXPECT_EQ(parameters(), all);
}

TEST_F(MlaTest, WithoutBeingAskedACacheHoldsNoLatents) {
  CacheForm form;
  run(/*context=*/32, &form);
  EXPECT_FALSE(form.has_latents);
  EXPECT_EQ(recording.count("write_rows"), 2);
}

TEST_F(MlaTest, ScoresAreScaledByTheWholeWidthAndTheFactor) {
  run();
  EXPECT_THAT(attention(), HasSubstr("scale=0.333333")); // 1 / sqrt(5 + 4)
  recording.ops.clear();
  options.scale_factor = 1.5;
  run();
  EXPECT_THAT(attention(), HasSubstr("scale=0.5"));
}

TEST_F(MlaTest, WidthsThatCannotBeAreNamed) {
  options.kv_lora_rank = 0;
  EXPECT_EQ(error(), "mla: kv_lora_rank is 0 when it should be 1 to 16777216");
  options.kv_lora_rank = 7;
  options.heads = i64(1) << 40;
  EXPECT_EQ(error(), "mla: heads is 1099511627776 when it should be 1 to 16777216");
  options.heads = 3;
  options.q_lora_rank = -1;
  EXPECT_EQ(error(), "mla: q_lora_rank is -1 when it should be 0 to 16777216");
  options.q_lora_rank = 10;
  options.qk_rope_head_dim = 3;
  EXPECT_EQ(error(), "mla: qk_rope_head_dim 3 should be even for rotary positions");
  Tensor tokens = make({2, 8}, DType::i32), flat = make({16, 16});
  EXPECT_THROW(mla(Scope(), flat, make_sequence(tokens, tokens, tokens), options), ModelError);
}

} // namespace
} // namespace weft
