#include "runtime/hugging_face/import_weights.h"
#include "runtime/hugging_face/block_scales.h"
#include "runtime/train/checkpoint_files.h"
#include "runtime/train/nearest.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include <algorithm>
#include <cstring>
#include <fnmatch.h>
#include <optional>

namespace weft {
namespace {

constexpr uint64_t kBufferElements = 1 << 20;
constexpr size_t kMostListed = 8;

std::string ShapeText(const std::vector<int64_t> &shape) {
  return absl::StrCat("(", absl::StrJoin(shape, ", "), ")");
}

uint64_t Elements(const std::vector<int64_t> &shape) {
  uint64_t n = 1;
  for (int64_t size : shape) n *= static_cast<uint64_t>(size);
  return n;
}

const std::string *EqualTo(const std::string &name, const OtherWeights &others) {
  for (const auto &[second, first] : others.equal)
    if (second == name) return &first;
  return nullptr;
}

bool Matches(const std::string &name, const std::string &pattern) {
  return fnmatch(pattern.c_str(), name.c_str(), FNM_NOESCAPE) == 0;
}

bool Ignored(const std::string &name, const OtherWeights &others) {
  return std::any_of(others.ignored.begin(), others.ignored.end(),
                     [&](const std::string &pattern) { return Matches(name, pattern); });
}

std::string Missing(const std::string &name, const WeightFiles &files, const WeightShapes &shapes) {
  std::vector<std::string> spare; // names that the model does not have itself
  for (const auto &[other, place] : files.tensors())
    if (!shapes.count(other)) spare.push_back(other);
  std::string nearest = Nearest(name, spare);
  return absl::StrCat(name, " is missing",
                      nearest.empty() ? "" : absl::StrCat(" (the nearest of the others is ", nearest, ")"));
}

// Two tensors of the folder, as f32.
absl::Status CheckEqual(const WeightFiles &files, const std::string &second, const std::string &first) {
  const WeightFiles::Place &a = files.tensors().at(second), &b = files.tensors().at(first);
  uint64_t elements = Elements(a.tensor->shape), most = std::min(kBufferElements, elements);
  std::vector<float> left(most), right(most);
  for (uint64_t at = 0; at < elements; at += most) {
    uint64_t count = std::min(most, elements - at);
    absl::Status status = files.ReadF32(a, at, absl::MakeSpan(left.data(), count));
    if (status.ok()) status = files.ReadF32(b, at, absl::MakeSpan(right.data(), count));
    if (!status.ok()) return status;
    if (std::memcmp(left.data(), right.data(), count * sizeof(float)) != 0)
      return absl::InvalidArgumentError(absl::StrCat(
          "tensors ", second, " and ", first,
          " differ when config.json says that they are one\nhint: of a head, with "
          "\"tie_word_embeddings\": false both are imported; a layer of multi-token prediction is "
          "left out with \"num_nextn_predict_layers\": 0"));
  }
  return absl::OkStatus();
}

} // namespace

bool HasTensor(const WeightFiles &files, const std::string &pattern) {
  return std::any_of(files.tensors().begin(), files.tensors().end(),
                     [&](const auto &tensor) { return Matches(tensor.first, pattern); });
}

WeightShapes WeightShapesOf(const fb::Artifact &artifact) {
  WeightShapes shapes;
  for (const fb::Stage *stage : *artifact.stages()) {
    if (!stage->variables()) continue;
    for (const fb::Variable *variable : *stage->variables())
      if (variable->kind() == fb::VariableKind::parameter)
        for (CheckpointTensor &tensor : CheckpointTensors({variable, {}}))
          shapes[tensor.name] = std::move(tensor.shape);
  }
  return shapes;
}

absl::Status CheckWeights(const WeightFiles &files, const WeightShapes &shapes, const OtherWeights &others) {
  std::vector<std::string> wrong;
  for (const auto &[name, shape] : shapes) {
    auto found = files.tensors().find(name);
    if (found == files.tensors().end()) {
      // Names are compared only as long as someone reads them.
      wrong.push_back(wrong.size() < kMostListed ? Missing(name, files, shapes) : name);
      continue;
    }
    const SafeTensor &tensor = *found->second.tensor;
    if (tensor.shape != shape)
      wrong.push_back(absl::StrCat(name, " has the shape ", ShapeText(tensor.shape),
                                   " when config.json makes it ", ShapeText(shape)));
    else if (NeedsScales(tensor.dtype)) {
      if (std::string what = BlockScales::Wrong(files, name); !what.empty()) wrong.push_back(what);
    } else if (!ReadableType(tensor.dtype))
      wrong.push_back(absl::StrCat(name, " has the type ", tensor.dtype,
                                   " when F32, BF16, F16 and F8_E4M3 with scales are read"));
  }
  for (const auto &[name, place] : files.tensors()) {
    if (shapes.count(name) || Ignored(name, others)) continue;
    if (auto scaled = files.tensors().find(ScaledBy(name)); scaled != files.tensors().end() &&
                                                            shapes.count(scaled->first) &&
                                                            NeedsScales(scaled->second.tensor->dtype))
      continue;
    const std::string *first = EqualTo(name, others);
    auto same = first ? files.tensors().find(*first) : files.tensors().end();
    if (same == files.tensors().end())
      wrong.push_back(absl::StrCat(name, " is no tensor of this model"));
    else if (place.tensor->shape != same->second.tensor->shape || !ReadableType(place.tensor->dtype))
      wrong.push_back(absl::StrCat(name, " is ", place.tensor->dtype, " ", ShapeText(place.tensor->shape),
                                   " when it should be as ", *first, ", ", same->second.tensor->dtype, " ",
                                   ShapeText(same->second.tensor->shape)));
  }
  if (wrong.empty()) return absl::OkStatus();
  std::string text = "the weights do not fit config.json:";
  for (size_t i = 0; i < std::min(wrong.size(), kMostListed); ++i) absl::StrAppend(&text, "\n  ", wrong[i]);
  if (wrong.size() > kMostListed) absl::StrAppend(&text, "\n  and ", wrong.size() - kMostListed, " more");
  return absl::InvalidArgumentError(text);
}

absl::StatusOr<FileHash> CopyWeights(const WeightFiles &files, const WeightShapes &shapes,
                                     const OtherWeights &others, const std::string &path,
                                     const CopyOptions &options) {
  for (const auto &[second, first] : others.equal)
    if (!shapes.count(second) && files.tensors().count(second))
      if (absl::Status status = CheckEqual(files, second, first); !status.ok()) return status;
  std::vector<SafetensorsWriter::Tensor> header;
  for (const auto &[name, shape] : shapes) header.push_back({name, fb::DType::f32, shape});
  absl::StatusOr<SafetensorsWriter> writer = SafetensorsWriter::Create(path, header, {{"format", "pt"}});
  if (!writer.ok()) return writer.status();
  std::vector<float> buffer(kBufferElements);
  uint64_t done = 0;
  for (const auto &[name, shape] : shapes) {
    const WeightFiles::Place &place = files.tensors().at(name);
    uint64_t elements = Elements(shape);
    std::optional<BlockScales> scales;
    if (NeedsScales(place.tensor->dtype)) {
      absl::StatusOr<BlockScales> read = BlockScales::Read(files, name);
      if (!read.ok()) return read.status();
      scales = *std::move(read);
    }
    for (uint64_t at = 0; at < elements; at += buffer.size()) {
      absl::Span<float> part = absl::MakeSpan(buffer).subspan(0, elements - at);
      absl::Status status = files.ReadF32(place, at, part);
      if (status.ok() && scales) scales->Multiply(at, part);
      if (status.ok())
        status = writer->Append({reinterpret_cast<const char *>(part.data()), part.size() * sizeof(float)});
      if (!status.ok()) return status;
      done += part.size() * place.tensor->bytes / elements;
      if (options.progress) options.progress(done, files.bytes());
      if (options.cancelled && options.cancelled()) return absl::CancelledError("interrupted");
    }
  }
  if (absl::StatusOr<UnsyncedFile> file = writer->FinishUnsynced(); !file.ok()) return file.status();
  return FileHash{writer->size(), writer->hash()};
}

} // namespace weft
