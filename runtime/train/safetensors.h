// The safetensors format: eight bytes of header length, a JSON header, the tensors' bytes one after the
// other. Source: https://huggingface.co/docs/safetensors. As its reference reader, this one accepts neither
// overlaps nor holes.
#pragma once

#include "runtime/artifact/dtype.h"
#include "runtime/data/file_io.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace weft {

// "F32" for f32 and so on; "" for a value that is no type.
absl::string_view SafetensorsName(fb::DType dtype);

struct SafeTensor {
  std::string dtype; // as the file spells it: "F32", "BF16", …
  std::vector<int64_t> shape;
  uint64_t offset = 0, bytes = 0; // in the file
};

// An open file whose header has been checked: every tensor lies within the file, and its bytes are those of
// its shape. It is read rather than mapped, so that a file cut off meanwhile is an error and not a signal.
class SafetensorsReader {
public:
  // NotFound, or DataLoss that names the file, the tensor, what was found and what was expected.
  static absl::StatusOr<SafetensorsReader> Open(const std::string &path);
  SafetensorsReader(SafetensorsReader &&other) noexcept;
  SafetensorsReader &operator=(SafetensorsReader &&other) noexcept;
  ~SafetensorsReader();

  const std::map<std::string, SafeTensor> &tensors() const { return tensors_; }
  const std::map<std::string, std::string> &metadata() const { return metadata_; }
  const std::string &path() const { return path_; }

  // Reads one tensor into `out`, whose size must be that of `shape`. NotFound when the file has none of that
  // name (the error names the nearest one); InvalidArgument when its type or shape differ; DataLoss when the
  // bytes cannot be read.
  absl::Status Read(const std::string &name, fb::DType dtype, absl::Span<const int64_t> shape,
                    absl::Span<char> out) const;

  // Bytes [offset, offset + out.size()) of one of tensors().
  absl::Status ReadPart(const SafeTensor &tensor, uint64_t offset, absl::Span<char> out) const;

private:
  SafetensorsReader(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  absl::Status ReadHeader();

  std::string path_;
  int fd_ = -1;
  std::map<std::string, SafeTensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Writes a file tensor by tensor, so that no second copy of the weights is needed.
class SafetensorsWriter {
public:
  struct Tensor {
    std::string name;
    fb::DType dtype;
    std::vector<int64_t> shape;
  };
  // Writes the header at once. `tensors` is the order in which the bytes will come. AlreadyExists when two
  // tensors share a name; otherwise the system's error, naming the file.
  static absl::StatusOr<SafetensorsWriter> Create(const std::string &path, const std::vector<Tensor> &tensors,
                                                  const std::map<std::string, std::string> &metadata = {});
  SafetensorsWriter(SafetensorsWriter &&other) noexcept;
  ~SafetensorsWriter();

  absl::Status Append(absl::Span<const char> bytes);
  // FailedPrecondition when fewer or more bytes came than the header says.
  absl::StatusOr<UnsyncedFile> FinishUnsynced();
  // The same, synced and closed.
  absl::Status Finish();
  // XXH3-64 of the bytes written so far, and how many they are.
  uint64_t hash() const;
  uint64_t size() const { return size_; }

private:
  SafetensorsWriter(std::string path, int fd);
  absl::Status Write(const char *data, size_t bytes);

  std::string path_;
  int fd_ = -1;
  uint64_t size_ = 0, expected_ = 0;
  struct Hash;
  std::unique_ptr<Hash> hash_;
};

} // namespace weft
