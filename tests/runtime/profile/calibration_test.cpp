#include "runtime/device/cpu.h"
#include "runtime/profile/calibration.h"
#include "tests/runtime/data/temp_folder.h"
#include "tests/runtime/profile/profiles.h"

#include <nlohmann/json.hpp>

#include <cstdlib>

namespace weft {
namespace {

using nlohmann::json;

std::vector<std::string> *said = nullptr;

class CalibrationTest : public ::testing::Test {
protected:
  void SetUp() override {
    said = &lines_;
    setenv("XDG_CACHE_HOME", folder_.path().c_str(), 1);
  }
  absl::StatusOr<Calibration> Cached(bool again = false) {
    lines_.clear();
    return CachedCalibration(pool_, CpuLevelName(DetectCpuLevel()), again,
                             [](const std::string &line) { said->push_back(line); });
  }
  TempFolder folder_;
  ThreadPool pool_{{2}};
  std::vector<std::string> lines_;
};

TEST_F(CalibrationTest, MeasuresTheMachineOnceAndKeepsIt) {
  if (DetectCpuLevel() == CpuLevel::none) GTEST_SKIP() << "this machine is below avx2";
  absl::StatusOr<Calibration> made = Cached();
  ASSERT_TRUE(made.ok()) << made.status();
  ASSERT_GE(lines_.size(), 1u);
  EXPECT_EQ(lines_[0].find("measuring this machine: 2 threads, "), 0u);
  EXPECT_EQ(made->threads, 2);
  EXPECT_GT(made->flops.at("fma").one, 1e8);
  EXPECT_GE(made->flops.at("fma").all, made->flops.at("fma").one);
  ASSERT_GE(made->levels.size(), 2u);
  EXPECT_EQ(made->levels.back().name, "memory");
  for (size_t i = 1; i < made->levels.size(); ++i) {
    EXPECT_GT(made->levels[i].bytes, made->levels[i - 1].bytes);
    EXPECT_LE(made->levels[i].rate.all, made->levels[i - 1].rate.all);
  }
  EXPECT_GT(made->launch_ns, 0);

  if (made->disturbed) GTEST_SKIP() << "other processes run: " << lines_.back();
  absl::StatusOr<Calibration> kept = Cached();
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_TRUE(lines_.empty());
  EXPECT_EQ(CalibrationJson(*kept), CalibrationJson(*made));

  // What is broken is measured again, and says so.
  std::ofstream(CalibrationPath(*made)) << "{\"threads\": 2}";
  ASSERT_TRUE(Cached().ok());
  ASSERT_GE(lines_.size(), 2u);
  EXPECT_NE(lines_[0].find("has no text \"processor\"; the machine is measured again"), std::string::npos)
      << lines_[0];

  // A cache that cannot be written is no error.
  std::filesystem::remove_all(folder_ / "weft");
  folder_.Write("weft", "a file where the folder should be");
  ASSERT_TRUE(Cached(true).ok());
  ASSERT_GE(lines_.size(), 2u);
  EXPECT_EQ(lines_[1].find("warning: "), 0u) << lines_[1];
}

TEST_F(CalibrationTest, ALevelWithoutInstructionsIsRefused) {
  EXPECT_EQ(Calibrate(pool_, "none").status().message(),
            "a machine of level none cannot be measured: avx2 is the least");
}

TEST(CalibrationJson, IsReadAsItWasWritten) {
  const Calibration machine = testing::Machine(3);
  absl::StatusOr<Calibration> read = ParseCalibration(CalibrationJson(machine), "m.json");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(CalibrationJson(*read), CalibrationJson(machine));
  EXPECT_EQ(read->levels.back().bytes, INT64_MAX);
}

TEST(CalibrationJson, WhatIsWrongIsNamed) {
  auto error = [](const std::string &pointer, const json &value) {
    json root = json::parse(CalibrationJson(testing::Machine()));
    root[json::json_pointer(pointer)] = value;
    absl::StatusOr<Calibration> read = ParseCalibration(root.dump(), "m.json");
    return read.ok() ? "no error" : std::string(read.status().message());
  };
  EXPECT_EQ(error("/threads", 0), "m.json has threads 0 when it should be 1 or more");
  EXPECT_EQ(error("/threads", "2"), "m.json has no \"threads\"");
  EXPECT_EQ(error("/threads", UINT64_MAX), "m.json has threads -1 when it should be 1 or more");
  EXPECT_EQ(error("/flops_per_s", json::object()), "m.json has no \"flops_per_s\" with \"fma\"");
  EXPECT_EQ(error("/flops_per_s/fma/all", 0), "m.json flops_per_s.fma is not {\"one\": RATE, \"all\": RATE}");
  EXPECT_EQ(error("/levels", json::array()), "m.json has no \"levels\" of the memory");
  EXPECT_EQ(error("/levels/1/bytes", 10),
            "m.json has a level of 10 bytes when each should be larger than the one before");
  EXPECT_EQ(error("/levels/1/bytes_per_s/one", -1), "m.json has a level without name, bytes or bytes_per_s");
  EXPECT_EQ(error("/launch_ns", -1), "m.json has a launch_ns of -1");
  EXPECT_EQ(error("/disturbed", 0), "m.json has no \"disturbed\"");
  EXPECT_EQ(error("/processor", 3), "m.json has no text \"processor\"");
  EXPECT_EQ(ParseCalibration("[]", "m.json").status().message(), "m.json is not a JSON object");
}

} // namespace
} // namespace weft
