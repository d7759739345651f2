#include "runtime/train/expert_load.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>

namespace weft {
namespace {

nlohmann::json Parsed(const ExpertLoad &load, int64_t tokens) {
  std::string text = ExpertLoadJson(load, tokens);
  return nlohmann::json::parse("{\"step\":1" + text + "}");
}

TEST(ExpertLoad, OfNoExpertsNothingIsSaid) { EXPECT_EQ(ExpertLoadJson({}, 8), ""); }

TEST(ExpertLoad, IsOverTheMeanOfItsLayer) {
  ExpertLoad load;
  load.choices = {{4, 4, 4, 4}, {16, 0, 0, 0}};
  load.biases = {{0.5f, -0.25f, 0, 0}, {0, 0, 0, 0}};
  nlohmann::json line = Parsed(load, 8);
  EXPECT_EQ(line["expert_load"].dump(), "[[1,1,1,1],[4,0,0,0]]");
  EXPECT_EQ(line["expert_load_max"], 4);
  EXPECT_NEAR(line["routing_entropy"], std::log(4.0) / 2, 1e-3); // of equal loads ln 4, of one expert 0
  EXPECT_EQ(line["dropped"], 0);
  EXPECT_EQ(line["expert_bias"][0].dump(), "[0.5,-0.25,0,0]");
}

TEST(ExpertLoad, ChoicesThatAreMissingAreCounted) {
  ExpertLoad load;
  load.choices = {{7, 6}, {8, 8}};
  EXPECT_EQ(Parsed(load, 8)["dropped"], 3);
}

TEST(ExpertLoad, NumbersThatAreNoneAreNull) {
  ExpertLoad load;
  load.choices = {{NAN, 1}};
  load.biases = {{INFINITY, 0}};
  nlohmann::json line = Parsed(load, 1);
  EXPECT_TRUE(line["expert_bias"][0][0].is_null());
}

TEST(ExpertLoad, StagesFollowEachOther) {
  ExpertLoad first, second;
  first.choices = {{1, 1}};
  second.choices = {{2, 0}};
  first.Append(second);
  EXPECT_EQ(first.choices.size(), 2u);
}

} // namespace
} // namespace weft
