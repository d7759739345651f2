// What --tune keeps: written, found again, and refused where it is damaged or of something else.
#include "compiler/tune/tuning_cache.h"
#include "tests/runtime/data/temp_folder.h"

#include "absl/strings/match.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace weft {
namespace {

TunedSchedule some() {
  return {{machineKey("avx2", 2) + "kernel\n", 1.25, 1.5, 20, "2026-11-26 12:00 UTC"},
          {12, 32, 96, 64, 128},
          {8, 48, 96, 96, 64}};
}

TunedFusion someFusion() {
  return {
      {fusionMachineKey("avx2", 2) + "function\n", 12.5, 13.5, 4, "2026-11-27 12:00 UTC"}, {15}, {17, 19}};
}

class TuningCache : public ::testing::Test {
protected:
  void SetUp() override {
    unsetenv("WEFT_TUNING_CACHE");
    setenv("XDG_CACHE_HOME", folder.path().c_str(), 1);
  }
  void put(const std::string &text) { std::ofstream(tuningPath(scheduleFolder(), some().key)) << text; }
  TempFolder folder;
};

TEST_F(TuningCache, FindsWhatWasKept) {
  EXPECT_TRUE(absl::IsNotFound(loadTunedSchedule(some().key).status()));
  ASSERT_TRUE(storeTuned(some()).ok());
  auto kept = loadTunedSchedule(some().key);
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(tunedJson(*kept), tunedJson(some()));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scheduleFolder()), {}), 1)
      << "no temporary file is left";
}

TEST_F(TuningCache, KnowsMachinesApart) {
  ASSERT_TRUE(storeTuned(some()).ok());
  for (const std::string &other : {machineKey("avx2", 3), machineKey("avx512", 2)})
    EXPECT_TRUE(absl::IsNotFound(loadTunedSchedule(other + "kernel\n").status()));
  // The same file name, another key: one of 2^64 by chance, or put there.
  TunedSchedule other = some();
  other.key = machineKey("avx2", 3) + "kernel\n";
  put(tunedJson(other));
  EXPECT_TRUE(
      absl::StrContains(loadTunedSchedule(some().key).status().message(), "is of another kernel or machine"));
}

TEST_F(TuningCache, IsOffWithoutAFolder) {
  ASSERT_TRUE(storeTuned(some()).ok());
  setenv("WEFT_TUNING_CACHE", "off", 1);
  EXPECT_EQ(scheduleFolder(), "");
  EXPECT_TRUE(absl::IsNotFound(loadTunedSchedule(some().key).status()));
  EXPECT_TRUE(storeTuned(some()).ok());
  unsetenv("WEFT_TUNING_CACHE");
  setenv("XDG_CACHE_HOME", "relative", 1); // the XDG specification says that such a one counts as unset
  setenv("HOME", "", 1);
  EXPECT_EQ(scheduleFolder(), "");
}

TEST_F(TuningCache, RefusesDamagedFilesByName) {
  ASSERT_TRUE(storeTuned(some()).ok());
  const std::string good = tunedJson(some());
  auto with = [&](const std::string &from, const std::string &to) {
    std::string text = good;
    size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  const std::pair<std::string, const char *> cases[] = {
      {"", "is not a JSON object"},
      {good.substr(0, good.size() / 2), "is not a JSON object"},
      {with("\"format\": 1", "\"format\": 2"), "has no \"format\" of 1"},
      {with("\"key\":", "\"keys\":"), "has no text \"key\""},
      {with("\"tile_m\": 8", "\"tile_m\": -8"), "own.tile_m is no whole number from 0 to 1048576"},
      {with("\"tile_m\": 12", "\"tile_m\": 18446744073709551615"), "schedule.tile_m is no whole number"},
      {with("\"tile_m\": 12", "\"tile_m\": 12, \"tile_m\": 12"), "names tile_m twice"},
      {with("\"block_k\": ", "\"block_ks\": "), "own.block_k is no whole number"},
      {with("\"ms\": 1.25", "\"ms\": 1e300"), "ms is 1e+300 when it should be positive milliseconds"},
      {with("\"own_ms\": 1.5", "\"own_ms\": 0"), "own_ms is 0 when"},
      {with("\"candidates\": 20", "\"candidates\": 0"), "has no \"candidates\""},
      {with("\"measured\": \"2026", "\"measured\": \"" + std::string(300, '2')), "has a \"measured\" of"},
  };
  for (auto &[text, message] : cases) {
    put(text);
    absl::Status status = loadTunedSchedule(some().key).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status << " of " << text;
    EXPECT_TRUE(absl::StrContains(status.message(), tuningPath(scheduleFolder(), some().key))) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), message)) << status;
  }
}

TEST_F(TuningCache, KeepsFusionsBesideSchedules) {
  EXPECT_TRUE(absl::IsNotFound(loadTunedFusion(someFusion().key).status()));
  ASSERT_TRUE(storeTuned(someFusion()).ok());
  EXPECT_FALSE(std::filesystem::exists(scheduleFolder()));
  auto kept = loadTunedFusion(someFusion().key);
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(tunedJson(*kept), tunedJson(someFusion()));
  EXPECT_NE(fusionMachineKey("avx2", 2), fusionMachineKey("avx2", 3));
  const std::string good = tunedJson(someFusion()), path = tuningPath(fusionFolder(), someFusion().key);
  for (auto [from, to, message] :
       {std::tuple{"15", "-15", "behind holds what is no whole number from 0 to 1048576"},
        {"17", "\"17\"", "apart holds what is no whole number"},
        {"\"apart\": [", "\"apart\": {\"a\": [", "is not a JSON object"},
        {"fusing passes", "fusing Passes", "is of another product or machine"},
        {"\"behind\":", "\"beside\":", "has no list \"behind\""},
        {"\"ms\": 12.5", "\"ms\": 0", "ms is 0 when"}}) {
    std::string text = good;
    std::ofstream(path) << text.replace(text.find(from), strlen(from), to);
    absl::Status status = loadTunedFusion(someFusion().key).status();
    EXPECT_TRUE(absl::StrContains(status.message(), message)) << status << " of " << text;
  }
}

TEST_F(TuningCache, SaysWhereItCannotWrite) {
  std::ofstream(folder.path() + "/file") << "x";
  setenv("XDG_CACHE_HOME", (folder.path() + "/file").c_str(), 1);
  EXPECT_TRUE(absl::StrContains(storeTuned(some()).message(), folder.path() + "/file/weft/schedules"));
}

} // namespace
} // namespace weft
