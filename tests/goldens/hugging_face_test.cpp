// Small models as transformers saves them, imported: each token's log-probability is transformers' own, and
// an export brings back what was imported. hugging_face/make_goldens.py made the folders and the numbers.
#include "runtime/train/safetensors.h"
#include "tests/cli/child.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <sstream>

namespace weft {
namespace {

const std::string kFolders = "tests/goldens/hugging_face/";

struct Line {
  std::string target; // "document position id"
  double logprob;
};

std::vector<Line> Lines(const std::string &path) {
  std::istringstream text(Slurp(path));
  std::vector<Line> lines;
  for (std::string document, position, id, value; text >> document >> position >> id >> value;)
    lines.push_back({document + " " + position + " " + id, std::strtod(value.c_str(), nullptr)});
  return lines;
}

class HuggingFace : public testing::TestWithParam<const char *> {
protected:
  ChildResult Weft(const std::vector<std::string> &arguments) { return Child(folder_, arguments).Wait(); }
  void Import(const std::string &from, const std::string &name) {
    ChildResult result = Weft({"import", from, folder_ / name, "--seq", "64"});
    ASSERT_EQ(result.status, 0) << result.error;
  }
  // The log-probabilities that `weft eval` writes.
  std::string Eval(const std::string &name) {
    ChildResult result = Weft({"eval", folder_ / name, "--ids", kFolders + "ids.txt", "--logprobs",
                               folder_ / (name + ".logprobs"), "--threads", "1"});
    EXPECT_EQ(result.status, 0) << result.error;
    return folder_ / (name + ".logprobs");
  }
  TempFolder folder_;
};

TEST_P(HuggingFace, LogProbabilitiesAreThoseOfTransformers) {
  std::string name = GetParam();
  Import(kFolders + name, "imported");
  std::string path = Eval("imported");
  std::vector<Line> got = Lines(path), golden = Lines(kFolders + name + ".logprobs");
  ASSERT_EQ(golden.size(), 60u);
  ASSERT_EQ(got.size(), golden.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].target, golden[i].target);
    EXPECT_NEAR(got[i].logprob, golden[i].logprob, 1e-4) << got[i].target;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, HuggingFace,
                         testing::Values("llama_sharded", "llama_yarn", "qwen2", "qwen3", "deepseek_v3"),
                         [](const auto &info) { return std::string(info.param); });

// In f32 and in several files, and imported again.
TEST_F(HuggingFace, AnExportHasTheSameBits) {
  Import(kFolders + "qwen2", "imported");
  ChildResult exported = Weft({"export", folder_ / "imported", folder_ / "out", "--max-shard-size", "50KB"});
  ASSERT_EQ(exported.status, 0) << exported.error;
  Import(folder_ / "out", "again");
  for (const char *file : {"model.safetensors", "config.json", "generation_config.json", "tokenizer.json"})
    EXPECT_EQ(Slurp(folder_ / ("again/" + std::string(file))),
              Slurp(folder_ / ("imported/" + std::string(file))));
  EXPECT_EQ(Slurp(Eval("again")), Slurp(Eval("imported")));
}

// What was bf16 is so again, bit for bit.
TEST_F(HuggingFace, Bf16ComesBack) {
  Import(kFolders + "llama_yarn", "imported");
  ChildResult exported = Weft({"export", folder_ / "imported", folder_ / "out", "--dtype", "bf16"});
  ASSERT_EQ(exported.status, 0) << exported.error;
  auto before = SafetensorsReader::Open(kFolders + "llama_yarn/model.safetensors");
  auto after = SafetensorsReader::Open(folder_ / "out/model.safetensors");
  ASSERT_TRUE(before.ok() && after.ok());
  ASSERT_EQ(before->tensors().size(), after->tensors().size());
  for (const auto &[name, tensor] : before->tensors()) {
    std::string a(tensor.bytes, '\0'), b(tensor.bytes, '\1');
    ASSERT_EQ(after->tensors().count(name), 1u) << name;
    ASSERT_TRUE(before->Read(name, fb::DType::bf16, tensor.shape, absl::MakeSpan(a)).ok());
    ASSERT_TRUE(after->Read(name, fb::DType::bf16, tensor.shape, absl::MakeSpan(b)).ok()) << name;
    EXPECT_EQ(a, b) << name;
  }
}

using Tensors = std::map<std::string, std::pair<std::vector<int64_t>, std::string>>; // shape, f32's bytes

Tensors TensorsOf(const std::string &file) {
  auto reader = SafetensorsReader::Open(file);
  EXPECT_TRUE(reader.ok()) << reader.status();
  Tensors tensors;
  for (const auto &[name, tensor] : reader->tensors()) {
    std::string bytes(tensor.bytes, '\0');
    EXPECT_TRUE(reader->Read(name, fb::DType::f32, tensor.shape, absl::MakeSpan(bytes)).ok()) << name;
    tensors[name] = {tensor.shape, bytes};
  }
  return tensors;
}

void WriteFolderTensors(const std::string &file, const Tensors &tensors) {
  std::vector<SafetensorsWriter::Tensor> header;
  for (const auto &[name, tensor] : tensors) header.push_back({name, fb::DType::f32, tensor.first});
  auto writer = SafetensorsWriter::Create(file, header);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (const auto &[name, tensor] : tensors) ASSERT_TRUE(writer->Append(tensor.second).ok());
  ASSERT_TRUE(writer->Finish().ok());
}

// Of three layers and one of multi-token prediction, as it is exported; as published, with copies of
// embedding and head in that layer; and as transformers leaves it, without.
TEST_F(HuggingFace, ALayerOfMultiTokenPredictionComesBack) {
  ChildResult trained = Weft({"train", "tests/goldens/deepseek_v3_mtp.toml", "run.dir=" + (folder_ / "run"),
                              "train.steps=1", "optimizer.warmup=0"});
  ASSERT_EQ(trained.status, 0) << trained.error;
  ChildResult exported = Weft({"export", folder_ / "run", folder_ / "hf"});
  ASSERT_EQ(exported.status, 0) << exported.error;
  Import(folder_ / "hf", "again");
  Tensors tensors = TensorsOf(folder_ / "hf/model.safetensors");
  ASSERT_EQ(tensors.count("model.layers.3.eh_proj.weight"), 1u);
  EXPECT_EQ(TensorsOf(folder_ / "again/model.safetensors"), tensors);
  EXPECT_NE(Slurp(folder_ / "again/weft-recipe.toml").find("mtp_layers = 1"), std::string::npos);

  Tensors published = tensors;
  published["model.layers.3.embed_tokens.weight"] = tensors["model.embed_tokens.weight"];
  published["model.layers.3.shared_head.head.weight"] = tensors["lm_head.weight"];
  WriteFolderTensors(folder_ / "hf/model.safetensors", published);
  Import(folder_ / "hf", "of_published");
  EXPECT_EQ(TensorsOf(folder_ / "of_published/model.safetensors"), tensors);

  published["model.layers.3.shared_head.head.weight"].second[5] ^= 1;
  WriteFolderTensors(folder_ / "hf/model.safetensors", published);
  ChildResult differs = Weft({"import", folder_ / "hf", folder_ / "differs", "--seq", "64"});
  EXPECT_EQ(differs.status, 1);
  EXPECT_NE(differs.error.find("tensors model.layers.3.shared_head.head.weight and lm_head.weight differ"),
            std::string::npos)
      << differs.error;

  Tensors one_less = tensors;
  one_less.erase("model.layers.3.enorm.weight");
  WriteFolderTensors(folder_ / "hf/model.safetensors", one_less);
  ChildResult incomplete = Weft({"import", folder_ / "hf", folder_ / "incomplete", "--seq", "64"});
  EXPECT_EQ(incomplete.status, 1);
  EXPECT_NE(incomplete.error.find("model.layers.3.enorm.weight is missing"), std::string::npos)
      << incomplete.error;

  std::erase_if(tensors, [](const auto &tensor) { return tensor.first.starts_with("model.layers.3."); });
  WriteFolderTensors(folder_ / "hf/model.safetensors", tensors);
  ChildResult without = Weft({"import", folder_ / "hf", folder_ / "without", "--seq", "64"});
  ASSERT_EQ(without.status, 0) << without.error;
  EXPECT_NE(without.error.find("note: mtp_layers is 0: the folder has no tensors model.layers.3.*"),
            std::string::npos)
      << without.error;
  EXPECT_EQ(TensorsOf(folder_ / "without/model.safetensors"), tensors);
}

// tests/goldens/models/experts.cc with random weights: its folder, and the log-probability of a second token.
class Experts {
public:
  static constexpr int kVocab = 300, kDim = 8, kFfn = 6, kLayers = 2, kExperts = 3;
  explicit Experts(const std::string &folder) {
    auto add = [&](const std::string &name, int rows, int columns) {
      std::vector<float> &w = weights_[name];
      for (int i = 0; i < rows * columns; ++i) w.push_back(Next());
      shapes_[name] = {rows, columns};
    };
    add("model.embed_tokens.weight", kVocab, kDim);
    add("lm_head.weight", kVocab, kDim);
    for (int l = 0; l < kLayers; ++l)
      for (int e = 0; e < kExperts; ++e) {
        add(Name(l, e, "up"), kFfn, kDim);
        add(Name(l, e, "down"), kDim, kFfn);
      }
    std::filesystem::create_directories(folder);
    std::filesystem::copy_file(kFolders + "qwen3/tokenizer.json", folder + "/tokenizer.json");
    std::ofstream(folder + "/config.json")
        << R"({"architectures": ["ExpertsForCausalLM"], "vocab_size": 300, "hidden_size": 8, "ffn": 6,
               "num_hidden_layers": 2, "num_experts": 3})";
    std::vector<SafetensorsWriter::Tensor> header;
    for (const auto &[name, shape] : shapes_) header.push_back({name, fb::DType::f32, shape});
    header.push_back({"model.layers.2.extra.weight", fb::DType::f32, {1}}); // its weight map passes this over
    auto writer = SafetensorsWriter::Create(folder + "/model.safetensors", header);
    for (const auto &[name, values] : weights_) Append(*writer, values);
    Append(*writer, {1});
    EXPECT_TRUE(writer->Finish().ok());
  }
  double Logprob(int token, int next) const {
    std::vector<double> x = Row("model.embed_tokens.weight", token, kDim);
    for (int l = 0; l < kLayers; ++l) {
      std::vector<double> y = x;
      for (int e = 0; e < kExperts; ++e)
        for (int f = 0; f < kFfn; ++f) {
          double h = Dot(Row(Name(l, e, "up"), f, kDim), x);
          for (int d = 0; d < kDim; ++d) y[d] += h / (1 + std::exp(-h)) * Row(Name(l, e, "down"), d, kFfn)[f];
        }
      x = y;
    }
    double sum = 0;
    for (int v = 0; v < kVocab; ++v) sum += std::exp(Dot(Row("lm_head.weight", v, kDim), x));
    return Dot(Row("lm_head.weight", next, kDim), x) - std::log(sum);
  }
  const std::vector<float> &Weight(const std::string &name) const { return weights_.at(name); }
  static std::string Name(int layer, int expert, const char *kind) {
    return "model.layers." + std::to_string(layer) + ".mlp.experts." + std::to_string(expert) + "." + kind +
           "_proj.weight";
  }

private:
  float Next() { // in [-1, 1)
    state_ = state_ * 1664525 + 1013904223;
    return static_cast<float>(static_cast<int32_t>(state_)) / 2147483648.f;
  }
  static void Append(SafetensorsWriter &writer, const std::vector<float> &values) {
    EXPECT_TRUE(writer.Append({reinterpret_cast<const char *>(values.data()), values.size() * 4}).ok());
  }
  std::vector<double> Row(const std::string &name, int row, int columns) const {
    auto begin = weights_.at(name).begin() + row * columns;
    return {begin, begin + columns};
  }
  static double Dot(const std::vector<double> &a, const std::vector<double> &b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
  }
  uint32_t state_ = 7;
  std::map<std::string, std::vector<float>> weights_;
  std::map<std::string, std::vector<int64_t>> shapes_;
};

// A tensor an expert becomes one parameter and comes back.
TEST_F(HuggingFace, AModelOfOnesOwnWithStackedExperts) {
  Experts model(folder_ / "hf");
  ChildResult result = Weft({"import", folder_ / "hf", folder_ / "imported", "--seq", "64", "--model",
                             "tests/goldens/models/experts.cc"});
  ASSERT_EQ(result.status, 0) << result.error;
  std::istringstream ids(Slurp(kFolders + "ids.txt"));
  std::vector<std::vector<int>> documents;
  for (std::string line; std::getline(ids, line);) {
    std::istringstream words(line);
    documents.emplace_back();
    for (int id; words >> id;) documents.back().push_back(id);
  }
  for (const Line &line : Lines(Eval("imported"))) {
    int document, position, id;
    ASSERT_TRUE(std::istringstream(line.target) >> document >> position >> id);
    EXPECT_NEAR(line.logprob, model.Logprob(documents[document][position - 1], id), 1e-4) << line.target;
  }
  // Trained on, with its gradients and states per layer; the checkpoint has a tensor an expert again.
  folder_.Write("tune.toml", "[data]\ntrain = [\"" +
                                 std::filesystem::absolute("tests/goldens/text").string() +
                                 "/*.txt\"]\n[train]\ninit = \"imported\"\nsteps = 2\nbatch = 2\nseq = 32\n"
                                 "[optimizer]\nlr = 0.0\nschedule = \"constant\"\n");
  result = Weft({"train", folder_ / "tune.toml", "run.dir=" + (folder_ / "run")});
  ASSERT_EQ(result.status, 0) << result.error;
  result = Weft({"export", folder_ / "run", folder_ / "out"});
  ASSERT_EQ(result.status, 0) << result.error;
  auto file = SafetensorsReader::Open(folder_ / "out/model.safetensors");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->tensors().size(), 2u + 2 * Experts::kLayers * Experts::kExperts);
  for (const auto &[name, tensor] : file->tensors()) {
    std::vector<float> values(tensor.bytes / 4);
    ASSERT_TRUE(file->ReadPart(tensor, 0, {reinterpret_cast<char *>(values.data()), tensor.bytes}).ok());
    EXPECT_EQ(values, model.Weight(name)) << name; // the learning rate is 0
  }
}

} // namespace
} // namespace weft
