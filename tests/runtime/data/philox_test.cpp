#include "runtime/data/philox.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

// Random123's known answers (kat_vectors, philox4x32 10).
TEST(Philox, GivesTheKnownAnswersOfRandom123) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t ones = 0xffffffff;
  EXPECT_EQ(Philox4x32({ones, ones, ones, ones}, {ones, ones}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, SpreadsSeedStreamAndIndexOverKeyAndCounter) {
  EXPECT_EQ(Philox(0x1122334455667788, 0x99aabbccddeeff00, 0x0123456789abcdef),
            Philox4x32({0x89abcdef, 0x01234567, 0xddeeff00, 0x99aabbcc}, {0x55667788, 0x11223344}));
  EXPECT_NE(Philox(1, 2, 3), Philox(1, 3, 2));
  EXPECT_NE(Philox(1, 2, 3), Philox(2, 1, 3));
}

} // namespace
} // namespace weft
