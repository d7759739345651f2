// What the checks of an artifact share: where in the file one is, and checks of single fields.
#pragma once
#include "runtime/artifact/artifact_generated.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include <string>

namespace weft {

// Larger than any machine's memory, small enough that sums of a few such numbers cannot overflow.
constexpr int64_t kMaxBytes = int64_t{1} << 46;
// Far more than any model has. Lists in a file may overlap, so that a small file could name one list many
// times: what is walked for each of its owners is bounded.
constexpr int64_t kMaxRank = 64, kMaxStrides = 64, kMaxLayers = int64_t{1} << 20, kMaxKernelLines = 8'000'000;

// Where we are in the file, as a chain on the stack: only an error turns it into text.
struct Where {
  const Where *parent = nullptr;
  const char *field = "";
  int64_t index = -1;

  std::string text() const {
    std::string result = parent ? absl::StrCat(parent->text(), parent->parent ? "." : "") : "";
    absl::StrAppend(&result, field);
    if (index >= 0) absl::StrAppend(&result, "[", index, "]");
    return result;
  }
  template <typename... Args> absl::Status Error(const Args &...args) const {
    return absl::InvalidArgumentError(absl::StrCat(text(), parent ? ": " : "", args...));
  }
};

#define WEFT_CHECK_OK(expression)                                                                            \
  if (absl::Status status_ = (expression); !status_.ok()) return status_

template <typename T> int64_t Size(const flatbuffers::Vector<T> *vector) {
  return vector ? vector->size() : 0;
}
// FlatBuffers' verifier aligns a vector's length, not its elements of eight bytes.
template <typename T> bool IsAligned(const flatbuffers::Vector<T> *vector) {
  return Size(vector) == 0 || reinterpret_cast<uintptr_t>(vector->Data()) % 8 == 0;
}
inline absl::string_view Text(const flatbuffers::String *string) {
  return string ? absl::string_view(string->c_str(), string->size()) : absl::string_view();
}

// InvalidArgument unless shape and dtype are possible and `bytes` is what they take.
absl::Status CheckTyped(const Where &at, fb::DType dtype, const flatbuffers::Vector<int64_t> *shape,
                        int64_t bytes);

// One entry of a stage whose variables and kernels hold together (check_entry.cpp).
absl::Status CheckEntry(const Where &at, const fb::Artifact &artifact, const fb::Stage &stage,
                        const fb::Entry &entry);

} // namespace weft
