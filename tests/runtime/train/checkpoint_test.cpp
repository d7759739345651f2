#include "runtime/train/checkpoint.h"
#include "runtime/train/safetensors.h"
#include "tests/runtime/data/temp_folder.h"
#include "tests/runtime/train/test_variable.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

namespace weft {
namespace {

namespace fs = std::filesystem;

using enum fb::VariableKind;

std::vector<VariableView> Views(std::initializer_list<TestVariable *> variables) {
  std::vector<VariableView> views;
  for (TestVariable *v : variables) views.push_back(v->view);
  return views;
}

CheckpointContents Contents(int64_t step, std::vector<VariableView> variables) {
  CheckpointContents contents;
  contents.state.step = step;
  contents.state.epoch = 1;
  contents.state.row = 7;
  contents.state.seed = 0xffffffffffffffff;
  contents.state.data_hash = "0123";
  contents.state.cpu_level = "avx2";
  contents.state.options = {{"dot_unit", "f32"}, {"shards", "4"}};
  contents.variables = std::move(variables);
  contents.files = {{"config.json", "{}"}, {"tokenizer.json", "{\"a\": 1}"}};
  return contents;
}

class Checkpoint : public testing::Test {
protected:
  std::string Write(int64_t step, int64_t keep = 0) {
    TestVariable w("w", "model.w", parameter, {2, 3}), m("adamw.m.w", "", optimizer, {2, 3}),
        c("kv", "", cache, {4});
    auto path = WriteCheckpoint(
        folder_.path(), Contents(step, Views({&w.Fill(static_cast<float>(step)), &m.Fill(100), &c})), keep);
    EXPECT_TRUE(path.ok()) << path.status();
    return path.ok() ? *path : "";
  }
  absl::StatusOr<FoundCheckpoint> Find() {
    notices_.clear();
    return FindCheckpoint(folder_.path(), [this](const std::string &text) { notices_.push_back(text); });
  }
  void FlipByte(const std::string &path, size_t at) {
    std::string text = Slurp(path);
    text[at] ^= 1;
    std::ofstream(path, std::ios::binary) << text;
  }
  TempFolder folder_;
  std::vector<std::string> notices_;
};

TEST_F(Checkpoint, RestoresEveryByteOfWeightsAndState) {
  std::string path = Write(200);
  EXPECT_EQ(path, folder_ / "step-000200");
  auto state = VerifyCheckpoint(path);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->step, 200);
  EXPECT_EQ(state->epoch, 1);
  EXPECT_EQ(state->row, 7);
  EXPECT_EQ(state->seed, 0xffffffffffffffff);
  EXPECT_EQ(state->data_hash, "0123");
  EXPECT_EQ(state->options.at("dot_unit"), "f32");
  EXPECT_EQ(Slurp(path + "/tokenizer.json"), "{\"a\": 1}");

  TestVariable w("w", "model.w", parameter, {2, 3}), m("adamw.m.w", "", optimizer, {2, 3}),
      c("kv", "", cache, {4});
  c.Fill(5);
  ASSERT_TRUE(ReadCheckpoint(path, Views({&w, &m, &c}), true).ok());
  EXPECT_EQ(w.values, (std::vector<float>{200, 201, 202, 203, 204, 205}));
  EXPECT_EQ(m.values[5], 105);
  EXPECT_EQ(c.values[0], 5); // caches are neither written nor read

  m.Fill(0);
  ASSERT_TRUE(ReadCheckpoint(path, Views({&w, &m}), false).ok());
  EXPECT_EQ(m.values[5], 5); // the weights alone
}

TEST_F(Checkpoint, StackedLayersAreWrittenOneByOneAndFitEveryPipelineLayout) {
  // Two stages hold layers 0–1 and 2–4; the tied embedding is in both.
  TestVariable a("layers.w", "model.layers.{}.w", parameter, {2, 3}, 2, 0),
      b("layers.w", "model.layers.{}.w", parameter, {3, 3}, 3, 2);
  TestVariable ma("m.layers.w", "", optimizer, {2, 3}, 2, 0), mb("m.layers.w", "", optimizer, {3, 3}, 3, 2);
  TestVariable e0("embed.w", "model.embed.w", parameter, {2}), e1("embed.w", "model.embed.w", parameter, {2});
  auto path = WriteCheckpoint(
      folder_.path(),
      Contents(1, Views({&a.Fill(0), &e0.Fill(50), &ma.Fill(100), &b.Fill(6), &e1.Fill(50), &mb.Fill(106)})),
      0);
  ASSERT_TRUE(path.ok()) << path.status();
  auto file = SafetensorsReader::Open(*path + "/model.safetensors");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->tensors().size(), 6u);
  EXPECT_EQ(file->tensors().at("model.layers.4.w").shape, std::vector<int64_t>{3});
  EXPECT_EQ(file->metadata().at("format"), "pt");

  TestVariable all("layers.w", "model.layers.{}.w", parameter, {5, 3}, 5, 0),
      m("m.layers.w", "", optimizer, {5, 3}, 5, 0);
  ASSERT_TRUE(ReadCheckpoint(*path, Views({&all, &m}), true).ok());
  for (int i = 0; i < 15; ++i) EXPECT_EQ(all.values[i], i);
  for (int i = 0; i < 15; ++i) EXPECT_EQ(m.values[i], 100 + i);
  TestVariable last("layers.w", "model.layers.{}.w", parameter, {1, 3}, 1, 4);
  ASSERT_TRUE(ReadCheckpoint(*path, Views({&last}), true).ok());
  EXPECT_EQ(last.values[0], 12);

  TestVariable six("layers.w", "model.layers.{}.w", parameter, {6, 3}, 6, 0);
  EXPECT_EQ(ReadCheckpoint(*path, Views({&six}), true).message(),
            *path +
                "/model.safetensors: has no tensor model.layers.5.w (the nearest name is model.layers.0.w)");
}

// A second {} in the name: experts are stacked here and have a tensor each in the file.
TEST_F(Checkpoint, StackedExpertsAreWrittenOneByOneAndReadAgain) {
  TestVariable w("layers.experts.up", "model.layers.{}.experts.{}.up", parameter, {2, 3, 2}, 2, 5);
  ASSERT_TRUE(WriteCheckpoint(folder_.path(), Contents(1, Views({&w.Fill(0)})), 0).ok());
  auto file = SafetensorsReader::Open(folder_ / "step-000001/model.safetensors");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->tensors().size(), 6u);
  std::vector<float> values(2);
  ASSERT_TRUE(file->Read("model.layers.6.experts.1.up", fb::DType::f32, {2},
                         {reinterpret_cast<char *>(values.data()), 8})
                  .ok());
  EXPECT_EQ(values, (std::vector<float>{8, 9}));
  TestVariable read("layers.experts.up", "model.layers.{}.experts.{}.up", parameter, {2, 3, 2}, 2, 5);
  ASSERT_TRUE(ReadCheckpoint(folder_ / "step-000001", Views({&read}), false).ok());
  EXPECT_EQ(read.values, w.values);
}

TEST_F(Checkpoint, StagesThatDisagreeAboutASharedWeightAreAnError) {
  TestVariable a("w", "w", parameter, {2}), b("w", "w", parameter, {2});
  auto path = WriteCheckpoint(folder_.path(), Contents(1, Views({&a.Fill(0), &b.Fill(1)})), 0);
  EXPECT_EQ(path.status().message(), "two variables are called w and differ");
  EXPECT_TRUE(fs::is_empty(folder_.path())); // nothing is left of it
}

TEST_F(Checkpoint, KeepsTheInitialWeightsBesideTheNewest) {
  for (int64_t step = 0; step <= 3; ++step) Write(step, 2);
  EXPECT_EQ(ListCheckpoints(folder_.path()), (std::vector<int64_t>{0, 2, 3}));
}

TEST_F(Checkpoint, KeepsTheNewestAndRemovesTheRest) {
  for (int step : {1, 2, 3, 4}) Write(step, 2);
  EXPECT_EQ(ListCheckpoints(folder_.path()), (std::vector<int64_t>{3, 4}));
  Write(5, 0);
  EXPECT_EQ(ListCheckpoints(folder_.path()), (std::vector<int64_t>{3, 4, 5}));
}

TEST_F(Checkpoint, ARunThatWentBackReplacesAndDropsThoseOfItsOldFuture) {
  for (int step : {1, 2, 3}) Write(step);
  Write(2, 2); // resumed from 1
  EXPECT_EQ(ListCheckpoints(folder_.path()), (std::vector<int64_t>{1, 2}));
  EXPECT_TRUE(Find().ok());
}

TEST_F(Checkpoint, ABrokenOneIsNamedAndTheLastGoodOneUsed) {
  std::string good = Write(1), bad = Write(2);
  FlipByte(bad + "/model.safetensors", 110);
  auto found = Find();
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->path, good);
  ASSERT_EQ(notices_.size(), 2u);
  EXPECT_TRUE(
      notices_[0].starts_with("checkpoint " + bad + " is broken: model.safetensors has the checksum "))
      << notices_[0];
  EXPECT_EQ(notices_[1], "using the last good checkpoint, " + good);
}

TEST_F(Checkpoint, EveryKindOfDamageIsFoundAndNamed) {
  auto broken = [&](const std::string &path) {
    return std::string(VerifyCheckpoint(path).status().message());
  };
  std::string path = Write(1), prefix = "checkpoint " + path + " is broken: ";
  fs::remove(path + "/tokenizer.json");
  EXPECT_EQ(broken(path), prefix + "tokenizer.json is missing");
  Write(1);
  fs::resize_file(path + "/weft-state.safetensors", 100);
  EXPECT_TRUE(broken(path).starts_with(prefix + "weft-state.safetensors has 100 bytes when it should have "))
      << broken(path);
  Write(1);
  fs::remove(path + "/weft-state.json");
  EXPECT_EQ(broken(path), prefix + "weft-state.json is missing");
  Write(1);
  std::string json = Slurp(path + "/weft-state.json");
  for (size_t at = 0; at < json.size(); ++at) { // a change of meaning anywhere
    if (json[at] == ' ' || json[at] == '\n') continue;
    FlipByte(path + "/weft-state.json", at);
    EXPECT_TRUE(broken(path).starts_with(prefix)) << at << " " << broken(path);
    std::ofstream(path + "/weft-state.json") << json;
  }
  std::ofstream(path + "/weft-state.json") << json.substr(0, json.size() / 2);
  EXPECT_EQ(broken(path), prefix + "weft-state.json is not JSON; it may be cut off");
  std::ofstream(path + "/weft-state.json") << "{\"format_version\": 9}";
  EXPECT_EQ(broken(path), prefix + "weft-state.json: format_version is 9 when this weft reads 1");
}

TEST_F(Checkpoint, NoneAndNoneThatIsWholeAreDifferentErrors) {
  EXPECT_EQ(Find().status().code(), absl::StatusCode::kNotFound);
  fs::remove(Write(1) + "/config.json");
  EXPECT_EQ(Find().status().message(),
            "the one checkpoint in " + folder_.path() + " is broken\nhint: start again in another run.dir");
}

TEST_F(Checkpoint, WhatACrashLeftIsIgnoredAndCleaned) {
  Write(1);
  folder_.Write(".tmp-step-000002/model.safetensors", "half");
  folder_.Write("notes.txt", "mine");
  EXPECT_EQ(ListCheckpoints(folder_.path()), std::vector<int64_t>{1});
  RemoveLeftovers(folder_.path());
  EXPECT_FALSE(fs::exists(folder_ / ".tmp-step-000002"));
  EXPECT_TRUE(fs::exists(folder_ / "notes.txt"));
  EXPECT_TRUE(Find().ok());
}

TEST_F(Checkpoint, WritingWhereThereIsNoRoomForAFolderNamesIt) {
  std::string file = folder_.Write("file", "");
  TestVariable w("w", "w", parameter, {1});
  auto status = WriteCheckpoint(file, Contents(1, Views({&w})), 0).status();
  EXPECT_NE(std::string(status.message()).find(file), std::string::npos) << status;
}

} // namespace
} // namespace weft
