#include "runtime/data/normalize.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

std::string Nfc(std::string_view text) {
  std::string out;
  return NormalizeNfc(text, out) ? out : std::string(text);
}

TEST(Normalize, ComposesAndOrdersMarks) {
  EXPECT_EQ(Nfc("cafe\xcc\x81"), "caf\xc3\xa9");
  EXPECT_EQ(Nfc("a\xcc\x81\xcc\x96"),
            "\xc3\xa1\xcc\x96"); // U+0301 over, U+0316 below: the base takes the first
  EXPECT_EQ(Nfc("q\xcc\x81\xcc\x96"), "q\xcc\x96\xcc\x81"); // nothing to compose: below comes first
  EXPECT_EQ(Nfc("\xed\x95\x9c"), "\xed\x95\x9c");
  EXPECT_EQ(Nfc("plain"), "plain");
  EXPECT_EQ(Nfc(""), "");
}

// U+06DF is of class 230 and U+08D3, which came with Unicode 11, of class 220 there: of none in 9.0.
TEST(Normalize, CharactersThatCameAfterUnicode9StayWhereTheyAre) {
  const std::string text = "\xe1\xb5\xbd\xdb\x9f\xe0\xa3\x93";
  EXPECT_EQ(Nfc(text), text);
  EXPECT_EQ(Nfc("q\xcc\x81\xe0\xa3\x93\xcc\x96"), "q\xcc\x81\xe0\xa3\x93\xcc\x96");
}

TEST(Normalize, BytesThatAreNoTextStay) {
  EXPECT_EQ(Nfc("e\xcc\x81\xff"
                "e\xcc\x81"),
            "\xc3\xa9\xff\xc3\xa9");
  EXPECT_EQ(Nfc("\xed\xa0\x80"), "\xed\xa0\x80");
}

} // namespace
} // namespace weft
