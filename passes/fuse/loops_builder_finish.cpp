// A kernel of what has been built: its results, the dimensions it keeps, and, of an epilogue, a product's.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/fuse/loops_builder.h"
#include "passes/fuse/scalar_code.h"

using namespace mlir;
namespace weft {

int LoopsBuilder::addResult(RankedTensorType type, Value init) {
  results.push_back(type);
  if (init) {
    inits.push_back(init);
    initResult.push_back(results.size() - 1);
  }
  return results.size() - 1;
}

void LoopsBuilder::yield(Value scalar, int result, int64_t offset, ArrayRef<int64_t> strides, int64_t index,
                         int64_t indexStride, int64_t indexLimit) {
  Access a{offset, SmallVector<int64_t>(strides), index, indexStride, indexLimit};
  for (auto [stride, size] : llvm::zip(a.strides, domain))
    if (size == 1) stride = 0;
  yields.push_back({scalar, result, a});
}

kernel::AccessAttr LoopsBuilder::attribute(const Access &a, ArrayRef<int64_t> keep) const {
  SmallVector<int64_t> strides;
  for (int64_t d : keep) strides.push_back(a.strides[d]);
  return kernel::AccessAttr::get(loc.getContext(), a.offset, strides, a.index, a.indexStride, a.indexLimit);
}

bool LoopsBuilder::columnIsShort() const {
  if (domain.size() < 2 || domain.back() < 2 || domain.back() > 4 ||
      domain[domain.size() - 2] < 2 * domain.back())
    return false;
  auto splits = [&](const Access &a) {
    return a.strides[domain.size() - 2] != a.strides.back() * domain.back();
  };
  return llvm::any_of(inputs, [&](const auto &in) { return splits(in.second); });
}

int64_t LoopsBuilder::closestDimension() const {
  int64_t best = int64_t(domain.size()) - 2;
  if (inputs.empty()) return best;
  ArrayRef<int64_t> strides = inputs[0].second.strides;
  for (int64_t d = best; d >= 0; --d)
    if (domain[d] > 1 && strides[d] > 0 && strides[d] < strides[best]) best = d;
  return best;
}

std::optional<ProductEpilogue> LoopsBuilder::finishProduct(std::array<int64_t, 3> groups) {
  SmallVector<int64_t> groupOf;
  for (auto [g, count] : llvm::enumerate(groups)) groupOf.append(count, g);
  if (unitColumn) return std::nullopt;
  for (auto &[value, a] : inputs)
    if (a.index >= 0 && !graph::tensorType(inputs[a.index].first).getElementType().isInteger(32))
      return std::nullopt; // a product's indices are i32
  auto collapse = [&](const Access &a) -> kernel::AccessAttr {
    int64_t strides[3] = {0, 0, 0}, extent[3] = {1, 1, 1};
    for (int64_t d = int64_t(domain.size()) - 1; d >= 0; --d) {
      if (domain[d] == 1) continue;
      int64_t g = groupOf[d];
      if (extent[g] == 1)
        strides[g] = a.strides[d];
      else if (a.strides[d] != strides[g] * extent[g])
        return {};
      extent[g] *= domain[d];
    }
    // Input i is buffer i + 1: the product is none, its factors are two.
    int64_t index = a.index < 0 ? -1 : a.index + 1;
    return kernel::AccessAttr::get(loc.getContext(), a.offset, strides, index, a.indexStride, a.indexLimit);
  };
  ProductEpilogue epilogue;
  for (auto [i, in] : llvm::enumerate(inputs)) {
    auto access = collapse(in.second);
    if (!access) return std::nullopt;
    if (i == 0) continue; // the product
    epilogue.extras.push_back(in.first);
    epilogue.extraAccess.push_back(access);
  }
  SmallVector<Value> values;
  for (auto &[value, result, a] : yields) {
    auto access = collapse(a);
    if (!access) return std::nullopt;
    values.push_back(value);
    epilogue.outputAccess.push_back(access);
  }
  for (auto index : block->getOps<kernel::IndexOp>()) {
    int64_t g = groupOf[index.getDimension()];
    for (int64_t d = 0; d < int64_t(domain.size()); ++d)
      if (groupOf[d] == g && domain[d] != 1 && d != int64_t(index.getDimension())) return std::nullopt;
    index.setDimension(g);
  }
  b.create<kernel::YieldOp>(loc, values);
  epilogue.locations.assign(locations.begin(), locations.end());
  epilogue.body.reset(block);
  block = nullptr;
  return epilogue;
}

kernel::LoopsOp LoopsBuilder::finish(OpBuilder &at, int64_t reduceDims) {
  // Merge dimension d with d + 1 where every access steps over d + 1's whole extent; drop unit dimensions.
  bool rowReduction = !block->getOps<kernel::ReduceOp>().empty();
  SmallVector<int64_t> sizes(domain);
  SmallVector<int64_t> keep; // original dimensions whose strides survive
  SmallVector<int64_t> newDim(domain.size(), 0);
  int64_t last = domain.size() - 1, numReduced = 0;
  SmallVector<Access *> all;
  for (auto &[v, a] : inputs) all.push_back(&a);
  for (auto &[v, r, a] : yields) all.push_back(&a);
  auto mergeable = [&](int64_t outer, int64_t inner) { // outer directly encloses inner
    if (indexedDims.contains(outer) || indexedDims.contains(inner)) return false;
    if (inner == last && rowReduction) return false;
    if ((outer < reduceDims) != (inner < reduceDims)) return false;
    return llvm::all_of(all,
                        [&](Access *a) { return a->strides[outer] == a->strides[inner] * sizes[inner]; });
  };
  SmallVector<int64_t> dims;
  for (int64_t d = 0; d <= last; ++d)
    if (domain[d] != 1 || d == last || indexedDims.contains(d)) dims.push_back(d);
  SmallVector<int64_t> mergedSizes;
  for (int64_t i = int64_t(dims.size()) - 1; i >= 0; --i) {
    int64_t d = dims[i];
    // A unit column (nothing varies along it) takes in its neighbour where that is allowed.
    if (!keep.empty() && sizes[keep.back()] == 1 && keep.back() == last && !rowReduction &&
        !indexedDims.contains(last) && !unitColumn && d >= reduceDims &&
        llvm::none_of(all, [&](Access *a) { return a->index >= 0; }) && domain.back() == 1) {
      keep.back() = d;
      mergedSizes.back() = sizes[d];
      continue;
    }
    if (!keep.empty() && mergeable(d, keep.back())) {
      // Keep the inner strides; the extent grows.
      sizes[keep.back()] *= sizes[d];
      mergedSizes.back() = sizes[keep.back()];
      continue;
    }
    keep.push_back(d);
    mergedSizes.push_back(sizes[d]);
  }
  std::reverse(keep.begin(), keep.end());
  std::reverse(mergedSizes.begin(), mergedSizes.end());
  // A reduction over unit dimensions only still has one to reduce.
  if (reduceDims > 0 && keep.front() >= reduceDims) {
    keep.insert(keep.begin(), 0);
    mergedSizes.insert(mergedSizes.begin(), 1);
  }
  for (auto [i, d] : llvm::enumerate(keep)) {
    newDim[d] = i;
    if (d < reduceDims) ++numReduced;
  }
  for (auto index : block->getOps<kernel::IndexOp>()) index.setDimension(newDim[index.getDimension()]);

  SmallVector<Attribute> inputAccess, outputAccess;
  SmallVector<Value> inputValues, yieldValues;
  SmallVector<int64_t> yieldResult;
  for (auto &[v, a] : inputs) {
    inputValues.push_back(v);
    inputAccess.push_back(attribute(a, keep));
  }
  for (auto &[v, r, a] : yields) {
    // A sum to one column: any stride will do, and column sums want one that is not 0.
    if (numReduced > 0 && mergedSizes.back() == 1 && a.strides[keep.back()] == 0) a.strides[keep.back()] = 1;
    yieldValues.push_back(v);
    yieldResult.push_back(r);
    outputAccess.push_back(attribute(a, keep));
  }
  b.create<kernel::YieldOp>(loc, yieldValues);
  SmallVector<Type> types(results.begin(), results.end());
  SmallVector<Location> covered(locations.begin(), locations.end());
  Location where = covered.empty() ? loc : FusedLoc::get(loc.getContext(), covered);
  auto op = at.create<kernel::LoopsOp>(where, types, inputValues, inits, at.getDenseI64ArrayAttr(mergedSizes),
                                       at.getArrayAttr(inputAccess), at.getArrayAttr(outputAccess),
                                       at.getDenseI64ArrayAttr(yieldResult),
                                       at.getDenseI64ArrayAttr(initResult), at.getI64IntegerAttr(numReduced),
                                       kernel::ReductionAttr(), kernel::ScheduleAttr());
  op.getBody().push_back(block);
  block = nullptr;
  return op;
}

} // namespace weft
