#include "runtime/generate/session_model.h"
#include "tests/runtime/train/bigram.h"

#include <cstring>
#include <gtest/gtest.h>

namespace weft {
namespace {

std::unique_ptr<Session> BigramSession(bool derived) {
  weft::testing::BigramOptions options;
  options.derived = derived;
  fb::ArtifactT artifact = weft::testing::Bigram(options, KERNELS_PATH);
  auto loaded = LoadArtifactFromMemory(SerializeArtifact(artifact), "bigram.weft");
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  SessionOptions session_options;
  session_options.artifact = *loaded;
  auto session = Session::Create(session_options);
  EXPECT_TRUE(session.ok()) << session.status();
  (*session)->Initialise(7);
  return *std::move(session);
}

std::vector<float> Logits(SessionModel &model, std::vector<int32_t> tokens) {
  absl::Status status = model.Feed(tokens, 0);
  EXPECT_TRUE(status.ok()) << status;
  return {model.logits().begin(), model.logits().end()};
}

// What is kept of the weights in another form is that of the weights when it was made: whoever changes them
// says so.
TEST(SessionModelTest, DerivesWeightsWhenMadeAndWhenTold) {
  auto plain = BigramSession(false), derived = BigramSession(true);
  auto first = SessionModel::Create(*plain), second = SessionModel::Create(*derived);
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_TRUE((*first)->DeriveWeights().ok()) << "an artifact that derives nothing";
  std::vector<float> before = Logits(**second, {3, 1, 4, 1, 5});
  EXPECT_EQ(before, Logits(**first, {3, 1, 4, 1, 5}));

  for (Session *session : {plain.get(), derived.get()}) {
    absl::Span<char> memory = *session->variable("bigram.weight");
    std::vector<float> values(memory.size() / 4, 0.25f);
    std::memcpy(memory.data(), values.data(), memory.size());
  }
  std::vector<float> after = Logits(**first, {3, 1, 4, 1, 5});
  EXPECT_NE(after, before);
  EXPECT_EQ(Logits(**second, {3, 1, 4, 1, 5}), before);
  ASSERT_TRUE((*second)->DeriveWeights().ok());
  EXPECT_EQ(Logits(**second, {3, 1, 4, 1, 5}), after);
}

TEST(SessionModelTest, InitialisingLeavesDerivedMemoryAlone) {
  auto session = BigramSession(true);
  absl::Span<char> memory = *session->variable("bigram.weight.derived");
  std::memset(memory.data(), 0x55, memory.size());
  session->Initialise(8);
  for (char c : memory) ASSERT_EQ(c, 0x55);
}

} // namespace
} // namespace weft
