// A tensor of the reference interpreters: every element type held as double, so that the reference computes
// in f64 throughout.
#pragma once
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/SmallVector.h"
#include <vector>

namespace weft::graph {

enum class Element : uint8_t { f32, f64, bf16, i1, i32, i64 };

struct HostTensor {
  llvm::SmallVector<int64_t> shape;
  Element element = Element::f32;
  std::vector<double> values; // row-major; i1 as 0 and 1, i64 exact up to 2^53

  int64_t rank() const { return shape.size(); }
  int64_t numElements() const { return values.size(); }
  llvm::SmallVector<int64_t> strides() const; // in elements, row-major
  bool isFloat() const { return element <= Element::bf16; }

  // Rounds every value to what the element type holds: floats to nearest even.
  void roundToElement();
  // The values of `type`'s elements are zeros; sizes `?` must be given by `shape`.
  static HostTensor zeros(llvm::ArrayRef<int64_t> shape, Element element);
  static HostTensor zeros(mlir::RankedTensorType type) {
    return zeros(type.getShape(), elementOf(type.getElementType()));
  }
  // Fails for what is not dense.
  static mlir::FailureOr<HostTensor> from(mlir::ElementsAttr value);

  // The element type must be f32, f64, bf16, i1, i32 or i64.
  static Element elementOf(mlir::Type type);
  // Whether element type and shape are the type's, whose `?` fits every size.
  bool fits(mlir::RankedTensorType type) const;
};

int64_t numElements(llvm::ArrayRef<int64_t> shape);
llvm::SmallVector<int64_t> rowMajorStrides(llvm::ArrayRef<int64_t> shape);
llvm::StringRef name(Element element);
// "4x8xf32"
std::string describe(llvm::ArrayRef<int64_t> shape, Element element);

// To nearest even; the range is f32's.
double roundToBf16(double value);

// An integer as its type holds it, wrapped around in two's complement; i1 keeps the low bit.
double wrap(int64_t value, Element element);

// Calls f(linear, index) for each index of `shape` in row-major order.
template <class F> void forEachIndex(llvm::ArrayRef<int64_t> shape, F &&f) {
  llvm::SmallVector<int64_t> index(shape.size(), 0);
  for (int64_t linear = 0, n = numElements(shape); linear < n; ++linear) {
    f(linear, llvm::ArrayRef<int64_t>(index));
    for (int64_t d = int64_t(shape.size()) - 1; d >= 0 && ++index[d] == shape[d]; --d) index[d] = 0;
  }
}

// The sum of index[i] * strides[i].
inline int64_t addressOf(llvm::ArrayRef<int64_t> index, llvm::ArrayRef<int64_t> strides) {
  int64_t a = 0;
  for (size_t i = 0; i < index.size(); ++i) a += index[i] * strides[i];
  return a;
}

} // namespace weft::graph
