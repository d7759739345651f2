#include "runtime/hugging_face/export.h"
#include "runtime/hugging_face/weight_index.h"
#include "runtime/train/hugging_face_files.h"
#include "tests/runtime/hugging_face/bounded_child.h"
#include "tests/runtime/hugging_face/folder.h"
#include "tests/runtime/train/test_variable.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

class Export : public testing::Test {
protected:
  void SetUp() override {
    TestVariable a("a", "model.a", fb::VariableKind::parameter, {4}),
        b("layers.b", "model.layers.{}.b", fb::VariableKind::parameter, {2, 3}, 2),
        m("optimizer.m.a", "", fb::VariableKind::optimizer, {4});
    CheckpointContents contents;
    contents.state.step = 5;
    contents.variables = {a.Fill(1.0009765625f).view, b.Fill(-2).view, m.view};
    contents.files = {{"config.json", R"({"architectures": ["LlamaForCausalLM"], "torch_dtype": "float32",
                       "eos_token_id": [1, 2], "bos_token_id": null})"},
                      {"tokenizer.json", "{}"},
                      {"chat_template.jinja", "{{ messages }}"},
                      {"weft-recipe.toml", ""}};
    auto path = WriteCheckpoint(folder_ / "run/checkpoints", contents, 0);
    ASSERT_TRUE(path.ok()) << path.status();
    options_.path = folder_ / "run";
    options_.folder = folder_ / "out";
    options_.say = [this](const std::string &text) { said_.push_back(text); };
  }
  std::string Error() { return std::string(ExportFolder(options_).message()); }

  TempFolder folder_;
  ExportOptions options_;
  std::vector<std::string> said_;
};

TEST_F(Export, TheFolderHasWhatTransformersReads) {
  ASSERT_EQ(Error(), "");
  EXPECT_EQ(Listed(folder_ / "out"),
            (std::vector<std::string>{"chat_template.jinja", "config.json", "generation_config.json",
                                      "model.safetensors", "tokenizer.json"}));
  EXPECT_EQ(Slurp(folder_ / "out/model.safetensors"),
            Slurp(folder_ / "run/checkpoints/step-000005/model.safetensors"));
  auto generation = ReadJsonObject(folder_ / "out/generation_config.json");
  ASSERT_TRUE(generation.ok());
  EXPECT_EQ(generation->dump(), R"({"_from_model_config":true,"eos_token_id":[1,2]})");
}

TEST_F(Export, Bf16IsRoundedAndSaid) {
  options_.dtype = fb::DType::bf16;
  ASSERT_EQ(Error(), "");
  EXPECT_EQ((*ReadJsonObject(folder_ / "out/config.json"))["torch_dtype"], "bfloat16");
  auto files = WeightFiles::Open(folder_ / "out");
  ASSERT_TRUE(files.ok());
  const auto &place = files->tensors().at("model.a");
  EXPECT_EQ(place.tensor->dtype, "BF16");
  std::vector<float> values(4);
  ASSERT_TRUE(files->ReadF32(place, 0, absl::MakeSpan(values)).ok());
  EXPECT_EQ(values, (std::vector<float>{1, 2, 3, 4}));
}

TEST_F(Export, ShardsHoldAtMostTheirSizeAndOneTensorAtLeast) {
  options_.shard_bytes = 14; // a layer's tensor has 12 bytes, model.a 16
  ASSERT_EQ(Error(), "");
  auto index = ParseWeightIndex(Slurp(folder_ / ("out/" + std::string(kWeightIndex))));
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(*index,
            (std::map<std::string, std::string>{{"model.a", "model-00001-of-00003.safetensors"},
                                                {"model.layers.0.b", "model-00002-of-00003.safetensors"},
                                                {"model.layers.1.b", "model-00003-of-00003.safetensors"}}));
  auto files = WeightFiles::Open(folder_ / "out");
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->bytes(), 40u);
  EXPECT_EQ((*ReadJsonObject(folder_ / ("out/" + std::string(kWeightIndex))))["metadata"]["total_size"], 40);
}

TEST_F(Export, ErrorsLeaveNothing) {
  folder_.Write("out/file", "");
  EXPECT_NE(Error().find("out is there already"), std::string::npos);
  options_.folder = folder_ / "other";
  options_.path = folder_ / "nothing";
  EXPECT_NE(Error().find("there is no run or checkpoint"), std::string::npos);
  options_.path = folder_ / "run/checkpoints/step-000005";
  options_.copy.cancelled = [] { return true; };
  EXPECT_EQ(ExportFolder(options_).code(), absl::StatusCode::kCancelled);
  fs::resize_file(options_.path + "/model.safetensors", 100);
  EXPECT_NE(Error().find("is broken: model.safetensors has 100 bytes"), std::string::npos);
  EXPECT_EQ(Listed(folder_.path()), (std::vector<std::string>{"out", "run"}));
}

TEST_F(Export, OfAModelThatSaysNothingOfItselfIsNoted) {
  TestVariable a("a", "model.a", fb::VariableKind::parameter, {1});
  CheckpointContents contents;
  contents.state.step = 6;
  contents.variables = {a.view};
  contents.files = {{"config.json", "{}"}, {"tokenizer.json", "{}"}};
  ASSERT_TRUE(WriteCheckpoint(folder_ / "run/checkpoints", contents, 0).ok());
  ASSERT_EQ(Error(), "");
  EXPECT_NE(said_[0].find("transformers has no class for the folder"), std::string::npos);
}

TEST_F(Export, TakesABufferHoweverLargeTheModel) {
  fs::path checkpoint = folder_ / "large";
  fs::create_directory(checkpoint);
  const int64_t elements = 80 << 20; // 320 MiB of zeros, of which the disk has none
  std::string header = "{\"model.large\":{\"dtype\":\"F32\",\"shape\":[" + std::to_string(elements) +
                       "],\"data_offsets\":[0," + std::to_string(elements * 4) + "]}}";
  std::string length(8, '\0');
  length[0] = static_cast<char>(header.size());
  fs::resize_file(folder_.Write("large/model.safetensors", length + header),
                  8 + header.size() + elements * 4);
  folder_.Write("large/tokenizer.json", "{}");
  folder_.Write("large/config.json", "{}");
  WriteTensors(checkpoint / "weft-state.safetensors", {});
  std::map<std::string, FileHash> files;
  for (const char *name : {"model.safetensors", "weft-state.safetensors", "config.json", "tokenizer.json"})
    files[name] = *HashFile(checkpoint / name);
  folder_.Write("large/weft-state.json", StateJsonText(CheckpointState(), files));
  options_.path = checkpoint;
  options_.dtype = fb::DType::bf16;
  int64_t peak = PeakBytesOf([&] { return ExportFolder(options_).ok(); });
  EXPECT_GT(peak, 0);
  EXPECT_LT(peak, 100 << 20);
  EXPECT_GT(fs::file_size(folder_ / "out/model.safetensors"), static_cast<uint64_t>(160 << 20));
}

} // namespace
} // namespace weft
