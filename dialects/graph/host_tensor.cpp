#include "dialects/graph/host_tensor.h"
#include "mlir/IR/BuiltinAttributeInterfaces.h"

using namespace mlir;
namespace weft::graph {

int64_t numElements(ArrayRef<int64_t> shape) {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}

SmallVector<int64_t> rowMajorStrides(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (int64_t i = int64_t(shape.size()) - 2; i >= 0; --i) strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

StringRef name(Element element) {
  switch (element) {
  case Element::f32:
    return "f32";
  case Element::f64:
    return "f64";
  case Element::bf16:
    return "bf16";
  case Element::i1:
    return "i1";
  case Element::i32:
    return "i32";
  case Element::i64:
    return "i64";
  }
  llvm_unreachable("element");
}

std::string describe(ArrayRef<int64_t> shape, Element element) {
  std::string s;
  for (int64_t d : shape) s += (ShapedType::isDynamic(d) ? "?" : std::to_string(d)) + "x";
  return s + name(element).str();
}

double wrap(int64_t value, Element element) {
  switch (element) {
  case Element::i1:
    return value & 1;
  case Element::i32:
    return int32_t(uint32_t(uint64_t(value)));
  default:
    return double(value);
  }
}

SmallVector<int64_t> HostTensor::strides() const { return rowMajorStrides(shape); }

double roundToBf16(double value) {
  APFloat x(value);
  bool inexact;
  x.convert(APFloat::BFloat(), APFloat::rmNearestTiesToEven, &inexact);
  return x.convertToDouble();
}

void HostTensor::roundToElement() {
  if (element == Element::f32)
    for (double &v : values) v = float(v);
  if (element == Element::bf16)
    for (double &v : values) v = roundToBf16(v);
}

HostTensor HostTensor::zeros(ArrayRef<int64_t> shape, Element element) {
  return {SmallVector<int64_t>(shape), element, std::vector<double>(graph::numElements(shape), 0.0)};
}

FailureOr<HostTensor> HostTensor::from(ElementsAttr value) {
  auto dense = dyn_cast<DenseElementsAttr>(value);
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!dense || !type) return failure();
  HostTensor t = zeros(type);
  int64_t i = 0;
  if (t.isFloat())
    for (APFloat v : dense.getValues<APFloat>()) t.values[i++] = v.convertToDouble();
  else
    for (APInt v : dense.getValues<APInt>())
      t.values[i++] = t.element == Element::i1 ? double(v.getZExtValue()) : double(v.getSExtValue());
  return t;
}

Element HostTensor::elementOf(Type type) {
  if (type.isF32()) return Element::f32;
  if (type.isF64()) return Element::f64;
  if (type.isBF16()) return Element::bf16;
  if (type.isInteger(1)) return Element::i1;
  if (type.isInteger(32)) return Element::i32;
  assert(type.isInteger(64) && "not an element type of the graph dialect");
  return Element::i64;
}

bool HostTensor::fits(RankedTensorType type) const {
  if (type.getRank() != rank() || elementOf(type.getElementType()) != element) return false;
  for (auto [have, want] : llvm::zip(shape, type.getShape()))
    if (!ShapedType::isDynamic(want) && have != want) return false;
  return true;
}

} // namespace weft::graph
