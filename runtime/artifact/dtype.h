// Sizes of the artifact's element types, and shapes as text.
#pragma once
#include "runtime/artifact/artifact_generated.h"

#include <cstdint>
#include <string>

namespace weft {

// Bytes of one element; 0 for a value that is no element type (a file may hold any byte).
inline int64_t ByteSize(fb::DType dtype) {
  switch (dtype) {
  case fb::DType::f32:
  case fb::DType::i32:
    return 4;
  case fb::DType::f64:
  case fb::DType::i64:
    return 8;
  case fb::DType::boolean:
    return 1;
  case fb::DType::bf16:
    return 2;
  }
  return 0;
}

// As in "(2, 3)"; null is "()".
inline std::string ShapeText(const flatbuffers::Vector<int64_t> *shape) {
  std::string text = "(";
  for (uint32_t i = 0; shape && i < shape->size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape->Get(i));
  return text + ")";
}

} // namespace weft
