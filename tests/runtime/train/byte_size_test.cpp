#include "runtime/train/byte_size.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(ByteSize, ReadsUnits) {
  EXPECT_EQ(ParseByteSize("1.5GB"), 1500000000);
  EXPECT_EQ(ParseByteSize(" 800 mb "), 800000000);
  EXPECT_EQ(ParseByteSize("2GiB"), 2147483648);
  EXPECT_EQ(ParseByteSize("4096"), 4096);
  EXPECT_EQ(ParseByteSize("10 B"), 10);
}

TEST(ByteSize, RefusesOtherText) {
  for (const char *text :
       {"", "GB", "-1GB", "1.5 G", "nan", "inf", "1e30", "0", "0.1B", "twelve", "1GB2", "0x10"})
    EXPECT_EQ(ParseByteSize(text), std::nullopt) << text;
}

TEST(ByteSize, WritesThreeDigits) {
  EXPECT_EQ(ByteText(1500000000), "1.50 GB");
  EXPECT_EQ(ByteText(812345678), "812 MB");
  EXPECT_EQ(ByteText(64), "64 B");
}

} // namespace
} // namespace weft
