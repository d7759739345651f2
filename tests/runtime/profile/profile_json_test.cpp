#include "runtime/profile/profile.h"
#include "tests/runtime/data/temp_folder.h"
#include "tests/runtime/profile/profiles.h"

#include <nlohmann/json.hpp>

namespace weft {
namespace {

using nlohmann::json;

TEST(ProfileJson, IsReadAsItWasWritten) {
  Profile profile = testing::SmallProfile();
  profile.kernels[0].work.counters = {1, 2, 3, 4};
  const std::string text = ProfileJson(profile);
  absl::StatusOr<Profile> read = ParseProfile(text, "p.json");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ProfileJson(*read), text);
  EXPECT_EQ(read->total_ns(), 22'000'000);
  EXPECT_EQ(read->kernels[0].work.counters[3], 4u);
}

TEST(ProfileJson, WhatIsWrongIsNamed) {
  auto error = [](const std::string &pointer, const json &value) {
    json root = json::parse(ProfileJson(testing::SmallProfile()));
    root[json::json_pointer(pointer)] = value;
    absl::StatusOr<Profile> read = ParseProfile(root.dump(), "p.json");
    return read.ok() ? "no error" : std::string(read.status().message());
  };
  EXPECT_EQ(error("/format_version", 2),
            "p.json: is a profile of format 2 when this weft reads 1\nhint: make the profile again");
  EXPECT_EQ(error("/ranks", 0), "p.json: ranks is 0 when it should be between 1 and 1048576");
  EXPECT_EQ(error("/ranks", 1e30), "p.json: ranks is not a whole number");
  EXPECT_EQ(error("/step_ns", json::array()), "p.json: step_ns has no step");
  EXPECT_EQ(error("/step_ns/0", -1), "p.json: step_ns[0] is not a time");
  EXPECT_EQ(error("/sites/0/kernel", 2), "p.json: sites[0].kernel is 2 when it should be between -1 and 1");
  EXPECT_EQ(error("/sites/1/line", 99), "p.json: sites[1].line is 99 when it should be between -1 and 1");
  EXPECT_EQ(error("/sites/0/work/calls", UINT64_MAX), "p.json: sites[0].work.calls is not a whole number");
  EXPECT_EQ(error("/kernels/1/lines", json({5})), "p.json: kernels[1].lines[0] is not a line's number");
  EXPECT_EQ(error("/kernels/1", 3), "p.json: kernels[1] is not an object");
  EXPECT_EQ(error("/memory/points", json({1})), "p.json: memory.points[0] is not a pair of whole numbers");
  EXPECT_EQ(error("/options/seq", 3), "p.json: options.seq is not a text");
  EXPECT_EQ(error("/machine/threads", 0), "p.json: machine has threads 0 when it should be 1 or more");
  EXPECT_EQ(ParseProfile("{}", "p.json").status().message(), "p.json: format_version is missing");
  EXPECT_EQ(ParseProfile("nonsense", "p.json").status().message(), "p.json: is not a JSON object");
}

TEST(ProfileJson, AFolderStandsForItsProfile) {
  TempFolder folder;
  EXPECT_EQ(ReadProfile(folder.path()).status().message(),
            "there is no profile " + folder.path() +
                "/profile.json\nhint: weft profile RECIPE.toml -o DIR "
                "makes one");
  const std::string file = folder.Write("profile.json", ProfileJson(testing::SmallProfile()));
  EXPECT_TRUE(ReadProfile(folder.path()).ok());
  EXPECT_TRUE(ReadProfile(file).ok());
}

} // namespace
} // namespace weft
