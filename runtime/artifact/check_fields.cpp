#include "runtime/artifact/check_fields.h"
#include "runtime/artifact/dtype.h"

namespace weft {
namespace {

// shape's product times the element size; -1 when negative or too large.
int64_t ShapeBytes(const flatbuffers::Vector<int64_t> *shape, fb::DType dtype) {
  int64_t bytes = ByteSize(dtype);
  for (int64_t i = 0; i < Size(shape); ++i) {
    int64_t dim = shape->Get(i);
    if (dim < 0 || __builtin_mul_overflow(bytes, dim, &bytes) || bytes > kMaxBytes) return -1;
  }
  return bytes;
}

} // namespace

absl::Status CheckTyped(const Where &at, fb::DType dtype, const flatbuffers::Vector<int64_t> *shape,
                        int64_t bytes) {
  if (ByteSize(dtype) == 0)
    return at.Error("dtype is ", static_cast<int>(dtype), " when it should be 0 to 5");
  if (Size(shape) > kMaxRank)
    return at.Error("shape has ", Size(shape), " dimensions when ", kMaxRank, " is the most");
  if (!IsAligned(shape)) return at.Error("shape does not lie at a multiple of 8 bytes");
  int64_t expected = ShapeBytes(shape, dtype);
  if (expected < 0)
    return at.Error("shape ", ShapeText(shape), " has a negative dimension or too many elements");
  if (bytes != expected)
    return at.Error("bytes is ", bytes, " when shape ", ShapeText(shape), " of ", fb::EnumNameDType(dtype),
                    " takes ", expected);
  return absl::OkStatus();
}

} // namespace weft
