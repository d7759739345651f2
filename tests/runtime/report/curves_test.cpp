#include "runtime/report/curves.h"
#include "runtime/report/samples.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>

namespace weft {
namespace {

using nlohmann::json;

TEST(CurvesTest, ShortRunsAreDrawnWhole) {
  Curves curves;
  curves.AddLine(R"({"step":1,"loss":2.5,"lr":0.001})");
  curves.AddLine(R"({"step":2,"loss":2.25,"lr":0.002})");
  curves.AddLine(R"({"step":2,"eval_loss":2.4,"eval_targets":100})");
  const json out = curves.Json();
  EXPECT_EQ(out["series"]["loss"], json::parse(R"({"width":1,"step":[1,2],"mean":[2.5,2.25]})"));
  EXPECT_EQ(out["series"]["eval_loss"]["step"], json({2}));
  EXPECT_EQ(out["last"]["lr"], 0.002);
}

TEST(CurvesTest, LongRunsAreThinnedOutAndKeepTheirExtremes) {
  Curves curves;
  const int64_t steps = 1'000'000;
  for (int64_t i = 1; i <= steps; ++i)
    curves.AddLine(absl::StrCat("{\"step\":", i, ",\"loss\":", i == 777'777 ? 99 : 1, "}"));
  const json loss = curves.Json()["series"]["loss"];
  EXPECT_LE(loss["step"].size(), Curves::kMaxBuckets);
  EXPECT_GT(loss["step"].size(), Curves::kMaxBuckets / 2 - 1);
  EXPECT_EQ(loss["width"], 1024);
  EXPECT_EQ(loss["step"].back(), steps);
  double most = 0, least = 9;
  for (double x : loss["most"]) most = std::max(most, x);
  for (double x : loss["least"]) least = std::min(least, x);
  EXPECT_EQ(most, 99);
  EXPECT_EQ(least, 1);
  EXPECT_LT(curves.Json().dump().size(), 60000u);
}

TEST(CurvesTest, StepsFarApartAndBackwardsStayBounded) {
  Curves curves;
  for (int64_t i = 0; i < 5000; ++i)
    curves.AddLine(absl::StrCat("{\"step\":", (i * 2654435761) % (int64_t{1} << 53), ",\"x\":", i, "}"));
  EXPECT_LE(curves.Json()["series"]["x"]["step"].size(), Curves::kMaxBuckets);
}

TEST(CurvesTest, AListOfListsIsAMap) {
  Curves curves;
  curves.AddLine(R"({"step":5,"loss":1,"expert_load":[[0,0.5],[0.25,1]]})");
  curves.AddLine(R"({"step":6,"loss":1,"expert_load":[[1,1],[1,1]]})");
  const json map = curves.Json()["maps"]["expert_load"];
  EXPECT_EQ(map["rows"], 2);
  EXPECT_EQ(map["columns"], 2);
  EXPECT_EQ(map["steps"], json({5, 6}));
  EXPECT_EQ(map["high"], 1);
  std::string bytes;
  ASSERT_TRUE(absl::Base64Unescape(map["frames"][0].get<std::string>(), &bytes));
  EXPECT_EQ(bytes, std::string("\x00\x80\x40\xff", 4));
  curves.AddLine(R"({"step":7,"usage":[1,2,3]})"); // one row
  EXPECT_EQ(curves.Json()["maps"]["usage"]["columns"], 3);
}

TEST(CurvesTest, ManyFramesAreThinnedOutAndTheNewestKept) {
  Curves curves;
  for (int i = 0; i < 1000; ++i) {
    curves.AddLine(absl::StrCat("{\"step\":", i, ",\"load\":[[", i, ",0]]}"));
    const json steps = curves.Json()["maps"]["load"]["steps"];
    ASSERT_LE(steps.size(), Curves::kMaxFrames + 1);
    ASSERT_EQ(steps.back(), i);
    ASSERT_EQ(steps[0], 0);
    for (size_t k = 1; k < steps.size(); ++k) ASSERT_LT(steps[k - 1], steps[k]);
  }
}

TEST(CurvesTest, LargeMapsAreDrawnInBlocksOfMeans) {
  Curves curves;
  std::string rows;
  for (int r = 0; r < 2; ++r) {
    std::string row;
    for (int c = 0; c < 512; ++c) absl::StrAppend(&row, c ? "," : "", c % 2 ? 3 : 1);
    absl::StrAppend(&rows, r ? ",[" : "[", row, "]");
  }
  curves.AddLine("{\"step\":1,\"load\":[" + rows + "]}");
  const json map = curves.Json()["maps"]["load"];
  EXPECT_EQ(map["columns"], Curves::kMaxColumns);
  EXPECT_EQ(map["experts"], 512);
  EXPECT_EQ(map["low"], 2);
  EXPECT_EQ(map["high"], 2);
}

TEST(CurvesTest, EventsAreListedAndTheirNumbersAreNoCurves) {
  Curves curves;
  for (int i = 0; i < 400; ++i)
    curves.AddLine(
        absl::StrCat("{\"step\":", i, ",\"event\":\"skip\",\"why\":\"</script>\",\"spike_loss\":9}"));
  const json out = curves.Json();
  EXPECT_TRUE(out["series"].empty());
  EXPECT_EQ(out["events"].size(), Curves::kMaxEvents);
  EXPECT_EQ(out["num_events"], 400);
  EXPECT_EQ(out["events"].back()["step"], 399);
}

TEST(CurvesTest, WhatIsNoMetricIsPassedOver) {
  Curves curves;
  for (const char *line :
       {"", "x", "[]", "{}", "{\"loss\":1}", "{\"step\":-1,\"loss\":1}", "{\"step\":1.5,\"loss\":1}",
        "{\"step\":99999999999999999999,\"loss\":1}", "{\"step\":1,\"loss\":null}",
        "{\"step\":1,\"loss\":\"1\"}", "{\"step\":1,\"loss\":1e301}", "{\"step\":1,\"a\":[]}",
        "{\"step\":1,\"a\":[[]]}", "{\"step\":1,\"a\":[[1],[1,2]]}", "{\"step\":1,\"a\":[1,null]}",
        "{\"step\":1,\"a\":[[[1]]]}", "{\"step\":1,\"a\":[1,[2]]}", "{\"step\":1,\"event\":3}"})
    curves.AddLine(line);
  curves.AddLine("{\"step\":1,\"" + std::string(100, 'n') + "\":1}");
  std::string deep = "{\"step\":1,\"a\":";
  for (int i = 0; i < 100000; ++i) deep += '[';
  curves.AddLine(deep);
  const json out = curves.Json();
  EXPECT_TRUE(out["series"].empty()) << out;
  EXPECT_TRUE(out["maps"].empty()) << out;
  EXPECT_TRUE(out["events"].empty()) << out;
}

TEST(CurvesTest, NamesAreBounded) {
  Curves curves;
  for (int i = 0; i < 1000; ++i) curves.AddLine(absl::StrCat("{\"step\":1,\"m", i, "\":1,\"l", i, "\":[1]}"));
  const json out = curves.Json();
  EXPECT_EQ(out["series"].size(), Curves::kMaxSeries);
  EXPECT_EQ(out["maps"].size(), Curves::kMaxMaps);
}

TEST(SamplesTest, TextsAreByPromptThinnedOutAndShortened) {
  Samples samples;
  std::string umlauts;
  for (int i = 0; i < 3000; ++i) umlauts += "ä";
  for (int i = 1; i <= 300; ++i)
    for (const char *prompt : {"The ", "</script>"})
      samples.AddLine(json({{"step", i}, {"prompt", prompt}, {"text", i == 300 ? umlauts : "x"}}).dump());
  samples.AddLine("{\"step\":1,\"prompt\":3,\"text\":\"x\"}");
  const json out = samples.Json();
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[1]["prompt"], "</script>");
  EXPECT_LE(out[0]["texts"].size(), Samples::kMaxTexts + 1);
  EXPECT_EQ(out[0]["texts"].back()["step"], 300);
  const std::string last = out[0]["texts"].back()["text"];
  EXPECT_EQ(last.size(), Samples::kMaxBytes + 3); // and "…"
  EXPECT_NO_THROW(json(last).dump());             // no half character
}

} // namespace
} // namespace weft
