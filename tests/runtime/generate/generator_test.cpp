#include "runtime/data/bpe_train.h"
#include "runtime/generate/generator.h"
#include "runtime/generate/session_model.h"

#include <gtest/gtest.h>

#include <numeric>

namespace weft {
namespace {

// Says a fixed list of tokens, whatever it is fed, and notes what that was.
class Script : public NextTokenModel {
public:
  Script(int64_t vocab, int64_t context, std::vector<int32_t> script)
      : context_(context), script_(std::move(script)), logits_(vocab) {}
  int64_t vocab() const override { return static_cast<int64_t>(logits_.size()); }
  int64_t context() const override { return context_; }
  absl::Status Feed(absl::Span<const int32_t> tokens, int64_t position) override {
    EXPECT_EQ(position, static_cast<int64_t>(fed.size()));
    fed.insert(fed.end(), tokens.begin(), tokens.end());
    EXPECT_LE(static_cast<int64_t>(fed.size()), context_);
    std::fill(logits_.begin(), logits_.end(), 0.0f);
    logits_[script_[std::min(next_++, script_.size() - 1)]] = 50;
    return absl::OkStatus();
  }
  absl::Span<const float> logits() const override { return logits_; }
  float lse() const override { return 50; }
  std::vector<int32_t> fed;

private:
  int64_t context_;
  std::vector<int32_t> script_;
  std::vector<float> logits_;
  size_t next_ = 0;
};

class GeneratorTest : public ::testing::Test {
protected:
  std::string_view text_ = "the quick brown fox jumps over the lazy dog";
  Tokenizer tokenizer_ = *TrainBpe(absl::MakeConstSpan(&text_, 1), 257); // bytes and the end of text alone
  std::vector<int32_t> prompt_ = tokenizer_.Encode("abc");

  GenerateResult Run(Script &model, GenerateOptions options) {
    options.sampling.temperature = 0;
    pieces_.clear();
    auto result = Generate(model, tokenizer_, prompt_, options, [this](const std::string &text) {
      pieces_.push_back(text);
      return true;
    });
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : GenerateResult();
  }
  std::vector<std::string> pieces_;
};

TEST_F(GeneratorTest, StopsAtTheEndOfTextUnlessTold) {
  std::vector<int32_t> script = tokenizer_.Encode("hi");
  script.push_back(tokenizer_.end_of_text());
  script.push_back('!');
  Script model(257, 100, script), again(257, 100, script);
  GenerateResult result = Run(model, {.max_tokens = 10});
  EXPECT_EQ(result.text, "hi");
  EXPECT_EQ(result.reason, StopReason::end_of_text);
  EXPECT_EQ(result.tokens.size(), 3u);
  EXPECT_EQ(result.logprobs.size(), 3u);
  EXPECT_EQ(model.fed, tokenizer_.Encode("abchi"));
  EXPECT_EQ(Run(again, {.max_tokens = 5, .ignore_end = true}).text, "hi!!");
}

TEST_F(GeneratorTest, MaxTokensAreCountedAndTheLastOneIsNotFed) {
  Script model(257, 100, tokenizer_.Encode("hello"));
  GenerateResult result = Run(model, {.max_tokens = 3});
  EXPECT_EQ(result.text, "hel");
  EXPECT_EQ(result.reason, StopReason::max_tokens);
  EXPECT_EQ(model.fed.size(), 5u);
  Script none(257, 100, {1});
  EXPECT_EQ(Run(none, {.max_tokens = 0}).tokens.size(), 0u);
}

TEST_F(GeneratorTest, TheContextIsFilledAndNotOverrun) {
  Script model(257, 5, tokenizer_.Encode("hello"));
  GenerateResult result = Run(model, {.max_tokens = 100});
  EXPECT_EQ(result.text, "hel"); // 3 + 2 tokens held, and one more from the last logits
  EXPECT_EQ(result.reason, StopReason::context);
}

TEST_F(GeneratorTest, StopStringsEndTheTextBeforeThemAndAreNeverStreamed) {
  Script model(257, 100, tokenizer_.Encode("one STO STOP two"));
  GenerateResult result = Run(model, {.max_tokens = 100, .stop = {"STOP", "xyz"}});
  EXPECT_EQ(result.text, "one STO ");
  EXPECT_EQ(result.reason, StopReason::stop_string);
  std::string all = std::accumulate(pieces_.begin(), pieces_.end(), std::string());
  EXPECT_EQ(all, "one STO ");
}

TEST_F(GeneratorTest, WhatMightHaveBeenAStopStringComesAtTheEnd) {
  Script model(257, 100, tokenizer_.Encode("one STO"));
  EXPECT_EQ(Run(model, {.max_tokens = 7, .stop = {"STOP"}}).text, "one STO");
}

TEST_F(GeneratorTest, CharactersAreStreamedWhole) {
  Script model(257, 100, tokenizer_.Encode("é€😀"));
  GenerateResult result = Run(model, {.max_tokens = 9});
  EXPECT_EQ(result.text, "é€😀");
  EXPECT_EQ(pieces_, (std::vector<std::string>{"é", "€", "😀"}));
}

TEST_F(GeneratorTest, TheListenerCanEndIt) {
  Script model(257, 100, tokenizer_.Encode("hello"));
  auto result = Generate(model, tokenizer_, prompt_, {.max_tokens = 50, .sampling = {.temperature = 0}},
                         [](const std::string &) { return false; });
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->tokens.size(), 1u);
}

TEST_F(GeneratorTest, BadPromptsAreErrorsThatSayWhy) {
  Script model(257, 2, {1});
  auto error = [&](std::vector<int32_t> prompt, GenerateOptions options = {}) {
    return std::string(Generate(model, tokenizer_, prompt, options, nullptr).status().message());
  };
  EXPECT_EQ(error({1, 2, 3}),
            "the prompt has 3 tokens when the model's context holds 2\nhint: shorten it by 1 tokens or more");
  EXPECT_EQ(error({}), "the prompt is empty\nhint: give at least a word, such as --prompt \"The\"");
  EXPECT_EQ(
      error({257}),
      "the prompt has the token 257 when the model's vocabulary has 257; the tokenizer is not the model's");
  EXPECT_EQ(error({1}, {.max_tokens = -1}), "max tokens is -1 when it should be at least 0");
  EXPECT_EQ(error({1}, {.stop = {""}}), "a stop string is empty");
}

TEST(PlanPrefill, TakesTheLargestBucketsAndPadsTheLastAlone) {
  std::vector<int64_t> buckets = {64, 16};
  EXPECT_EQ(PlanPrefill(150, buckets), (std::vector<int64_t>{64, 64, 16, 16}));
  EXPECT_EQ(PlanPrefill(64, buckets), (std::vector<int64_t>{64}));
  EXPECT_EQ(PlanPrefill(63, buckets), (std::vector<int64_t>{16, 16, 16, 16}));
  EXPECT_EQ(PlanPrefill(65, buckets), (std::vector<int64_t>{64, 1}));
  EXPECT_EQ(PlanPrefill(2, buckets), (std::vector<int64_t>{16}));
  EXPECT_EQ(PlanPrefill(1, buckets), (std::vector<int64_t>{1}));
  EXPECT_EQ(PlanPrefill(3, {}), (std::vector<int64_t>{1, 1, 1}));
  EXPECT_TRUE(PlanPrefill(0, buckets).empty());
}

TEST(StopFilterTest, HoldsBackNoMoreThanItMust) {
  StopFilter filter({"aab", "ca"});
  EXPECT_EQ(filter.Push("xa"), "x");
  EXPECT_EQ(filter.Push("a"), "");
  EXPECT_EQ(filter.Push("a"), "a"); // "aa" may begin "aab"
  EXPECT_EQ(filter.Push("c"), "aa");
  EXPECT_EQ(filter.Push("b"), "cb");
  EXPECT_EQ(filter.Push("yca!"), "y");
  EXPECT_TRUE(filter.stopped());
  EXPECT_EQ(filter.Push("more"), "");
}

} // namespace
} // namespace weft
