#include "runtime/hugging_face/import_weights.h"
#include "tests/runtime/hugging_face/bounded_child.h"
#include "tests/runtime/hugging_face/folder.h"
#include "tests/runtime/train/test_variable.h"

#include <numeric>

namespace weft {
namespace {

namespace fs = std::filesystem;

class ImportWeights : public testing::Test {
protected:
  void Folder(const std::vector<FileTensor> &tensors) {
    WriteTensors(folder_ / "model.safetensors", tensors);
    auto files = WeightFiles::Open(folder_.path());
    ASSERT_TRUE(files.ok()) << files.status();
    files_.emplace(*std::move(files));
  }
  std::string Check() { return std::string(CheckWeights(*files_, shapes_, others_).message()); }
  absl::StatusOr<FileHash> Copy(const CopyOptions &options = {}) {
    return CopyWeights(*files_, shapes_, others_, folder_ / "out.safetensors", options);
  }
  std::vector<float> Copied(const std::string &name) {
    auto file = SafetensorsReader::Open(folder_ / "out.safetensors");
    EXPECT_TRUE(file.ok()) << file.status();
    const SafeTensor &tensor = file->tensors().at(name);
    EXPECT_EQ(tensor.dtype, "F32");
    std::vector<float> values(tensor.bytes / 4);
    EXPECT_TRUE(file->ReadPart(tensor, 0, {reinterpret_cast<char *>(values.data()), tensor.bytes}).ok());
    return values;
  }

  TempFolder folder_;
  std::optional<WeightFiles> files_;
  WeightShapes shapes_;
  OtherWeights others_;
};

TEST_F(ImportWeights, CopiesWhatFits) {
  shapes_ = {{"a", {2, 2}}, {"b", {3}}, {"scalar", {}}};
  Folder({F32Tensor("scalar", {}, {9}),
          {"b", fb::DType::bf16, {3}, std::string("\x80\x3f\x00\x40\x40\x40", 6)},
          F32Tensor("a", {2, 2}, {1, 2, 3, 4})});
  EXPECT_EQ(Check(), "");
  auto hash = Copy();
  ASSERT_TRUE(hash.ok()) << hash.status();
  EXPECT_EQ(hash->bytes, fs::file_size(folder_ / "out.safetensors"));
  EXPECT_EQ(hash->hash, HashFile(folder_ / "out.safetensors")->hash);
  EXPECT_EQ(Copied("a"), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(Copied("b"), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(Copied("scalar"), std::vector<float>{9});
}

TEST_F(ImportWeights, PartsOfABufferJoin) {
  std::vector<float> values((1 << 20) + 3);
  std::iota(values.begin(), values.end(), 0.f);
  shapes_ = {{"w", {static_cast<int64_t>(values.size())}}};
  Folder({F32Tensor("w", {static_cast<int64_t>(values.size())}, values)});
  uint64_t seen = 0;
  ASSERT_TRUE(Copy({.progress = [&](uint64_t done, uint64_t all) { seen = done == all ? done : 0; }}).ok());
  EXPECT_EQ(seen, values.size() * 4);
  EXPECT_EQ(Copied("w"), values);
}

TEST_F(ImportWeights, WhatDoesNotFitIsListed) {
  shapes_ = {{"here", {2}}, {"model.up_proj.weight", {2, 3}}, {"shape", {2, 3}}, {"type", {2}}};
  Folder({F32Tensor("here", {2}, {1, 2}),
          F32Tensor("extra", {1}, {0}),
          F32Tensor("model.up_porj.weight", {2, 3}, std::vector<float>(6)),
          F32Tensor("shape", {3, 2}, std::vector<float>(6)),
          {"type", fb::DType::i32, {2}, std::string(8, '\0')}});
  EXPECT_EQ(Check(), "the weights do not fit config.json:\n"
                     "  model.up_proj.weight is missing (the nearest of the others is model.up_porj.weight)\n"
                     "  shape has the shape (3, 2) when config.json makes it (2, 3)\n"
                     "  type has the type I32 when F32, BF16, F16 and F8_E4M3 with scales are read\n"
                     "  extra is no tensor of this model\n"
                     "  model.up_porj.weight is no tensor of this model");
}

TEST_F(ImportWeights, ALongListIsCut) {
  for (int i = 0; i < 30; ++i) shapes_["layer." + std::to_string(i)] = {1};
  Folder({});
  std::string text = Check();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 9) << text;
  EXPECT_NE(text.find("and 22 more"), std::string::npos) << text;
}

TEST_F(ImportWeights, TensorsWithoutUseAreIgnoredByPattern) {
  shapes_ = {{"w", {1}}};
  others_.ignored = {"model.layers.*.inv_freq", "model.layers.61.*"};
  Folder({F32Tensor("w", {1}, {1}), F32Tensor("model.layers.10.inv_freq", {2}, {1, 2}),
          F32Tensor("model.layers.61.mlp.weight", {1}, {1})});
  EXPECT_EQ(Check(), "");
  Folder({F32Tensor("w", {1}, {1}), F32Tensor("model.layers.6.mlp.weight", {1}, {1})});
  EXPECT_NE(Check(), "");
}

TEST_F(ImportWeights, ATiedHeadMayBeThereIfItIsEqual) {
  shapes_ = {{"embed", {2}}};
  others_.equal = {{"head", "embed"}};
  Folder({F32Tensor("embed", {2}, {1, 2})});
  EXPECT_EQ(Check(), "");
  EXPECT_TRUE(Copy().ok());
  Folder({F32Tensor("embed", {2}, {1, 2}), F32Tensor("head", {2}, {1, 2})});
  EXPECT_EQ(Check(), "");
  EXPECT_TRUE(Copy().ok());
  Folder({F32Tensor("embed", {2}, {1, 2}), F32Tensor("head", {2}, {1, 2.5})});
  EXPECT_EQ(Check(), "");
  EXPECT_NE(Copy().status().message().find("tensors head and embed differ"), std::string::npos);
  Folder({F32Tensor("embed", {2}, {1, 2}), F32Tensor("head", {1}, {1})});
  EXPECT_NE(Check().find("head is F32 (1) when it should be as embed, F32 (2)"), std::string::npos)
      << Check();
}

// (130, 129): four blocks, of which three are cut off, and every code.
TEST_F(ImportWeights, WeightsOf8BitsAreTimesTheScalesOfTheirBlocks) {
  constexpr int kRows = 130, kColumns = 129;
  std::string codes;
  for (int i = 0; i < kRows * kColumns; ++i) codes += static_cast<char>(i * 7 % 256);
  const std::vector<float> scales = {1, 0.3f, -2, 1e-4f};
  folder_.Write("codes.safetensors", RawFile("w", "F8_E4M3", "[130,129]", codes));
  WriteTensors(folder_ / "rest.safetensors",
               {F32Tensor("w_scale_inv", {2, 2}, scales), F32Tensor("x", {1}, {5})});
  folder_.Write(
      "model.safetensors.index.json",
      R"({"weight_map":{"w":"codes.safetensors","w_scale_inv":"rest.safetensors","x":"rest.safetensors"}})");
  auto files = WeightFiles::Open(folder_.path());
  ASSERT_TRUE(files.ok()) << files.status();
  files_.emplace(*std::move(files));
  shapes_ = {{"w", {kRows, kColumns}}, {"x", {1}}};
  ASSERT_EQ(Check(), "");
  ASSERT_TRUE(Copy().ok());
  std::vector<float> got = Copied("w");
  ASSERT_EQ(got.size(), codes.size());
  for (int r = 0; r < kRows; ++r)
    for (int c = 0; c < kColumns; ++c) {
      int i = r * kColumns + c, code = static_cast<unsigned char>(codes[i]);
      // bias 7, 3 bits of fraction; 0x7f is the NaN
      double size =
          code & 0x78 ? std::exp2((code >> 3 & 15) - 7) * (1 + (code & 7) / 8.0) : (code & 7) / 512.0;
      if ((code & 127) == 127)
        EXPECT_TRUE(std::isnan(got[i])) << i;
      else
        EXPECT_EQ(got[i], static_cast<float>(code < 128 ? size : -size) * scales[r / 128 * 2 + c / 128]) << i;
    }

  // Scales that are missing, of another shape, or of nothing.
  WriteTensors(folder_ / "rest.safetensors",
               {F32Tensor("w_scale_inv", {1, 2}, {1, 2}), F32Tensor("x", {1}, {5})});
  files_.emplace(*WeightFiles::Open(folder_.path()));
  EXPECT_NE(
      Check().find("w_scale_inv is F32 (1, 2) when it should be F32 (2, 2), a number for each 128 by 128"),
      std::string::npos)
      << Check();
  folder_.Write("model.safetensors", RawFile("w", "F8_E4M3", "[130,129]", codes));
  files_.emplace(*WeightFiles::Open(folder_.path()));
  shapes_.erase("x");
  EXPECT_NE(Check().find("w is F8_E4M3 and has no w_scale_inv"), std::string::npos) << Check();
  Folder({F32Tensor("w", {kRows, kColumns}, std::vector<float>(codes.size())),
          F32Tensor("w_scale_inv", {2, 2}, scales)});
  EXPECT_NE(Check().find("w_scale_inv is no tensor of this model"), std::string::npos) << Check();
  folder_.Write("model.safetensors", RawFile("w", "F8_E4M3", "[4]", "abcd"));
  files_.emplace(*WeightFiles::Open(folder_.path()));
  shapes_ = {{"w", {4}}};
  EXPECT_NE(Check().find("w is F8_E4M3 of 1 dimensions when only matrices have scales"), std::string::npos)
      << Check();
}

TEST_F(ImportWeights, StopsWhenItIsAskedTo) {
  shapes_ = {{"w", {1}}};
  Folder({F32Tensor("w", {1}, {1})});
  EXPECT_EQ(Copy({.cancelled = [] { return true; }}).status().code(), absl::StatusCode::kCancelled);
}

// Experts are one tensor here, (layers, experts, out, in), and a tensor each in the file.
TEST_F(ImportWeights, StackedExpertsHaveTensorsOfTheirOwn) {
  TestVariable experts("layers[3:5].mlp.experts.up_proj.weight",
                       "model.layers.{}.mlp.experts.{}.up_proj.weight", fb::VariableKind::parameter,
                       {2, 3, 1, 2}, 2, 3);
  std::vector<FileTensor> tensors;
  for (int layer = 3; layer < 5; ++layer)
    for (int expert = 0; expert < 3; ++expert) {
      float first = static_cast<float>(((layer - 3) * 3 + expert) * 2);
      tensors.push_back(F32Tensor("model.layers." + std::to_string(layer) + ".mlp.experts." +
                                      std::to_string(expert) + ".up_proj.weight",
                                  {1, 2}, {first, first + 1}));
    }
  for (const CheckpointTensor &tensor : CheckpointTensors({experts.view.variable, {}}))
    shapes_[tensor.name] = tensor.shape;
  EXPECT_EQ(shapes_.size(), 6u);
  Folder(tensors);
  EXPECT_EQ(Check(), "");
  ASSERT_TRUE(Copy().ok());
  // Read as a checkpoint's, they are in the variable's order.
  fs::rename(folder_ / "out.safetensors", folder_ / "model.safetensors");
  VariableView view = experts.view;
  ASSERT_TRUE(ReadCheckpoint(folder_.path(), {&view, 1}, /*all=*/false).ok());
  for (size_t i = 0; i < experts.values.size(); ++i) EXPECT_EQ(experts.values[i], i);
}

TEST_F(ImportWeights, TakesABufferHoweverLargeTheModel) {
  // 320 MiB of zeros, of which the disk has none: one tensor of 256 MiB, and others.
  const int64_t large = 64 << 20, small = 1 << 20;
  std::string header = "{\"large\":{\"dtype\":\"F32\",\"shape\":[" + std::to_string(large) +
                       "],\"data_offsets\":[0," + std::to_string(large * 4) + "]}";
  shapes_ = {{"large", {large}}};
  int64_t end = large * 4;
  for (int i = 0; i < 16; ++i, end += small * 4) {
    std::string name = "small" + std::to_string(i);
    header += ",\"" + name + "\":{\"dtype\":\"F32\",\"shape\":[" + std::to_string(small) +
              "],\"data_offsets\":[" + std::to_string(end) + "," + std::to_string(end + small * 4) + "]}";
    shapes_[name] = {small};
  }
  header += "}";
  std::string length(8, '\0');
  for (int i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i));
  fs::resize_file(folder_.Write("model.safetensors", length + header), 8 + header.size() + end);
  int64_t peak = PeakBytesOf([&] {
    auto files = WeightFiles::Open(folder_.path());
    return files.ok() && CheckWeights(*files, shapes_, others_).ok() &&
           CopyWeights(*files, shapes_, others_, folder_ / "out.safetensors", {}).ok();
  });
  EXPECT_GT(peak, 0);
  EXPECT_LT(peak, 100 << 20);
  EXPECT_GT(fs::file_size(folder_ / "out.safetensors"), static_cast<uint64_t>(320 << 20));
}

} // namespace
} // namespace weft
