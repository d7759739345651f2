// Small models as transformers saves them, imported: each token's log-probability is transformers' own, and
// an export brings back what was imported. hugging_face/make_goldens.py made the folders and the numbers.
#include "runtime/train/safetensors.h"
#include "tests/cli/child.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
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
                         testing::Values("llama_sharded", "llama_yarn", "qwen2", "qwen3"),
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

} // namespace
} // namespace weft
