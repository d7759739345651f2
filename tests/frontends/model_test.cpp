// Models as a user writes them: parameters' paths and files, the same definition in every entry, lines, and
// errors.
#include <weft/weft.h>

#include <dlfcn.h>
#include <gtest/gtest.h>

#include "frontends/optimisers/optimiser.h"
#include "frontends/programs/program.h"
#include "tests/frontends/recording_builder.h"

namespace weft {
namespace {

using testing::RecordedOp;
using testing::RecordingBuilder;

// interface.md's example and the llama family, compiled as a user's file is and loaded as the compiler does
// it.
const ModelInfo *load(const char *file) {
  void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (!library) ADD_FAILURE() << dlerror();
  auto *models = reinterpret_cast<ModelTableFunction *>(dlsym(library, model_table_symbol));
  EXPECT_EQ(models()->version, interface_version);
  return models()->first;
}

class ModelTest : public ::testing::Test {
protected:
  const ModelInfo *my_llama = load(WEFT_TEST_MY_MODEL), *llama = load(WEFT_TEST_LLAMA);
  RecordingBuilder recording;

  ProgramOptions options() {
    ProgramOptions o;
    o.config = {{"vocab", i64{256}}, {"dim", i64{64}},  {"ffn", i64{96}},
                {"layers", i64{3}},  {"heads", i64{4}}, {"kv_heads", i64{2}}};
    o.micro_batch = 2;
    o.seq = 16;
    o.prefill = {8, 16, 64};
    return o;
  }
  bool has_event(const std::string &event) {
    for (const std::string &e : recording.events)
      if (e == event) return true;
    return false;
  }
  // The ops of one line of the model.
  std::string ops_of_line(unsigned line, const std::string &function) {
    std::string names;
    for (const RecordedOp &op : recording.ops)
      if (op.line.line == line && op.function == function)
        names += op.text.substr(0, op.text.find(' ')) + " ";
    return names;
  }
};

TEST_F(ModelTest, TheTableNamesTheModelAndItsFields) {
  EXPECT_STREQ(my_llama->name, "my_llama");
  EXPECT_EQ(my_llama->next, nullptr);
  std::vector<ConfigField> fields = my_llama->fields();
  ASSERT_EQ(fields.size(), 6u);
  EXPECT_EQ(fields[3].name, "layers");
  EXPECT_EQ(std::get<i64>(fields[3].value), 8);
  EXPECT_EQ(my_llama->hugging_face_config, nullptr);
  EXPECT_STREQ(llama->name, "llama");
}

TEST_F(ModelTest, ParametersTakeTheirPathsFromTheScopesAndTheirFilesFromHuggingFace) {
  build_eval_step(*my_llama, options());
  std::string list;
  for (const auto &[path, v] : recording.variables)
    list += path + " " + v.file_name + " " + shape_text(v.shape) + (v.decay ? " decay" : "") + "\n";
  EXPECT_EQ(list,
            "embed_tokens.weight model.embed_tokens.weight (256, 64) decay\n"
            "layers.input_layernorm.weight model.layers.{}.input_layernorm.weight (3, 64)\n"
            "layers.mlp.down_proj.weight model.layers.{}.mlp.down_proj.weight (3, 64, 96) decay\n"
            "layers.mlp.gate_proj.weight model.layers.{}.mlp.gate_proj.weight (3, 96, 64) decay\n"
            "layers.mlp.up_proj.weight model.layers.{}.mlp.up_proj.weight (3, 96, 64) decay\n"
            "layers.post_attention_layernorm.weight model.layers.{}.post_attention_layernorm.weight (3, 64)\n"
            "layers.self_attn.k_proj.weight model.layers.{}.self_attn.k_proj.weight (3, 32, 64) decay\n"
            "layers.self_attn.o_proj.weight model.layers.{}.self_attn.o_proj.weight (3, 64, 64) decay\n"
            "layers.self_attn.q_proj.weight model.layers.{}.self_attn.q_proj.weight (3, 64, 64) decay\n"
            "layers.self_attn.v_proj.weight model.layers.{}.self_attn.v_proj.weight (3, 32, 64) decay\n"
            "lm_head.weight lm_head.weight (256, 64) decay\n"
            "norm.weight model.norm.weight (64)\n");
}

TEST_F(ModelTest, OpsOfLayersNameTheModelsLines) {
  build_eval_step(*my_llama, options());
  // examples/my_model.cc: 12 is the attention of block, 15 its feed-forward, 21 the repeat.
  for (const RecordedOp &op : recording.ops)
    if (op.function == "layers") {
      EXPECT_TRUE(std::string(op.line.file).ends_with("my_model.cc")) << op.text << " " << op.line.file;
      EXPECT_GE(op.line.line, 12u) << op.text;
      EXPECT_LE(op.line.line, 15u) << op.text;
    }
  EXPECT_EQ(recording.count("attention", "layers"), 1);
  // silu(gate) * up: C++ does not say which argument is made first.
  const std::string ops = ops_of_line(15, "layers");
  EXPECT_TRUE(ops == "variable matmul variable matmul sigmoid mul mul variable matmul add " ||
              ops == "variable matmul sigmoid mul variable matmul mul variable matmul add ")
      << ops;
  EXPECT_EQ(ops_of_line(21, "evaluate"), "repeat ");
}

TEST_F(ModelTest, EvaluationNeedsNoCacheAndReadsWholeSequences) {
  build_eval_step(*my_llama, options());
  EXPECT_EQ(recording.count("write_rows"), 0);
  EXPECT_EQ(recording.text("evaluate").substr(0, recording.text("evaluate").find("variable")),
            "%8 = iota shape=[2, 16] element=i32 axis=1 : i32 (2, 16)\n"
            "%9 = sub %8 %5 : i32 (2, 16)\n"
            "%10 = constant 1 : i32 (2, 16)\n"
            "%11 = add %8 %10 : i32 (2, 16)\n"
            "%12 = ");
  EXPECT_TRUE(has_event("input tokens i32 (2, 16) limit 256"));
  EXPECT_TRUE(has_event("input positions i32 (2, 16) limit 16"));
  EXPECT_TRUE(has_event("output logprobs f32 (2, 16)"));
}

TEST_F(ModelTest, TheTrainingStepIsOneProgram) {
  build_train_step(*my_llama, options());
  std::string events;
  for (const std::string &event : recording.events)
    if (event.rfind("assign", 0)) events += event + "\n";
  EXPECT_EQ(events, "entry train_step\n"
                    "input tokens i32 (2, 16) limit 256 micro\n"
                    "input positions i32 (2, 16) limit 16 micro\n"
                    "input documents i32 (2, 16) limit -1 micro\n"
                    "input targets i32 (2, 16) limit -1 micro\n"
                    "input lr f32 () limit -1\n"
                    "input step f32 () limit -1\n"
                    "input inverse_targets f32 () limit -1\n"
                    "input loss_limit f32 () limit -1\n"
                    "input grad_norm_limit f32 () limit -1\n"
                    "function micro_batch\n"
                    "repeat [0, 3]\n"
                    "function layers\n"
                    "end layers with 1\n"
                    "end micro_batch with 1\n"
                    "accumulate_gradients f1 of 4\n"
                    "output loss f32 ()\n"
                    "output grad_norm f32 ()\n");
  EXPECT_EQ(recording.events.size(), 18u + 3 * 12); // each parameter and its two states are written
  EXPECT_EQ(recording.count("gradient", "train_step"), 12);
}

TEST_F(ModelTest, PrefillAndDecodeComeFromTheSameDefinition) {
  ProgramOptions o = options();
  o.train = o.evaluate = false;
  o.context = 32;
  o.generate_batch = 2;
  build_program(*my_llama, o);
  std::string events;
  for (const std::string &event : recording.events)
    if (event.rfind("function", 0) && event.rfind("end", 0) && event.rfind("repeat", 0))
      events += event + "\n";
  EXPECT_EQ(recording.count("write_rows", "layers"),
            6); // k and v, in prefill_8, prefill_16 and decode; 64 exceeds the context
  EXPECT_NE(
      events.find("entry prefill_8\ninput tokens i32 (2, 8) limit 256\ninput positions i32 (2, 8) limit 32\n"
                  "input last i32 (2) limit 8\nassign layers.self_attn.k_cache "),
      events.npos)
      << events;
  EXPECT_NE(
      events.find(
          "entry decode\ninput tokens i32 (2, 1) limit 256\ninput positions i32 (2, 1) limit 32\nassign "),
      events.npos)
      << events;
  EXPECT_NE(events.find("output logits f32 (2, 256)\noutput lse f32 (2)\n"), events.npos) << events;
  EXPECT_EQ(events.find("prefill_64"), events.npos);
  const Variable &cache = recording.variables.at("layers.self_attn.v_cache");
  EXPECT_EQ(cache.shape, (Shape{3, 2, 2, 32, 16}));
  EXPECT_EQ(cache.kind, VariableKind::cache);
}

TEST_F(ModelTest, PrefillComputesTheHeadOfOneRowASequence) {
  ProgramOptions o = options();
  o.generate_batch = 2;
  build_generate_step(*my_llama, o, "prefill_8", 8);
  std::string text = recording.text("prefill_8");
  EXPECT_NE(text.find(" shape=[2, 1, 64] : f32 (2, 1, 64)\n"), text.npos) << text;
  EXPECT_EQ(text.find("(2, 8, 256)"), text.npos) << text;
}

TEST_F(ModelTest, ATiedHeadIsTheEmbeddingsTable) {
  ProgramOptions o = options();
  o.config.emplace_back("tied", true);
  build_eval_step(*llama, o);
  EXPECT_FALSE(recording.variables.count("lm_head.weight"));
  EXPECT_EQ(recording.count("variable embed_tokens.weight"), 2);
}

TEST_F(ModelTest, HuggingFacesConfigFollowsTheModels) {
  std::string json = llama->hugging_face_config(options().config);
  for (const char *line : {"\"architectures\": [\"LlamaForCausalLM\"]", "\"hidden_size\": 64",
                           "\"head_dim\": 16", "\"rms_norm_eps\": 1e-05", "\"rope_theta\": 10000.0",
                           "\"rope_scaling\": null", "\"tie_word_embeddings\": false"})
    EXPECT_NE(json.find(line), json.npos) << line << " in " << json;
}

TEST(JsonObjectTest, IsReadAsItWasWritten) {
  JsonObject inner, outer;
  inner.add("theta", 500000.0).add("share", 0.1).add("tiny", 1e-6);
  outer.add("text", "a \"quoted\\ line\n").add("count", 3).add("yes", true).add_null("none");
  outer.add_list("list", "one").add("inner", inner);
  EXPECT_EQ(outer.text(),
            "{\n  \"text\": \"a \\\"quoted\\\\ line\\u000a\",\n  \"count\": 3,\n  \"yes\": true,\n"
            "  \"none\": null,\n  \"list\": [\"one\"],\n  \"inner\": {\n    \"theta\": 500000.0,\n"
            "    \"share\": 0.1,\n    \"tiny\": 1e-06\n  }\n}\n");
  EXPECT_EQ(JsonObject().text(), "{}\n");
}

std::string error_of(const ModelInfo &model, const ProgramOptions &o) {
  try {
    build_program(model, o);
  } catch (const ModelError &e) {
    std::string text = e.what();
    return text.substr(text.rfind('/', text.find(':')) + 1);
  }
  return "no error";
}

TEST_F(ModelTest, ErrorsInLayersNameTheModelsLine) {
  ProgramOptions o = options();
  o.config.emplace_back("kv_heads", i64{3});
  EXPECT_EQ(error_of(*my_llama, o), "my_model.cc:12: attention: heads 4 is not a multiple of kv_heads 3");
  RecordingBuilder fresh;
  o.config.emplace_back("heads", i64{5});
  o.config.emplace_back("kv_heads", i64{5});
  EXPECT_EQ(error_of(*my_llama, o),
            "my_model.cc:12: attention: dim 64 is not a multiple of heads 5; set head_dim");
}

TEST_F(ModelTest, AModelMustGiveLogits) {
  ModelInfo headless = *my_llama;
  headless.name = "headless";
  headless.line = {"dir/headless.cc", 7, 1, ""};
  headless.build = [](const Scope &s, const Sequence &seq, const ConfigMap &) {
    return embedding(s / "embed_tokens", seq.tokens, 256, 64);
  };
  ProgramOptions o = options();
  o.train = o.evaluate = false;
  std::string text = error_of(headless, o);
  EXPECT_EQ(text.substr(0, text.find('\n')),
            "headless.cc:7: model headless gives f32 (1, 8, 64) when it should give logits "
            "(1, 1, vocab); end it with lm_head");
}

TEST_F(ModelTest, OwnLayersAndOperatorsAreBlamedAsTheySay) {
  const ModelInfo *gpt = load(WEFT_TEST_OWN_LAYER);
  ProgramOptions o;
  o.seq = 16;
  build_program(*gpt, o);
  EXPECT_EQ(ops_of_line(12, "layers").find("variable"), std::string::npos); // gelu: its own line
  EXPECT_NE(ops_of_line(12, "layers").find("tanh"), std::string::npos);
  EXPECT_EQ(ops_of_line(17, "layers"), ""); // inside layer_norm: the caller's line
  EXPECT_NE(ops_of_line(24, "layers").find("rsqrt"), std::string::npos);
  EXPECT_EQ(recording.variables.at("layers.fc.bias").decay, false);
}

TEST(Builder, ThereIsNoneOutsideATrace) { EXPECT_THROW(builder(), ModelError); }

TEST_F(ModelTest, ErrorsInOptionsNameTheKey) {
  ProgramOptions o = options();
  o.config.emplace_back("head", i64{3});
  EXPECT_EQ(error_of(*my_llama, o),
            "unknown key 'head' in the config of my_llama; did you mean 'heads'? (keys: vocab, dim, "
            "ffn, layers, heads, kv_heads)");
  o = options();
  o.seq = 0;
  EXPECT_EQ(error_of(*my_llama, o), "seq is 0 when it should be 1 or more");
  o = options();
  o.optimizer.name = "adam";
  EXPECT_EQ(error_of(*my_llama, o), "unknown optimizer 'adam': should be adamw or sgd");
}

TEST(Repeat, TheBodyGivesWhatItTakes) {
  RecordingBuilder recording;
  Tensor x(recording.make(DType::f32, {2, 4}), {});
  std::string text;
  int line = __LINE__ + 2;
  try {
    repeat(Scope() / "layers", {0, 2}, x, [](Scope, Tensor x) { return sum(x, {1}); });
  } catch (const ModelError &e) {
    text = e.what();
  }
  std::string here = std::string(__FILE__) + ":" + std::to_string(line) + ": ";
  EXPECT_EQ(text, here + "the body of repeat gives f32 (2) when it should give what it takes, f32 (2, 4)\n" +
                      here + "result made here");
}

TEST(Repeat, ALayerIsGivenItsOwnConstant) {
  RecordingBuilder recording;
  Tensor x(recording.make(DType::f32, {2, 4}), {});
  Tensor scales = table({3, 1}, {1, 0.5, 0.25});
  repeat(Scope() / "layers", {0, 3}, x, scales, [](Scope, Tensor x, Tensor scale) { return x * scale; });
  EXPECT_EQ(recording.ops[1].text, "broadcast %3 dims=[1] shape=[2, 4] : f32 (2, 4)");
  EXPECT_THROW(
      repeat(Scope() / "layers", {0, 4}, x, scales, [](Scope, Tensor x, Tensor scale) { return x * scale; }),
      ModelError);
}

TEST(Repeat, TwoRangesUnderOneNameAreTwoSetsOfParameters) {
  RecordingBuilder recording;
  Tensor x(recording.make(DType::f32, {2, 4}), {});
  auto body = [](Scope s, Tensor x) { return rms_norm(s / "norm", x); };
  x = repeat(Scope() / "layers", {0, 3}, x, body);
  x = repeat(Scope() / "layers", {3, 5}, x, body);
  EXPECT_EQ(recording.variables.at("layers.norm.weight").layers, 3);
  const Variable &second = recording.variables.at("layers[3:5].norm.weight");
  EXPECT_EQ(second.layer_begin, 3);
  EXPECT_EQ(second.file_name, "model.layers.{}.norm.weight");
}

TEST(Repeat, AnOptimisersStateIsNamedByLayerWhateverTheRange) {
  RecordingBuilder recording;
  Tensor x(recording.make(DType::f32, {2, 4}), {});
  repeat(Scope() / "layers", {3, 5}, x, [](Scope s, Tensor x) { return rms_norm(s / "norm", x); });
  Variable state = state_of(recording.variables.at("layers[3:5].norm.weight"), "m");
  EXPECT_EQ(state.path, "optimizer.m.layers[3:5].norm.weight");
  EXPECT_EQ(state.file_name, "optimizer.m.layers.norm.weight#{}");
  EXPECT_EQ(path_without_range("a[b].c"), "a[b].c");
  EXPECT_EQ(path_without_range("a[3].c"), "a[3].c");
  EXPECT_EQ(path_without_range("a[3"), "a[3");
  EXPECT_EQ(path_without_range("layers[12:61]"), "layers");
}

} // namespace
} // namespace weft
