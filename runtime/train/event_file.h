// TensorBoard's event files: the numbers of metrics.jsonl as TensorBoard reads them.
//
// A file is a sequence of records, each a length, its checksum, the bytes of a message Event (event.proto)
// and their checksum, little-endian:
//
//   u64 length | u32 masked CRC32C of length | bytes | u32 masked CRC32C of bytes
//
// The first event gives the version of the format. The second is a SessionLog START with the first step that
// follows: a run that goes on from a checkpoint writes another file, and readers drop what the files before
// it hold of that step and later ones. Source: tensorflow/core/lib/io/record_writer.h and
// tensorflow/core/util/events_writer.cc.
#pragma once

#include "runtime/train/append_file.h"
#include "runtime/train/metrics.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

// CRC-32 with Castagnoli's polynomial (RFC 3720, B.4).
uint32_t Crc32c(std::string_view bytes);
// As records hold it: rotated by 15 bits, plus a constant.
uint32_t MaskedCrc32c(std::string_view bytes);

// `message` framed as a record.
std::string EventRecord(std::string_view message);

class EventFile {
public:
  // Creates folder/events.out.tfevents.SECONDS.weft, whose name sorts after those that are there: names give
  // the order that files are read in.
  static absl::StatusOr<EventFile> Create(const std::string &folder, int64_t first_step);

  // train/loss, train/lr, train/grad_norm, train/tokens_per_second, train/step_ms, and train/NAME of what the
  // model has added and of ExpertLoadNumbers; errors of AppendFile.
  absl::Status Add(const StepMetrics &metrics);
  // validation/loss, validation/targets.
  absl::Status Add(const EvalMetrics &metrics);
  absl::Status Flush() { return file_.Flush(); }
  absl::Status Sync() const { return file_.Sync(); }
  const std::string &path() const { return file_.path(); }

private:
  explicit EventFile(AppendFile file) : file_(std::move(file)) {}
  AppendFile file_;
};

} // namespace weft
