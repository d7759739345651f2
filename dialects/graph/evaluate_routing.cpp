// Reference evaluation of choosing, sorting by expert and products with each expert's matrix.
#include "dialects/graph/graph.h"
#include <algorithm>
#include <cmath>
#include <numeric>

using namespace mlir;
namespace weft::graph {

using Operands = ArrayRef<const HostTensor *>;
using Results = MutableArrayRef<HostTensor>;

LogicalResult TopKOp::evaluate(Operands x, Results y) {
  int64_t width = x[0]->shape.back(), k = getK(), rows = x[0]->numElements() / std::max<int64_t>(1, width);
  std::vector<int64_t> order(width);
  for (int64_t r = 0; r < rows; ++r) {
    const double *row = x[0]->values.data() + r * width;
    bool nan = std::any_of(row, row + width, [](double v) { return std::isnan(v); });
    std::iota(order.begin(), order.end(), 0);
    if (!nan) std::ranges::stable_sort(order, [&](int64_t a, int64_t b) { return row[a] > row[b]; });
    for (int64_t j = 0; j < k; ++j) {
      y[0].values[r * k + j] = nan ? NAN : row[order[j]];
      y[1].values[r * k + j] = double(order[j]);
    }
  }
  return success();
}

LogicalResult SortByExpertOp::evaluate(Operands x, Results y) {
  const HostTensor &indices = *x[0];
  int64_t tokens = indices.shape[0], k = indices.shape[1], count = tokens * k, experts = getExperts(),
          segments = getSegments();
  auto group = [&](int64_t choice) {
    int64_t expert = std::clamp<int64_t>(int64_t(indices.values[choice]), 0, experts - 1);
    return expert * segments + choice / k / (tokens / segments);
  };
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) { return group(a) < group(b); });
  std::vector<double> &offsets = y[3].values;
  std::ranges::fill(offsets, 0.0);
  for (int64_t p = 0; p < count; ++p) {
    y[0].values[p] = double(order[p]);
    y[1].values[p] = double(order[p] / k);
    y[2].values[order[p]] = double(p);
    for (int64_t g = group(order[p]) + 1; g < int64_t(offsets.size()); ++g) offsets[g] += 1;
  }
  return success();
}

LogicalResult DispatchOp::evaluate(Operands x, Results y) {
  int64_t tokens = x[0]->shape[0], width = numElements(ArrayRef(x[0]->shape).drop_front());
  for (int64_t r = 0; r < x[1]->numElements(); ++r) {
    int64_t n = std::clamp<int64_t>(int64_t(x[1]->values[r]), 0, tokens - 1);
    std::copy_n(x[0]->values.begin() + n * width, width, y[0].values.begin() + r * width);
  }
  return success();
}
LogicalResult CollectOp::evaluate(Operands x, Results y) {
  int64_t rows = x[0]->shape[0], width = numElements(ArrayRef(x[0]->shape).drop_front()), k = x[1]->shape[1];
  for (int64_t i = 0; i < x[1]->numElements(); ++i) {
    int64_t r = std::clamp<int64_t>(int64_t(x[1]->values[i]), 0, rows - 1);
    for (int64_t c = 0; c < width; ++c) y[0].values[i / k * width + c] += x[0]->values[r * width + c];
  }
  return success();
}

LogicalResult GroupedMatmulOp::evaluate(Operands x, Results y) {
  const HostTensor &lhs = *x[0], &rhs = *x[1], &offsets = *x[2];
  int64_t rows = lhs.shape[0], k = lhs.shape[1], n = y[0].shape[1], experts = rhs.shape[0],
          segments = (offsets.numElements() - 1) / experts;
  auto at = [&](int64_t g) { return std::clamp<int64_t>(int64_t(offsets.values[g]), 0, rows); };
  for (int64_t e = 0; e < experts; ++e)
    for (int64_t r = at(e * segments); r < at((e + 1) * segments); ++r)
      for (int64_t p = 0; p < k; ++p)
        for (int64_t j = 0; j < n; ++j)
          y[0].values[r * n + j] +=
              lhs.values[r * k + p] * rhs.values[e * k * n + (getTransposeRhs() ? j * k + p : p * n + j)];
  return success();
}
LogicalResult GroupedOuterOp::evaluate(Operands x, Results y) {
  const HostTensor &lhs = *x[0], &rhs = *x[1], &offsets = *x[2];
  int64_t rows = lhs.shape[0], m = lhs.shape[1], n = rhs.shape[1];
  if (x.size() > 3) y[0].values = x[3]->values;
  auto at = [&](int64_t g) { return std::clamp<int64_t>(int64_t(offsets.values[g]), 0, rows); };
  for (int64_t g = 0; g + 1 < offsets.numElements(); ++g)
    for (int64_t r = at(g); r < at(g + 1); ++r)
      for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j)
          y[0].values[(g * m + i) * n + j] += lhs.values[r * m + i] * rhs.values[r * n + j];
  return success();
}

} // namespace weft::graph
