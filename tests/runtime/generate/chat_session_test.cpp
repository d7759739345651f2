#include "runtime/generate/chat_session.h"

#include "runtime/data/bpe_train.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

// What it says next depends on all that it holds, and it can go back to any place in that.
class Hashing : public NextTokenModel {
public:
  explicit Hashing(int64_t context) : context_(context), logits_(257) {}
  int64_t vocab() const override { return 257; }
  int64_t context() const override { return context_; }
  absl::Status Feed(absl::Span<const int32_t> tokens, int64_t position) override {
    EXPECT_LE(position, static_cast<int64_t>(held.size()));
    held.resize(position);
    held.insert(held.end(), tokens.begin(), tokens.end());
    EXPECT_LE(static_cast<int64_t>(held.size()), context_);
    fed += static_cast<int64_t>(tokens.size());
    uint64_t hash = 7;
    for (int32_t token : held) hash = (hash ^ static_cast<uint64_t>(token)) * 0x9e3779b97f4a7c15;
    std::fill(logits_.begin(), logits_.end(), 0.0f);
    logits_['a' + (hash >> 40) % 26] = 50;
    return absl::OkStatus();
  }
  absl::Span<const float> logits() const override { return logits_; }
  float lse() const override { return 50; }
  std::vector<int32_t> held;
  int64_t fed = 0;

private:
  int64_t context_;
  std::vector<float> logits_;
};

class ChatSessionTest : public ::testing::Test {
protected:
  ChatFormat Format() {
    return *ChatFormat::FromText(
        "{}", "c", "{% for m in messages %}<{{ m.role[0] }}>{{ m.content }}\n{% endfor %}<a>", "t");
  }
  ChatAnswer Say(ChatSession &session, const std::string &text) {
    auto answer = session.Say(text, nullptr);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? *answer : ChatAnswer();
  }
  std::string_view text_ = "abc";
  Tokenizer tokenizer_ = *TrainBpe(absl::MakeConstSpan(&text_, 1), 257);
  GenerateOptions options_{.max_tokens = 8, .sampling = {.temperature = 0}};
};

TEST_F(ChatSessionTest, AnswersAreThoseOfAFreshModelAndOnlyWhatIsNewIsFed) {
  Hashing model(1000);
  ChatSession session(model, tokenizer_, Format(), options_);
  session.SetSystem("be brief");
  std::string first = Say(session, "hello").result.text;
  int64_t before = model.fed;
  ChatAnswer second = Say(session, "and then?");
  // The first prompt and all but the last token of its answer are known.
  EXPECT_EQ(second.reused_tokens, static_cast<int64_t>(std::string("<s>be brief\n<u>hello\n<a>").size()) + 7);
  EXPECT_EQ(model.fed - before, second.prompt_tokens - second.reused_tokens + 7);

  Hashing fresh(1000);
  auto prompt = Format().Prompt(
      {{"system", "be brief"}, {"user", "hello"}, {"assistant", first}, {"user", "and then?"}}, tokenizer_,
      LocalNow());
  ASSERT_TRUE(prompt.ok());
  EXPECT_EQ(Generate(fresh, tokenizer_, *prompt, options_, nullptr)->text, second.result.text);
  EXPECT_EQ(fresh.held, model.held);
}

TEST_F(ChatSessionTest, UndoneAndForgottenTurnsAreAsIfNeverSaid) {
  Hashing model(1000), other(1000);
  ChatSession session(model, tokenizer_, Format(), options_), fresh(other, tokenizer_, Format(), options_);
  std::string first = Say(session, "one").result.text;
  Say(session, "two");
  ASSERT_TRUE(session.Undo());
  EXPECT_EQ(session.num_turns(), 1);
  Say(fresh, "one");
  EXPECT_EQ(Say(session, "three").result.text, Say(fresh, "three").result.text);
  session.Reset();
  EXPECT_EQ(Say(session, "one").result.text, first);
  EXPECT_TRUE(session.Undo());
  EXPECT_FALSE(session.Undo());
}

TEST_F(ChatSessionTest, AFullContextDropsTheOldestTurns) {
  Hashing model(100);
  ChatSession session(model, tokenizer_, Format(), options_);
  int64_t dropped = 0, turns = 0;
  for (int i = 0; i < 12; ++i) {
    ChatAnswer answer = Say(session, "message");
    turns = turns + 1 - answer.dropped_turns;
    dropped += answer.dropped_turns;
    EXPECT_EQ(session.num_turns(), turns);
    EXPECT_LE(answer.prompt_tokens + 8, 100);
    EXPECT_LE(answer.prompt_tokens, answer.dropped_turns > 0 ? 50 : 100);
  }
  EXPECT_GT(dropped, 0);
  auto refused = session.Say(std::string(101, 'x'), nullptr);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(session.num_turns(), turns); // as it was
}

TEST_F(ChatSessionTest, ACancelledAnswerKeepsWhatWasSaid) {
  Hashing model(1000);
  int asked = 0;
  options_.cancelled = [&] { return ++asked > 4; }; // once for the prompt
  ChatSession session(model, tokenizer_, Format(), options_);
  ChatAnswer answer = Say(session, "hello");
  EXPECT_EQ(answer.result.reason, StopReason::cancelled);
  EXPECT_EQ(answer.result.text.size(), 3u);
  EXPECT_EQ(session.num_turns(), 1);
  ChatAnswer none = Say(session, "at once");
  EXPECT_EQ(none.result.tokens.size(), 0u);
  EXPECT_EQ(session.num_turns(), 1);
  asked = -1000;
  EXPECT_EQ(Say(session, "again").result.text.size(), 8u);
}

TEST_F(ChatSessionTest, WithoutAFormatTheTextGoesOn) {
  Hashing model(64), fresh(64);
  ChatSession session(model, tokenizer_, std::nullopt, options_);
  std::string first = Say(session, "once").result.text, second = Say(session, " upon").result.text;
  EXPECT_EQ(Generate(fresh, tokenizer_, tokenizer_.Encode("once" + first + " upon"), options_, nullptr)->text,
            second);
  EXPECT_TRUE(session.Undo());
  EXPECT_EQ(Say(session, " upon").result.text, second);
  ChatAnswer cut = Say(session, std::string(40, 'y'));
  EXPECT_TRUE(cut.cut);
  EXPECT_EQ(cut.prompt_tokens, 32);
}

TEST_F(ChatSessionTest, EndTokensEndAnAnswer) {
  Hashing model(1000);
  for (int c = 'a'; c <= 'z'; ++c) options_.end_tokens.push_back(c);
  ChatSession session(model, tokenizer_, Format(), options_);
  ChatAnswer answer = Say(session, "hello");
  EXPECT_EQ(answer.result.reason, StopReason::end_of_text);
  EXPECT_EQ(answer.result.text, "");
}

} // namespace
} // namespace weft
