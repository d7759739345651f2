#include "runtime/train/event_file.h"
#include "runtime/train/event.pb.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

namespace weft {
namespace {

namespace fs = std::filesystem;
using tensorboard::Event;

double WallTime() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string LittleEndian(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

std::string Record(Event event) {
  event.set_wall_time(WallTime());
  return EventRecord(event.SerializeAsString());
}

std::string Scalars(int64_t step, const std::vector<std::pair<std::string, double>> &values) {
  Event event;
  event.set_step(step);
  for (const auto &[tag, number] : values) {
    tensorboard::Summary::Value *value = event.mutable_summary()->add_value();
    value->set_tag(tag);
    value->set_simple_value(static_cast<float>(number));
  }
  return Record(std::move(event));
}

} // namespace

uint32_t Crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (unsigned char byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc;
}

uint32_t MaskedCrc32c(std::string_view bytes) {
  uint32_t crc = Crc32c(bytes);
  return (crc >> 15 | crc << 17) + 0xa282ead8;
}

std::string EventRecord(std::string_view message) {
  std::string record = LittleEndian(message.size(), 8);
  record += LittleEndian(MaskedCrc32c(record), 4);
  record += message;
  return record += LittleEndian(MaskedCrc32c(message), 4);
}

absl::StatusOr<EventFile> EventFile::Create(const std::string &folder, int64_t first_step) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot create ", folder, ": ", error.message()));
  // Names sort by their seconds. A run may be resumed twice in a second, and a clock may be set back.
  int64_t seconds = static_cast<int64_t>(WallTime());
  for (const fs::directory_entry &entry : fs::directory_iterator(folder, error)) {
    std::vector<std::string> parts = absl::StrSplit(entry.path().filename().string(), '.');
    int64_t other = 0;
    if (parts.size() > 3 && parts[2] == "tfevents" && absl::SimpleAtoi(parts[3], &other))
      seconds = std::max(seconds, other + 1);
  }
  std::string path = absl::StrFormat("%s/events.out.tfevents.%010d.weft", folder, seconds);
  absl::StatusOr<AppendFile> file = AppendFile::Open(path, 0);
  if (!file.ok()) return file.status();

  Event version, start;
  version.set_file_version("brain.Event:2");
  start.set_step(first_step);
  start.mutable_session_log()->set_status(tensorboard::SessionLog::START);
  std::string records = Record(version);
  records += Record(start);
  if (absl::Status status = file->Append(records); !status.ok()) return status;
  return EventFile(*std::move(file));
}

absl::Status EventFile::Add(const StepMetrics &m) {
  std::vector<std::pair<std::string, double>> values = {{"train/loss", m.loss},
                                                        {"train/lr", m.lr},
                                                        {"train/grad_norm", m.grad_norm},
                                                        {"train/tokens_per_second", m.tokens_per_second},
                                                        {"train/step_ms", m.step_ms}};
  for (const auto &[name, value] : m.more) values.emplace_back("train/" + name, value);
  for (const auto &[name, value] : ExpertLoadNumbers(m.experts, m.tokens))
    values.emplace_back("train/" + name, value);
  return file_.Append(Scalars(m.step, values));
}

absl::Status EventFile::Add(const EvalMetrics &m) {
  return file_.Append(
      Scalars(m.step, {{"validation/loss", m.loss}, {"validation/targets", static_cast<double>(m.targets)}}));
}

} // namespace weft
