#include "runtime/train/metrics.h"
#include "tests/runtime/data/temp_folder.h"

#include <gtest/gtest.h>

#include <limits>

namespace weft {
namespace {

StepMetrics At(int64_t step) { return {step, 2.5, 1e-3, 0.25, 1000, 12.5}; }

TEST(Metrics, ALineAStepWithTheNamesOfTheManual) {
  TempFolder folder;
  std::string path = folder / "metrics.jsonl";
  auto file = MetricsFile::Open(path, 0);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->Add(At(1)).ok());
  ASSERT_TRUE(file->Add(EvalMetrics{1, 3.5, 77}).ok());
  ASSERT_TRUE(file->Add(StepMetrics{2, std::numeric_limits<double>::quiet_NaN(), 0, 0, 1, 1}).ok());
  EXPECT_EQ(
      Slurp(path),
      "{\"step\":1,\"loss\":2.5,\"lr\":0.001,\"grad_norm\":0.25,\"tokens_per_second\":1000.0,\"step_ms\":12."
      "500}\n"
      "{\"step\":1,\"eval_loss\":3.5,\"eval_targets\":77}\n"
      "{\"step\":2,\"loss\":null,\"lr\":0,\"grad_norm\":0,\"tokens_per_second\":1.0,\"step_ms\":1.000}\n");
}

TEST(Metrics, WhatTheModelAddsStandsBehindTheLoss) {
  TempFolder folder;
  std::string path = folder / "metrics.jsonl";
  auto file = MetricsFile::Open(path, 0);
  ASSERT_TRUE(file.ok()) << file.status();
  StepMetrics step = At(1);
  step.more = {{"mtp_loss", 3.5}, {"balance", std::numeric_limits<double>::infinity()}};
  ASSERT_TRUE(file->Add(step).ok());
  EXPECT_EQ(Slurp(path),
            "{\"step\":1,\"loss\":2.5,\"mtp_loss\":3.5,\"balance\":null,\"lr\":0.001,\"grad_norm\":"
            "0.25,\"tokens_per_second\":1000.0,\"step_ms\":12.500}\n");
}

TEST(Metrics, ResumingCutsOffLaterStepsAndAnUnfinishedLine) {
  TempFolder folder;
  std::string path = folder / "metrics.jsonl";
  for (int64_t step : {1, 2, 3, 4}) {
    auto file = MetricsFile::Open(path, step);
    ASSERT_TRUE(file.ok() && file->Add(At(step)).ok());
  }
  std::string whole = Slurp(path);
  std::ofstream(path, std::ios::app) << "{\"step\":5,\"lo";
  { auto file = MetricsFile::Open(path, 9); }
  EXPECT_EQ(Slurp(path), whole);
  { auto file = MetricsFile::Open(path, 2); }
  EXPECT_EQ(Slurp(path), whole.substr(0, whole.size() / 2));
  { auto file = MetricsFile::Open(path, 0); }
  EXPECT_EQ(Slurp(path), "");
}

TEST(Metrics, DurationsAndCountsAreShort) {
  EXPECT_EQ(DurationText(4.4), "4s");
  EXPECT_EQ(DurationText(200), "3m20s");
  EXPECT_EQ(DurationText(3725), "1h02m");
  EXPECT_EQ(DurationText(200000), "2d07h");
  EXPECT_EQ(CountText(999), "999");
  EXPECT_EQ(CountText(999.6), "1.00k");
  EXPECT_EQ(CountText(12345), "12.3k");
  EXPECT_EQ(CountText(4560000), "4.56M");
}

class ProgressTest : public testing::Test {
protected:
  std::string Text(FILE *file) {
    std::fflush(file);
    std::string text(std::ftell(file), '\0');
    std::rewind(file);
    EXPECT_EQ(std::fread(text.data(), 1, text.size(), file), text.size());
    return text;
  }
  FILE *out_ = std::tmpfile(), *log_ = std::tmpfile();
};

TEST_F(ProgressTest, PlainLinesElsewhere) {
  Progress progress(out_, false, log_, 1, 6, 3);
  for (int step = 1; step <= 6; ++step) progress.Step(At(step));
  progress.Eval({6, 2.0, 1234});
  std::string text = Text(out_);
  EXPECT_EQ(text, "step 1/6  loss 2.5000  lr 1.00e-03  grad norm 0.25  1.00k tokens/s  0s left\n"
                  "step 3/6  loss 2.5000  lr 1.00e-03  grad norm 0.25  1.00k tokens/s  0s left\n"
                  "step 6/6  loss 2.5000  lr 1.00e-03  grad norm 0.25  1.00k tokens/s  0s left\n"
                  "step 6/6  validation loss 2.0000  perplexity 7.39  (1.23k targets)\n");
  EXPECT_EQ(Text(log_), text);
}

TEST_F(ProgressTest, OneLineThatIsWrittenOverOnATerminal) {
  Progress progress(out_, true, log_, 1, 3, 1);
  progress.Step(At(1));
  progress.Step(At(2)); // within a tenth of a second: not drawn
  progress.Say("saved");
  progress.Step(At(3));
  progress.Finish();
  std::string line = "  loss 2.5000  lr 1.00e-03  grad norm 0.25  1.00k tokens/s  0s left";
  EXPECT_EQ(Text(out_), "step 1/3" + line + "\r\x1b[Ksaved\nstep 3/3" + line + "\n");
  EXPECT_NE(Text(log_).find("step 2/3"),
            std::string::npos); // the log has every line, and no control characters
}

} // namespace
} // namespace weft
