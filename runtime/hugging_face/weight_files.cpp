#include "runtime/hugging_face/weight_files.h"
#include "runtime/hugging_face/block_scales.h"
#include "runtime/hugging_face/convert.h"
#include "runtime/hugging_face/weight_index.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <filesystem>
#include <set>

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxShards = 1000; // each is an open file

bool Exists(const std::string &path) {
  std::error_code error;
  return fs::exists(path, error);
}

} // namespace

absl::StatusOr<WeightFiles> WeightFiles::Open(const std::string &folder) {
  WeightFiles weights;
  std::string single = absl::StrCat(folder, "/model.safetensors");
  std::string index_path = absl::StrCat(folder, "/", kWeightIndex);
  if (Exists(single) || !Exists(index_path)) {
    absl::StatusOr<SafetensorsReader> file = SafetensorsReader::Open(single);
    if (absl::IsNotFound(file.status()))
      return absl::NotFoundError(absl::StrCat(
          folder, " has neither model.safetensors nor ", kWeightIndex,
          Exists(folder + "/pytorch_model.bin") || Exists(folder + "/pytorch_model.bin.index.json")
              ? "\nhint: save_pretrained of transformers writes pytorch_model.bin's weights as safetensors"
              : "\nhint: save_pretrained of transformers writes such a folder"));
    if (!file.ok()) return file.status();
    weights.files_.push_back(std::make_unique<SafetensorsReader>(*std::move(file)));
    for (const auto &[name, tensor] : weights.files_[0]->tensors())
      weights.tensors_[name] = {weights.files_[0].get(), &tensor};
  } else {
    absl::StatusOr<std::string> index = ReadFile(index_path, kMaxWeightIndexBytes);
    if (!index.ok()) return index.status();
    if (absl::Status status = weights.OpenShards(folder, *index); !status.ok())
      return absl::Status(status.code(), absl::StrCat(index_path, ": ", status.message()));
  }
  for (const auto &[name, place] : weights.tensors_) weights.bytes_ += place.tensor->bytes;
  return weights;
}

absl::Status WeightFiles::OpenShards(const std::string &folder, absl::string_view index) {
  absl::StatusOr<std::map<std::string, std::string>> places = ParseWeightIndex(index);
  if (!places.ok()) return places.status();
  std::set<std::string> names;
  for (const auto &[tensor, file] : *places) names.insert(file);
  if (names.size() > kMaxShards)
    return absl::ResourceExhaustedError(
        absl::StrCat("names ", names.size(), " files when at most ", kMaxShards, " are read"));
  for (const std::string &name : names) {
    absl::StatusOr<SafetensorsReader> opened = SafetensorsReader::Open(absl::StrCat(folder, "/", name));
    if (absl::IsNotFound(opened.status()))
      return absl::DataLossError(absl::StrCat("the file ", name, " is missing"));
    if (!opened.ok()) return opened.status();
    files_.push_back(std::make_unique<SafetensorsReader>(*std::move(opened)));
    for (const auto &[tensor, entry] : files_.back()->tensors()) {
      auto said = places->find(tensor);
      if (auto other = tensors_.find(tensor); other != tensors_.end())
        return absl::DataLossError(
            absl::StrCat("tensor ", tensor, " is in ", other->second.file->path(), " and in ", name));
      if (said == places->end() || said->second != name)
        return absl::DataLossError(
            absl::StrCat("tensor ", tensor, " is in ", name, " when the index ",
                         said == places->end() ? "does not name it" : absl::StrCat("says ", said->second)));
      tensors_[tensor] = {files_.back().get(), &entry};
    }
  }
  for (const auto &[tensor, file] : *places)
    if (!tensors_.count(tensor))
      return absl::DataLossError(absl::StrCat("tensor ", tensor, " is not in ", file));
  return absl::OkStatus();
}

bool ReadableType(const std::string &dtype) { return dtype == "F32" || dtype == "BF16" || dtype == "F16"; }

absl::Status WeightFiles::ReadF32(const Place &place, uint64_t begin, absl::Span<float> out) const {
  const std::string &dtype = place.tensor->dtype;
  if (!ReadableType(dtype) && !NeedsScales(dtype))
    return absl::InvalidArgumentError(
        absl::StrCat(place.file->path(), ": type ", dtype, " when F32, BF16, F16 and F8_E4M3 are read"));
  // The narrow types are read into the end of `out` and widened from its front.
  size_t width = dtype == "F32" ? 4 : NeedsScales(dtype) ? 1 : 2;
  char *at = reinterpret_cast<char *>(out.data()) + out.size() * (4 - width);
  absl::Status status =
      place.file->ReadPart(*place.tensor, begin * width, absl::MakeSpan(at, out.size() * width));
  if (!status.ok() || width == 4) return status;
  if (width == 1) {
    WidenE4m3(reinterpret_cast<const uint8_t *>(at), out);
    return absl::OkStatus();
  }
  const auto *narrow = reinterpret_cast<const uint16_t *>(at);
  if (dtype == "BF16")
    WidenBf16(narrow, out);
  else
    WidenF16(narrow, out);
  return absl::OkStatus();
}

} // namespace weft
