#include "compiler/check/tensor_bytes.h"
#include <cstring>

using weft::graph::Element;
using weft::graph::HostTensor;
namespace weft {
namespace {

template <typename T> void encode(const HostTensor &t, char *to) {
  for (double v : t.values) {
    T element = T(v);
    memcpy(to, &element, sizeof element);
    to += sizeof element;
  }
}
template <typename T> void decode(const char *from, HostTensor &t) {
  for (double &v : t.values) {
    T element;
    memcpy(&element, from, sizeof element);
    v = double(element);
    from += sizeof element;
  }
}

} // namespace

int64_t bytesOf(Element e) {
  return e == Element::i1 ? 1 : e == Element::bf16 ? 2 : e == Element::f64 || e == Element::i64 ? 8 : 4;
}

std::string toBytes(const HostTensor &t) {
  std::string out(t.values.size() * bytesOf(t.element), 0);
  switch (t.element) {
  case Element::f32:
    encode<float>(t, out.data());
    break;
  case Element::f64:
    encode<double>(t, out.data());
    break;
  case Element::i32:
    encode<int32_t>(t, out.data());
    break;
  case Element::i64:
    encode<int64_t>(t, out.data());
    break;
  case Element::i1:
    encode<int8_t>(t, out.data());
    break;
  case Element::bf16:
    for (size_t i = 0; i < t.values.size(); ++i) {
      float v = float(graph::roundToBf16(t.values[i]));
      uint32_t word;
      memcpy(&word, &v, 4);
      uint16_t half = uint16_t(word >> 16);
      memcpy(out.data() + 2 * i, &half, 2);
    }
  }
  return out;
}

void fromBytes(llvm::StringRef bytes, HostTensor &t) {
  switch (t.element) {
  case Element::f32:
    return decode<float>(bytes.data(), t);
  case Element::f64:
    return decode<double>(bytes.data(), t);
  case Element::i32:
    return decode<int32_t>(bytes.data(), t);
  case Element::i64:
    return decode<int64_t>(bytes.data(), t);
  case Element::i1:
    return decode<int8_t>(bytes.data(), t);
  case Element::bf16:
    for (size_t i = 0; i < t.values.size(); ++i) {
      uint16_t half;
      memcpy(&half, bytes.data() + 2 * i, 2);
      uint32_t word = uint32_t(half) << 16;
      float v;
      memcpy(&v, &word, 4);
      t.values[i] = v;
    }
  }
}

} // namespace weft
