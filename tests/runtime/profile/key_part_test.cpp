#include "runtime/profile/key_part.h"
#include "tests/runtime/profile/profiles.h"

#include <gtest/gtest.h>
#include <numeric>

namespace weft {
namespace {

// A launch of attention over `batch` texts of `queries` queries and `keys` keys; ranges (b, t), row by row.
struct Attention {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<int32_t> begin, end;
  const fb::Launch *launch;

  Attention(int64_t batch, int64_t queries, int64_t keys, std::vector<int32_t> begin,
            std::vector<int32_t> end)
      : begin(std::move(begin)), end(std::move(end)) {
    fb::LaunchT made;
    made.sizes = {batch, queries, keys, 1, 1, 8, 8};
    made.sizes.insert(made.sizes.end(), 3 * 6, 0);
    for (int access = 0; access < 2; ++access) made.sizes.insert(made.sizes.end(), {queries, 1, 0, 0});
    builder.Finish(fb::Launch::Pack(builder, &made));
    launch = flatbuffers::GetRoot<fb::Launch>(builder.GetBufferPointer());
  }
  KeyPart Part(int64_t key_block) {
    std::vector<char *> buffers(7, nullptr);
    buffers[3] = reinterpret_cast<char *>(begin.data());
    buffers[4] = reinterpret_cast<char *>(end.data());
    return KeyPartOf(*launch, buffers, key_block);
  }
};

TEST(KeyPart, ACausalTextSeesHalfOfThePairs) {
  std::vector<int32_t> end(8);
  std::iota(end.begin(), end.end(), 1);
  Attention causal(1, 8, 8, std::vector<int32_t>(8, 0), end);
  EXPECT_DOUBLE_EQ(causal.Part(1).named, 36.0 / 64);
  EXPECT_DOUBLE_EQ(causal.Part(1).blocks, 36.0 / 64);
  EXPECT_DOUBLE_EQ(causal.Part(4).blocks, (4 * 4 + 4 * 8) / 64.0);
  EXPECT_DOUBLE_EQ(causal.Part(64).blocks, 1); // no more than there are
}

TEST(KeyPart, DocumentsAndTextsAreSeenApart) {
  Attention two(2, 2, 4, {0, 0, 2, 2}, {1, 1, 4, 4});
  EXPECT_DOUBLE_EQ(two.Part(4).named, 6.0 / 16);
}

TEST(KeyPart, RangesThatAreNoneCountNothing) {
  Attention odd(1, 4, 4, {3, -7, 0, 9}, {1, 2, 99, 9});
  EXPECT_DOUBLE_EQ(odd.Part(1).named, (0 + 2 + 4 + 0) / 16.0);
  Attention empty(1, 0, 4, {}, {});
  EXPECT_DOUBLE_EQ(empty.Part(4).named, 1);
}

TEST(KeyPart, OnlyAttentionHasBlocksOfKeys) {
  auto session = testing::Recorded(480, testing::List(testing::Axpy(0, 160, 320)));
  const Program &program = session->program(0);
  for (int32_t i = 0; i < static_cast<int32_t>(program.steps.size()); ++i)
    EXPECT_EQ(KeyBlockOf(program, i, session->artifact()), 0);
}

} // namespace
} // namespace weft
