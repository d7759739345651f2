#include "runtime/train/safetensors.h"
#include "runtime/data/file_io.h"
#include "runtime/data/unique_json.h"
#include "runtime/train/nearest.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weft {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000; // as the reference reader
constexpr uint64_t kMaxElements = uint64_t{1} << 56;

// Bits of one element of a type that the format knows; 0 for any other.
uint64_t ElementBytes(const std::string &dtype) {
  static const std::map<std::string, uint64_t> sizes = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
      {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},     {"F64", 8},     {"I64", 8}, {"U64", 8}};
  auto found = sizes.find(dtype);
  return found == sizes.end() ? 0 : found->second;
}

std::string ShapeText(absl::Span<const int64_t> shape) {
  return absl::StrCat("(", absl::StrJoin(shape, ", "), ")");
}

absl::Status ReadAll(int fd, uint64_t offset, char *out, uint64_t bytes, const std::string &path) {
  while (bytes > 0) {
    ssize_t n = pread(fd, out, std::min<uint64_t>(bytes, 1 << 30), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError("read", path, errno);
    if (n == 0)
      return absl::DataLossError(
          absl::StrCat(path, ": the file ended at byte ", offset, " while it was read"));
    out += n, offset += n, bytes -= n;
  }
  return absl::OkStatus();
}

// One entry of the header; `data_bytes` is what follows the header, which `offset` counts from until it is
// moved.
absl::StatusOr<SafeTensor> ParseTensor(const json &entry, uint64_t data_bytes) {
  if (!entry.is_object()) return absl::DataLossError("is not an object");
  SafeTensor tensor;
  auto dtype = entry.find("dtype"), shape = entry.find("shape"), offsets = entry.find("data_offsets");
  if (dtype == entry.end() || !dtype->is_string()) return absl::DataLossError("has no dtype");
  tensor.dtype = dtype->get<std::string>();
  uint64_t element = ElementBytes(tensor.dtype);
  if (element == 0)
    return absl::DataLossError(absl::StrCat("has the unknown type ", tensor.dtype.substr(0, 32)));
  if (shape == entry.end() || !shape->is_array()) return absl::DataLossError("has no shape");
  uint64_t elements = 1;
  for (const json &size : *shape) {
    if (!size.is_number_unsigned()) return absl::DataLossError("has a shape that is not of whole numbers");
    uint64_t n = size.get<uint64_t>();
    if (n > kMaxElements || (n > 0 && elements > kMaxElements / n))
      return absl::DataLossError("has a shape too large for any file");
    elements *= n;
    tensor.shape.push_back(n);
  }
  if (offsets == entry.end() || !offsets->is_array() || offsets->size() != 2 ||
      !(*offsets)[0].is_number_unsigned() || !(*offsets)[1].is_number_unsigned())
    return absl::DataLossError("has no data_offsets of two whole numbers");
  uint64_t begin = (*offsets)[0].get<uint64_t>(), end = (*offsets)[1].get<uint64_t>();
  if (begin > end || end > data_bytes)
    return absl::DataLossError(absl::StrCat("lies at bytes [", begin, ", ", end, ") when the file has ",
                                            data_bytes, " bytes of tensors; it may be cut off"));
  if (end - begin != elements * element)
    return absl::DataLossError(absl::StrCat("has ", end - begin, " bytes when ", tensor.dtype, " ",
                                            ShapeText(tensor.shape), " takes ", elements * element));
  tensor.offset = begin;
  tensor.bytes = end - begin;
  return tensor;
}

} // namespace

absl::string_view SafetensorsName(fb::DType dtype) {
  switch (dtype) {
  case fb::DType::f32:
    return "F32";
  case fb::DType::f64:
    return "F64";
  case fb::DType::i32:
    return "I32";
  case fb::DType::i64:
    return "I64";
  case fb::DType::boolean:
    return "BOOL";
  case fb::DType::bf16:
    return "BF16";
  }
  return "";
}

absl::StatusOr<SafetensorsReader> SafetensorsReader::Open(const std::string &path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError("open", path, errno);
  SafetensorsReader reader(path, fd);
  if (absl::Status status = reader.ReadHeader(); !status.ok())
    return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
  return reader;
}

SafetensorsReader::SafetensorsReader(SafetensorsReader &&other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), tensors_(std::move(other.tensors_)),
      metadata_(std::move(other.metadata_)) {}

SafetensorsReader &SafetensorsReader::operator=(SafetensorsReader &&other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(tensors_, other.tensors_);
  std::swap(metadata_, other.metadata_);
  return *this;
}

SafetensorsReader::~SafetensorsReader() {
  if (fd_ >= 0) close(fd_);
}

absl::Status SafetensorsReader::ReadHeader() {
  struct stat info;
  if (fstat(fd_, &info) != 0) return absl::ErrnoToStatus(errno, "cannot be examined");
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError("is not a regular file");
  uint64_t size = info.st_size, header = 0;
  if (size < 8)
    return absl::DataLossError(absl::StrCat("has ", size, " bytes, too few for a safetensors file"));
  unsigned char prefix[8];
  if (absl::Status status = ReadAll(fd_, 0, reinterpret_cast<char *>(prefix), 8, path_); !status.ok())
    return status;
  for (int i = 7; i >= 0; --i) header = header << 8 | prefix[i]; // little endian
  if (header > kMaxHeaderBytes)
    return absl::DataLossError(absl::StrCat("the header is said to have ", header, " bytes when ",
                                            kMaxHeaderBytes, " is the most; this is not a safetensors file"));
  if (header > size - 8)
    return absl::DataLossError(absl::StrCat("the header is said to have ", header,
                                            " bytes when the file has ", size - 8,
                                            " after its length; it may be cut off"));
  std::string text(header, '\0');
  if (absl::Status status = ReadAll(fd_, 8, text.data(), header, path_); !status.ok()) return status;
  std::string problem;
  json parsed = ParseUniqueObject<json>(text, &problem);
  if (!problem.empty()) return absl::DataLossError(absl::StrCat("the header ", problem));

  uint64_t data_bytes = size - 8 - header;
  for (const auto &[name, entry] : parsed.items()) {
    if (name == "__metadata__") {
      if (!entry.is_object()) return absl::DataLossError("__metadata__ is not an object");
      for (const auto &[key, value] : entry.items()) {
        if (!value.is_string())
          return absl::DataLossError(absl::StrCat("__metadata__.", key, " is not a string"));
        metadata_[key] = value.get<std::string>();
      }
      continue;
    }
    absl::StatusOr<SafeTensor> tensor = ParseTensor(entry, data_bytes);
    if (!tensor.ok())
      return absl::Status(tensor.status().code(),
                          absl::StrCat("tensor ", name, " ", tensor.status().message()));
    tensors_[name] = *std::move(tensor);
  }

  // In the order of their bytes each tensor must begin where the one before it ends.
  std::vector<std::pair<const std::string, SafeTensor> *> order;
  for (auto &tensor : tensors_) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](auto *a, auto *b) {
    return std::pair(a->second.offset, a->second.bytes) < std::pair(b->second.offset, b->second.bytes);
  });
  uint64_t end = 0;
  const std::string *before = nullptr;
  for (auto *tensor : order) {
    if (tensor->second.offset < end)
      return absl::DataLossError(absl::StrCat("tensors ", *before, " and ", tensor->first, " overlap"));
    if (tensor->second.offset > end)
      return absl::DataLossError(absl::StrCat("bytes [", end, ", ", tensor->second.offset, ") before tensor ",
                                              tensor->first, " belong to no tensor"));
    end += tensor->second.bytes;
    before = &tensor->first;
    tensor->second.offset += 8 + header;
  }
  if (end != data_bytes)
    return absl::DataLossError(
        absl::StrCat("bytes [", end, ", ", data_bytes, ") after the last tensor belong to no tensor"));
  return absl::OkStatus();
}

absl::Status SafetensorsReader::Read(const std::string &name, fb::DType dtype,
                                     absl::Span<const int64_t> shape, absl::Span<char> out) const {
  auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    std::vector<std::string> names;
    for (const auto &tensor : tensors_) names.push_back(tensor.first);
    std::string nearest = Nearest(name, names);
    return absl::NotFoundError(
        absl::StrCat(path_, ": has no tensor ", name,
                     nearest.empty() ? "" : absl::StrCat(" (the nearest name is ", nearest, ")")));
  }
  const SafeTensor &tensor = found->second;
  if (tensor.dtype != SafetensorsName(dtype))
    return absl::InvalidArgumentError(absl::StrCat(path_, ": tensor ", name, " has the type ", tensor.dtype,
                                                   " when the model has ", SafetensorsName(dtype)));
  if (absl::MakeConstSpan(tensor.shape) != shape)
    return absl::InvalidArgumentError(absl::StrCat(path_, ": tensor ", name, " has the shape ",
                                                   ShapeText(tensor.shape), " when the model has ",
                                                   ShapeText(shape)));
  if (out.size() != tensor.bytes)
    return absl::InternalError(absl::StrCat(path_, ": tensor ", name, " has ", tensor.bytes,
                                            " bytes when there is room for ", out.size()));
  return ReadPart(tensor, 0, out);
}

absl::Status SafetensorsReader::ReadPart(const SafeTensor &tensor, uint64_t offset,
                                         absl::Span<char> out) const {
  if (offset > tensor.bytes || out.size() > tensor.bytes - offset)
    return absl::InternalError(absl::StrCat(path_, ": ", out.size(), " bytes at byte ", offset,
                                            " leave a tensor of ", tensor.bytes));
  return ReadAll(fd_, tensor.offset + offset, out.data(), out.size(), path_);
}

} // namespace weft
