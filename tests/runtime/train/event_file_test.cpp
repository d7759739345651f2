#include "runtime/train/event_file.h"
#include "tests/runtime/data/temp_folder.h"
#include "tests/runtime/train/events.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace weft {
namespace {

namespace fs = std::filesystem;

std::string Hex(std::string_view bytes) {
  std::string text;
  for (unsigned char byte : bytes)
    text += "0123456789abcdef"[byte >> 4], text += "0123456789abcdef"[byte & 15];
  return text;
}

// Golden values: RFC 3720, B.4, and what the package tensorboard 2.21 (RecordWriter, event_pb2) makes.
TEST(EventFile, ChecksumsAreThoseOfTheStandard) {
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aa);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43);
  EXPECT_EQ(MaskedCrc32c("123456789"), 0xc78ab0e5);
  EXPECT_EQ(MaskedCrc32c(""), 0xa282ead8);
}

TEST(EventFile, ARecordIsFramedAsTensorBoardFramesIt) {
  EXPECT_EQ(Hex(EventRecord("brain.Event:2")), "0d000000000000003c37b834627261696e2e4576656e743a32ee01067c");
}

TEST(EventFile, WhatTheModelAddsHasATagOfItsOwn) {
  TempFolder folder;
  auto file = EventFile::Create(folder / "tensorboard", 1);
  ASSERT_TRUE(file.ok()) << file.status();
  StepMetrics step{7, 2.5, 1e-3, 0.25, 1000, 12.5};
  step.more = {{"mtp_loss", 3.5}};
  ASSERT_TRUE(file->Add(step).ok());
  std::vector<tensorboard::Event> events = ReadEvents(file->path());
  ASSERT_EQ(events.size(), 3u);
  ASSERT_EQ(events[2].summary().value_size(), 6);
  EXPECT_EQ(events[2].summary().value(5).tag(), "train/mtp_loss");
  EXPECT_EQ(events[2].summary().value(5).simple_value(), 3.5f);
}

TEST(EventFile, TheNumbersOfExpertsAreThoseOfMetrics) {
  TempFolder folder;
  auto file = EventFile::Create(folder / "tensorboard", 1);
  ASSERT_TRUE(file.ok()) << file.status();
  StepMetrics step{7, 2.5, 1e-3, 0.25, 1000, 12.5};
  step.experts.choices = {{12, 4}};
  step.tokens = 8;
  ASSERT_TRUE(file->Add(step).ok());
  tensorboard::Summary summary = ReadEvents(file->path())[2].summary();
  ASSERT_EQ(summary.value_size(), 8);
  EXPECT_EQ(summary.value(5).tag(), "train/expert_load_max");
  EXPECT_EQ(summary.value(5).simple_value(), 1.5f);
  EXPECT_EQ(summary.value(6).tag(), "train/routing_entropy");
  EXPECT_NEAR(summary.value(6).simple_value(), 0.5623, 1e-4); // -(3/4 ln 3/4 + 1/4 ln 1/4)
  EXPECT_EQ(summary.value(7).tag(), "train/dropped");
  EXPECT_TRUE(summary.value(7).has_simple_value()); // or TensorBoard leaves it out
  EXPECT_EQ(summary.value(7).simple_value(), 0.0f);
}

TEST(EventFile, AStepsBytesAreThoseOfTensorBoardsOwnMessages) {
  TempFolder folder;
  auto file = EventFile::Create(folder / "tensorboard", 7);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->Add(StepMetrics{7, 2.5, 1e-3, 0.25, 1000, 12.5}).ok());
  ASSERT_TRUE(file->Add(EvalMetrics{7, 3.5, 77}).ok());
  std::vector<tensorboard::Event> events = ReadEvents(file->path());
  ASSERT_EQ(events.size(), 4u);
  double now = events[0].wall_time();
  EXPECT_GT(now, 1.6e9);
  for (tensorboard::Event &event : events) {
    EXPECT_GE(event.wall_time(), now);
    event.set_wall_time(1700000000.5);
  }
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_EQ(Hex(events[1].SerializeAsString()), "0900002040fc54d94110073a020801");
  EXPECT_EQ(Hex(events[2].SerializeAsString()), "0900002040fc54d94110072a720a110a0a747261696e2f6c6f7373150000"
                                                "20400a0f0a08747261696e2f6c72156f12833a0a160a0f"
                                                "747261696e2f677261645f6e6f726d150000803e0a1e0a17747261696e2f"
                                                "746f6b656e735f7065725f7365636f6e641500007a440a"
                                                "140a0d747261696e2f737465705f6d731500004841");
  ASSERT_EQ(events[3].summary().value_size(), 2);
  EXPECT_EQ(events[3].summary().value(0).tag(), "validation/loss");
  EXPECT_EQ(events[3].summary().value(0).simple_value(), 3.5f);
  EXPECT_EQ(events[3].summary().value(1).tag(), "validation/targets");
  EXPECT_EQ(events[3].summary().value(1).simple_value(), 77.0f);
}

TEST(EventFile, NewFilesSortAfterOlderOnesWhateverTheClockSays) {
  TempFolder folder;
  auto create = [&] {
    auto file = EventFile::Create(folder / "tensorboard", 1);
    EXPECT_TRUE(file.ok()) << file.status();
    return fs::path(file->path()).filename().string();
  };
  std::string last = create();
  EXPECT_TRUE(last.starts_with("events.out.tfevents.1") || last.starts_with("events.out.tfevents.2")) << last;
  folder.Write("tensorboard/notes.txt", "");
  for (int i = 0; i < 12; ++i) {
    std::string name = create();
    EXPECT_GT(name, last);
    last = name;
  }
  folder.Write("tensorboard/events.out.tfevents.8000000000.host.of.another", "");
  EXPECT_EQ(create(), "events.out.tfevents.8000000001.weft");
}

} // namespace
} // namespace weft
