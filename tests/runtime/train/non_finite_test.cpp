// Which elements of a launch's buffers are looked at, and which of them is not finite.
#include "runtime/train/non_finite.h"
#include "tests/runtime/artifact/builder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace weft {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A launch of one kernel with one buffer, of 3 rows and 4 columns with rows `stride` elements apart.
class Scanned : public ::testing::Test {
protected:
  FloatScan Scan(const void *data, int64_t extent, fb::DType dtype = fb::DType::f32, int64_t stride = 6,
                 std::vector<std::pair<int, int64_t>> fixed = {}, bool indexed = false) {
    fb::ArtifactT artifact = testing::Sample();
    artifact.kernels[1]->num_sizes = 4;
    auto buffer = std::make_unique<fb::KernelBufferT>();
    buffer->dtype = dtype;
    buffer->slot = 2;
    buffer->dims = {0, 1};
    buffer->indexed = indexed;
    artifact.kernels[1]->buffers.push_back(std::move(buffer));
    auto &entry = *artifact.stages[0]->entries[0];
    entry.arena_bytes = 1024;
    entry.body[2] = testing::Launch(1, testing::List(testing::InArena(0, extent)), {3, 4, stride, 1}, 1);
    bytes_ = SerializeArtifact(artifact);
    auto loaded = LoadArtifactFromMemory(bytes_, "f.weft");
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    loaded_ = *loaded;
    const fb::Launch *launch =
        loaded_->root->stages()->Get(0)->entries()->Get(0)->body()->Get(2)->op_as_Launch();
    char *address = const_cast<char *>(static_cast<const char *>(data));
    return ScanBuffer({launch, loaded_->root->kernels()->Get(1), 0, absl::MakeConstSpan(&address, 1), {}}, 0,
                      fixed);
  }
  std::vector<uint8_t> bytes_;
  std::shared_ptr<const LoadedArtifact> loaded_;
};

TEST_F(Scanned, WhatLiesBetweenRowsIsNotLookedAt) {
  std::vector<float> data(16, 1);
  data[4] = data[5] = data[10] = NAN;
  FloatScan scan = Scan(data.data(), 64);
  EXPECT_TRUE(scan.finite());
  EXPECT_EQ(scan.elements, 12);
  EXPECT_EQ(scan.first, -1);
}

TEST_F(Scanned, TheFirstOfItsKindIsNamedByItsPlaceInTheSizes) {
  std::vector<float> data(16);
  for (int i = 0; i < 16; ++i) data[i] = static_cast<float>(i) - 3;
  data[2] = kInfinity;
  data[7] = NAN;
  data[13] = NAN;
  FloatScan scan = Scan(data.data(), 64);
  EXPECT_EQ(scan.nans, 2);
  EXPECT_EQ(scan.infinities, 1);
  EXPECT_EQ(scan.first, 7); // a NaN before an infinity
  EXPECT_EQ(scan.at, (std::vector<std::pair<int, int64_t>>{{0, 1}, {1, 1}}));
  EXPECT_TRUE(std::isnan(scan.value));
  EXPECT_EQ(scan.least, -3);
  EXPECT_EQ(scan.most, 12);
}

TEST_F(Scanned, AnIndexThatIsHeldLeavesTheRest) {
  std::vector<float> data(16);
  for (int i = 0; i < 16; ++i) data[i] = static_cast<float>(i);
  FloatScan scan = Scan(data.data(), 64, fb::DType::f32, 6, {{0, 2}});
  EXPECT_EQ(scan.elements, 4);
  EXPECT_EQ(scan.least, 12);
  EXPECT_EQ(scan.most, 15);
  EXPECT_EQ(Scan(data.data(), 64, fb::DType::f32, 6, {{0, 2}, {1, 1}}).most, 13);
}

TEST_F(Scanned, ARepeatedRowIsLookedAtOnce) {
  std::vector<float> data{1, 2, 3, kInfinity};
  FloatScan scan = Scan(data.data(), 16, fb::DType::f32, 0);
  EXPECT_EQ(scan.elements, 4);
  EXPECT_EQ(scan.at, (std::vector<std::pair<int, int64_t>>{{1, 3}}));
}

TEST_F(Scanned, AddressesThatLeaveTheBufferOrComeFromDataMeanAllOfIt) {
  std::vector<float> data(16, 1);
  data[5] = NAN;
  for (FloatScan scan :
       {Scan(data.data(), 64, fb::DType::f32, 7), Scan(data.data(), 64, fb::DType::f32, int64_t{1} << 62),
        Scan(data.data(), 64, fb::DType::f32, 6, {}, /*indexed=*/true)}) {
    EXPECT_EQ(scan.elements, 16);
    EXPECT_EQ(scan.first, 5);
    EXPECT_TRUE(scan.at.empty());
  }
}

TEST_F(Scanned, OtherTypes) {
  std::vector<uint16_t> halves(16, 0x3f80); // 1
  halves[8] = 0xff80;                       // -infinity
  FloatScan scan = Scan(halves.data(), 32, fb::DType::bf16);
  EXPECT_EQ(scan.infinities, 1);
  EXPECT_EQ(scan.value, -INFINITY);
  EXPECT_EQ(scan.most, 1);
  std::vector<double> wide(16, 1e300);
  EXPECT_TRUE(Scan(wide.data(), 128, fb::DType::f64).finite());
  std::vector<int32_t> integers(16, 0x7fc00000); // a NaN's bits
  EXPECT_EQ(Scan(integers.data(), 64, fb::DType::i32).elements, 0);
}

} // namespace
} // namespace weft
