// Multi-token prediction and losses that a model adds: what of them is in which entry, and what is refused.
#include "frontends/layers/mtp.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontends/dsl/model_info.h"
#include "frontends/losses/added_loss.h"
#include "frontends/programs/program.h"
#include "tests/frontends/recording_builder.h"

namespace weft {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using testing::RecordingBuilder;
using ::testing::StartsWith;

class MtpTest : public ::testing::Test {
protected:
  RecordingBuilder recording;
  Tensor make(const Shape &shape, DType dtype = DType::f32) { return {recording.make(dtype, shape), {}}; }
  template <class F> std::string error(F &&f) {
    try {
      f();
    } catch (const ModelError &e) {
      std::string text = e.what();
      text = text.substr(0, text.find('\n'));
      size_t line = text.find(".cpp:"); // "…/mtp_test.cpp:80: what is wrong"
      return line == text.npos ? text : text.substr(text.find(": ", line) + 2);
    }
    return "no error";
  }
};

TEST_F(MtpTest, TheNextElementOfASequenceAndNothingBehindItsEnd) {
  Tensor x = make({2, 5}, DType::i32);
  EXPECT_EQ(next_in_sequence(x, -1).shape(), (Shape{2, 5}));
  EXPECT_THAT(recording.text(), HasSubstr("sizes=[2, 4]"));
  EXPECT_EQ(next_in_sequence(make({3, 1}, DType::i32), 7).shape(), (Shape{3, 1}));
  EXPECT_EQ(error([&] {
              next_in_sequence(make({2, 3, 4}), 0);
            }),
            "next_in_sequence of (2, 3, 4): should be (batch, seq)");
}

TEST_F(MtpTest, TheInputJoinsTheNormsOfTheNextTokenAndOfTheHiddenState) {
  Tensor y = mtp_input(Scope() / "layers" / "2", make({2, 5, 8}), make({2, 5, 8}));
  EXPECT_EQ(y.shape(), (Shape{2, 5, 8}));
  const Variable &projection = recording.variables.at("layers.2.eh_proj.weight");
  EXPECT_EQ(projection.shape, (Shape{8, 16}));
  EXPECT_EQ(projection.file_name, "model.layers.2.eh_proj.weight");
  EXPECT_EQ(recording.variables.at("layers.2.enorm.weight").shape, (Shape{8}));
  EXPECT_EQ(recording.variables.at("layers.2.hnorm.weight").shape, (Shape{8}));
  EXPECT_EQ(error([&] {
              mtp_input(Scope(), make({2, 5, 8}), make({2, 5, 9}));
            }),
            "mtp_input of (2, 5, 8) and (2, 5, 9): should both be (batch, seq, dim)");
}

TEST_F(MtpTest, TargetsAreThereInTrainingAlone) {
  Tensor tokens = make({2, 5}, DType::i32);
  Sequence seq = make_sequence(tokens, tokens, tokens);
  EXPECT_EQ(error([&] { mtp_targets(seq); }), "mtp_targets: a sequence has targets in training alone");
  seq.targets = tokens;
  EXPECT_EQ(mtp_targets(seq).shape(), (Shape{2, 5}));
}

TEST_F(MtpTest, AddedLossesNeedNamesOfTheirOwn) {
  std::vector<AddedLoss> losses;
  Trace trace;
  trace.losses = &losses;
  Scope s(trace);
  Tensor values = make({2, 5});
  add_loss(s, "balance", values, 0.1);
  ASSERT_EQ(losses.size(), 1u);
  EXPECT_EQ(losses[0].weight, 0.1);
  EXPECT_EQ(error([&] { add_loss(s, "balance", values, 1); }), "add_loss: balance is added twice");
  for (const char *name : {"loss", "grad_norm", "step", "", "a\"b", "A"})
    EXPECT_THAT(error([&] { add_loss(s, name, values, 1); }), HasSubstr("cannot name a metric")) << name;
  EXPECT_THAT(error([&] { add_loss(s, "x", make({}), 1); }), HasSubstr("add_loss of a scalar"));
  EXPECT_THAT(error([&] { add_loss(s, "x", values, 0.0 / 0.0); }), HasSubstr("not a finite number"));
  EXPECT_EQ(losses.size(), 1u);
  add_loss(Scope(), "balance", values, 0.1); // nobody asks: evaluation
}

class MtpModelTest : public MtpTest {
protected:
  ProgramOptions options;
  const ModelInfo *model() {
    void *library = dlopen(WEFT_TEST_DEEPSEEK_V3, RTLD_NOW | RTLD_LOCAL);
    if (!library) ADD_FAILURE() << dlerror();
    return reinterpret_cast<ModelTableFunction *>(dlsym(library, model_table_symbol))()->first;
  }
  void SetUp() override {
    options.config = {{"vocab", i64{256}}, {"dim", i64{64}},         {"ffn", i64{96}},
                      {"layers", i64{2}},  {"dense_layers", i64{2}}, {"mtp_layers", i64{1}}};
    options.micro_batch = 2;
    options.seq = 16;
  }
};

TEST_F(MtpModelTest, TrainingHasBothLossesUnderDeepSeeksNames) {
  build_train_step(*model(), options);
  EXPECT_THAT(recording.events, Contains("end micro_batch with 3")); // what is minimised, and its parts
  EXPECT_THAT(recording.events, Contains("output loss f32 ()"));
  EXPECT_THAT(recording.events, Contains("output mtp_loss f32 ()"));
  std::string files;
  for (const auto &[path, v] : recording.variables)
    if (v.kind == VariableKind::parameter && path.rfind("layers.2.", 0) == 0) files += v.file_name + "\n";
  EXPECT_EQ(files, "model.layers.2.eh_proj.weight\nmodel.layers.2.enorm.weight\nmodel.layers.2.hnorm.weight\n"
                   "model.layers.2.input_layernorm.weight\nmodel.layers.2.mlp.down_proj.weight\n"
                   "model.layers.2.mlp.gate_proj.weight\nmodel.layers.2.mlp.up_proj.weight\n"
                   "model.layers.2.post_attention_layernorm.weight\n"
                   "model.layers.2.self_attn.kv_a_layernorm.weight\n"
                   "model.layers.2.self_attn.kv_a_proj_with_mqa.weight\n"
                   "model.layers.2.self_attn.kv_b_proj.weight\nmodel.layers.2.self_attn.o_proj.weight\n"
                   "model.layers.2.self_attn.q_a_layernorm.weight\nmodel.layers.2.self_attn.q_a_proj.weight\n"
                   "model.layers.2.self_attn.q_b_proj.weight\nmodel.layers.2.shared_head.norm.weight\n");
}

TEST_F(MtpModelTest, EvaluationAndGenerationAreTheModelAlone) {
  build_eval_step(*model(), options);
  build_generate_step(*model(), options, "decode", 1);
  for (const auto &[path, v] : recording.variables) EXPECT_FALSE(path.rfind("layers.2.", 0) == 0) << path;
}

TEST_F(MtpModelTest, ConfigSaysHowManyAndOnlyOneIsPossible) {
  EXPECT_THAT(model()->hugging_face_config(options.config), HasSubstr("\"num_nextn_predict_layers\": 1"));
  options.config.emplace_back("mtp_layers", i64{2});
  EXPECT_EQ(error([&] { build_eval_step(*model(), options); }), "mtp_layers is 2 when it should be 0 or 1");
}

} // namespace
} // namespace weft
