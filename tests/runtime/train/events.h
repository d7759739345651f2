// Reads event files back.
#pragma once

#include "runtime/train/event.pb.h"
#include "runtime/train/event_file.h"
#include "tests/runtime/data/temp_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace weft {

inline uint64_t LittleEndianNumber(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// The events of a file whose every length and checksum is right.
inline std::vector<tensorboard::Event> ReadEvents(const std::string &path) {
  std::vector<tensorboard::Event> events;
  std::string text = Slurp(path);
  std::string_view left = text;
  while (!left.empty()) {
    uint64_t bytes = left.size() < 12 ? ~uint64_t{0} : LittleEndianNumber(left.substr(0, 8));
    if (bytes > left.size() || left.size() < bytes + 16) {
      ADD_FAILURE() << path << " ends within a record";
      break;
    }
    EXPECT_EQ(LittleEndianNumber(left.substr(8, 4)), MaskedCrc32c(left.substr(0, 8)));
    EXPECT_EQ(LittleEndianNumber(left.substr(12 + bytes, 4)), MaskedCrc32c(left.substr(12, bytes)));
    EXPECT_TRUE(events.emplace_back().ParseFromString(std::string(left.substr(12, bytes))));
    left.remove_prefix(bytes + 16);
  }
  return events;
}

using Scalars = std::map<std::string, std::map<int64_t, float>>; // by tag and step

// What a reader of the folder has: files in the order of their names, and what a SessionLog says is done
// again dropped. `starts` gets the steps that files start with.
inline Scalars ReadScalars(const std::string &folder, std::vector<int64_t> *starts = nullptr) {
  std::set<std::string> files;
  for (const auto &entry : std::filesystem::directory_iterator(folder)) files.insert(entry.path());
  Scalars scalars;
  for (const std::string &file : files)
    for (const tensorboard::Event &event : ReadEvents(file)) {
      if (event.has_session_log()) {
        if (starts) starts->push_back(event.step());
        for (auto &[tag, values] : scalars) values.erase(values.lower_bound(event.step()), values.end());
      }
      for (const auto &value : event.summary().value()) {
        EXPECT_FALSE(scalars[value.tag()].contains(event.step())) << value.tag() << " " << event.step();
        scalars[value.tag()][event.step()] = value.simple_value();
      }
    }
  return scalars;
}

} // namespace weft
