#include "dialects/kernel/interpret.h"
#include "dialects/kernel/attention_errors.h"
#include "dialects/kernel/region_errors.h"
#include <algorithm>
#include <cfloat>
#include <limits>

using namespace mlir;
using weft::graph::addressOf;
using weft::graph::forEachIndex;
using weft::graph::HostTensor;
namespace weft::kernel {

using Operands = ArrayRef<const HostTensor *>;
using Results = MutableArrayRef<HostTensor>;
using Row = llvm::function_ref<void(const RegionInterpreter &)>;

static LogicalResult refuseDynamic(Operation *op, ArrayRef<int64_t> sizes) {
  bool dynamic = llvm::is_contained(sizes, kDynamic);
  for (AccessAttr a : SizeLayout(op).accesses) dynamic |= llvm::is_contained(a.getStrides(), kDynamic);
  if (dynamic)
    return op->emitOpError(
        "has sizes that only its launch knows; the interpreter runs kernels before they are outlined");
  return success();
}

namespace {
// One access: where its element at (row, column) lies, and whether that is inside the tensor.
struct Addresses {
  AccessAttr access;
  std::vector<double> *indices = nullptr; // of the indexing input, by column
  int64_t rowBase = 0;

  // `index`'s last entry is not read.
  void startRow(ArrayRef<int64_t> index) {
    rowBase = access.getOffset() + addressOf(index.drop_back(), access.getStrides().drop_back());
  }
  int64_t at(int64_t column) const {
    int64_t a = rowBase + column * access.getStrides().back();
    if (indices)
      a += std::clamp<int64_t>(int64_t((*indices)[column]), 0, access.getIndexLimit() - 1) *
           access.getIndexStride();
    return a;
  }
};

// Results under construction: which elements have been written.
struct Output {
  HostTensor &tensor;
  std::vector<bool> written;
  explicit Output(HostTensor &t) : tensor(t), written(t.values.size(), false) {}
};
} // namespace

static LogicalResult checkInside(Operation *op, const char *what, size_t i, int64_t address,
                                 const HostTensor &t) {
  if (address >= 0 && address < t.numElements()) return success();
  return op->emitOpError() << what << " access " << i << " reaches element " << address << " of "
                           << t.numElements();
}

static LogicalResult checkWritten(Operation *op, ArrayRef<Output> outputs) {
  for (auto [r, out] : llvm::enumerate(outputs))
    for (size_t i = 0; i < out.written.size(); ++i)
      if (!out.written[i])
        return op->emitOpError() << "never writes element " << i << " of result " << r
                                 << ", which has no init";
  return success();
}

// Loads the inputs' columns of a row into the region's arguments, indexing inputs first.
static LogicalResult loadRow(Operation *op, RegionInterpreter &region, MutableArrayRef<Addresses> inputs,
                             Operands tensors, ArrayRef<int64_t> index, int64_t columns) {
  for (bool indexed : {false, true})
    for (auto [i, in] : llvm::enumerate(inputs)) {
      if ((in.access.getIndex() >= 0) != indexed) continue;
      in.startRow(index);
      std::vector<double> &values = region.argument(i);
      values.resize(columns);
      for (int64_t c = 0; c < columns; ++c) {
        int64_t a = in.at(c);
        if (failed(checkInside(op, "input", i, a, *tensors[i]))) return failure();
        values[c] = tensors[i]->values[a];
      }
    }
  return success();
}

// Stores one yielded row. A value stored through column stride 0 must be the same at every column.
static LogicalResult storeRow(Operation *op, size_t i, const std::vector<double> &values, const Addresses &to,
                              Output &out) {
  bool fixed = to.access.getStrides().back() == 0;
  for (int64_t c = 0; c < int64_t(values.size()); ++c) {
    int64_t a = to.at(c);
    if (failed(checkInside(op, "output", i, a, out.tensor))) return failure();
    bool same = values[c] == values[0] || (std::isnan(values[c]) && std::isnan(values[0]));
    if (fixed && !same)
      return op->emitOpError() << "yields value " << i << " through column stride 0, but it is " << values[0]
                               << " at column 0 and " << values[c] << " at column " << c;
    out.tensor.values[a] = values[c];
    out.written[a] = true;
  }
  return success();
}

// What a chain of sums may be off by, while it is summed.
struct ChainErrors {
  std::vector<double> magnitude; // of what was added
  std::vector<int64_t> terms;
  explicit ChainErrors(const HostTensor &start) : terms(start.values.size(), 0) {
    for (double v : start.values) magnitude.push_back(std::fabs(v));
  }
};

static LogicalResult evaluateLoops(LoopsOp op, Operands operands, Results results, Results bounds, Row row) {
  if (failed(refuseDynamic(op, op.getDomain()))) return failure();
  RegionInterpreter region;
  if (failed(region.compile(op.getBody().front()))) return failure();
  std::optional<RegionErrors> errors;
  if (!bounds.empty()) errors.emplace(op.getBody().front(), region);
  int64_t numInputs = op.getInputs().size(), columns = op.getDomain().back();
  bool reduced = op.getReduceDims() > 0;

  std::vector<Output> outputs;
  for (HostTensor &r : results) outputs.emplace_back(r);
  if (reduced)
    for (Output &o : outputs) o.written.assign(o.written.size(), true); // sums start at zero
  for (auto [j, r] : llvm::enumerate(op.getInitResult())) {
    results[r].values = operands[numInputs + j]->values;
    outputs[r].written.assign(outputs[r].written.size(), true);
  }
  auto addresses = [&](Attribute a) -> FailureOr<Addresses> {
    auto access = cast<AccessAttr>(a);
    if (access.getIndex() < 0) return Addresses{access};
    if (access.getIndex() >= numInputs ||
        cast<AccessAttr>(op.getInputAccess()[access.getIndex()]).getIndex() >= 0)
      return op.emitOpError() << "is indexed by input " << access.getIndex()
                              << ", which should be an input that is not indexed itself";
    return Addresses{access, &region.argument(access.getIndex())};
  };
  SmallVector<Addresses> inputs, to;
  for (auto [list, out] : {std::pair{op.getInputAccess(), &inputs}, {op.getOutputAccess(), &to}})
    for (Attribute a : list) {
      auto access = addresses(a);
      if (failed(access)) return failure();
      out->push_back(*access);
    }

  std::vector<ChainErrors> chains;
  if (errors && reduced)
    for (HostTensor &r : results) chains.emplace_back(r);
  SmallVector<int64_t> rows(op.getDomain());
  rows.back() = columns > 0 ? 1 : 0;
  LogicalResult ok = success();
  forEachIndex(rows, [&](int64_t, ArrayRef<int64_t> index) {
    if (failed(ok) || failed(ok = loadRow(op, region, inputs, operands, index, columns))) return;
    region.run(index, columns);
    if (errors) errors->run(columns);
    if (row) row(region);
    for (size_t i = 0; i < to.size() && succeeded(ok); ++i) {
      Output &out = outputs[op.getYieldResult()[i]];
      to[i].startRow(index);
      int64_t r = op.getYieldResult()[i];
      if (!reduced) {
        ok = storeRow(op, i, region.yielded(i), to[i], out);
        for (int64_t c = 0; c < columns && errors && succeeded(ok); ++c)
          bounds[r].values[to[i].at(c)] = errors->yielded(i)[c];
        continue;
      }
      for (int64_t c = 0; c < columns && succeeded(ok); ++c) {
        int64_t a = to[i].at(c);
        if (failed(ok = checkInside(op, "output", i, a, out.tensor))) break;
        out.tensor.values[a] += region.yielded(i)[c];
        if (!errors) continue;
        bounds[r].values[a] += errors->yielded(i)[c];
        chains[r].magnitude[a] += std::fabs(region.yielded(i)[c]);
        ++chains[r].terms[a];
      }
    }
  });
  for (auto [r, chain] : llvm::enumerate(chains))
    for (size_t a = 0; a < chain.terms.size() && bounds[r].isFloat(); ++a)
      bounds[r].values[a] += sumError(chain.terms[a] + 1) * chain.magnitude[a] + kFlushed;
  return failed(ok) ? failure() : checkWritten(op, outputs);
}

// The operand as `access` sees it, in a row-major tensor of `shape`; an indexed one has its place
// `placeOf(i)` at i along `dim`.
static FailureOr<HostTensor> gathered(Operation *op, const char *what, size_t i, const HostTensor &t,
                                      AccessAttr access, ArrayRef<int64_t> shape, int64_t dim = 0,
                                      llvm::function_ref<int64_t(int64_t)> placeOf = nullptr) {
  HostTensor result = HostTensor::zeros(shape, t.element);
  LogicalResult ok = success();
  forEachIndex(shape, [&](int64_t linear, ArrayRef<int64_t> index) {
    int64_t a = access.getOffset() + addressOf(index, access.getStrides());
    if (access.getIndex() >= 0)
      a += access.getIndexStride() * std::clamp<int64_t>(placeOf(index[dim]), 0, access.getIndexLimit() - 1);
    if (succeeded(ok) && succeeded(ok = checkInside(op, what, i, a, t))) result.values[linear] = t.values[a];
  });
  if (failed(ok)) return failure();
  return result;
}

// Panels of 32 columns with pairs of k side by side, filled up with zeros, as (batch, k, n).
static HostTensor unpacked(const HostTensor &t, AccessAttr access, int64_t batch, int64_t k, int64_t n) {
  HostTensor result = HostTensor::zeros({batch, k, n}, t.element);
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; j < n; ++j) {
        int64_t panel = j / kPanelColumns, column = j % kPanelColumns;
        int64_t pair = panel * (int64_t(llvm::alignTo(k, kPanelDepth)) / 2) + i / 2;
        int64_t from =
            access.getOffset() + b * access.getStrides()[0] + (pair * kPanelColumns + column) * 2 + i % 2;
        result.values[(b * k + i) * n + j] = t.values[from];
      }
  return result;
}

static LogicalResult evaluateMatmul(MatmulOp op, Operands operands, Results results, Results bounds,
                                    Row row) {
  ArrayRef<int64_t> sizes = op.getSizes();
  if (failed(refuseDynamic(op, sizes))) return failure();
  RegionInterpreter region;
  if (failed(region.compile(op.getBody().front()))) return failure();
  std::optional<RegionErrors> errors;
  if (!bounds.empty()) errors.emplace(op.getBody().front(), region);
  int64_t batch = sizes[0], m = sizes[1], n = sizes[2], k = sizes[3];
  const HostTensor *init = op.getInit() ? operands[2] : nullptr;
  Operands extras = operands.drop_front(init ? 3 : 2);
  const HostTensor *groups = op.getGroups() ? extras[op.getExtras().size()] : nullptr;
  const HostTensor *table = op.getRows() ? extras.back() : nullptr;
  bool grouped = groups, byRows = grouped && op.getGrouped() == GroupedBy::m;
  auto entry = [](const HostTensor *t, AccessAttr access, int64_t i) {
    return int64_t(t->values[access.getOffset() + i * access.getStrides()[0]]);
  };
  auto placeOf = [&](int64_t i) { return entry(table, *op.getRowAccess(), i); };
  auto lhs = gathered(op, "lhs", 0, *operands[0], op.getLhsAccess(), {batch, m, k}, byRows ? 1 : 2, placeOf);
  auto rhs = gathered(op, "rhs", 0, *operands[1], op.getRhsAccess(), {batch, k, n}, 1, placeOf);
  if (failed(lhs) || failed(rhs)) return failure();
  if (op.getPackedRhs())
    rhs = unpacked(*operands[1], op.getRhsAccess(), batch, k, n); // within what was checked
  // What batch b computes: rows [rows[b], rows[b + 1]) of m, and the sum over [depths[b], depths[b + 1]).
  auto bound = [&](int64_t b, int64_t most) {
    return std::clamp<int64_t>(entry(groups, *op.getGroupAccess(), b), 0, most);
  };

  std::vector<Output> outputs;
  for (HostTensor &r : results) outputs.emplace_back(r);
  if (init) {
    results[0].values = init->values;
    outputs[0].written.assign(outputs[0].written.size(), true);
  }
  SmallVector<Addresses> from, to;
  for (AccessAttr a : op.getExtraAccess().getAsRange<AccessAttr>())
    from.push_back({a, a.getIndex() < 0 ? nullptr : &region.argument(a.getIndex() - 1)});
  for (Attribute a : op.getOutputAccess()) to.push_back({cast<AccessAttr>(a)});

  if (byRows) { // a row of no group is left as it is
    for (Output &o : outputs) o.written.assign(o.written.size(), true);
    for (HostTensor &b : bounds) b.values.assign(b.values.size(), std::numeric_limits<double>::quiet_NaN());
  }
  StringRef unit = op.getReduction() ? op.getReduction()->getUnit() : "fma";
  for (int64_t b = 0; b < batch; ++b) {
    int64_t firstRow = byRows ? bound(b, m) : 0, lastRow = byRows ? bound(b + 1, m) : m;
    int64_t firstK = grouped && !byRows ? bound(b, k) : 0, lastK = grouped && !byRows ? bound(b + 1, k) : k;
    for (int64_t i = firstRow; i < lastRow; ++i) {
      int64_t index[3] = {b, i, 0};
      std::vector<double> &acc = region.argument(0);
      acc.assign(n, 0);
      for (Addresses &a : to) a.startRow(index);
      if (init)
        for (int64_t j = 0; j < n; ++j) {
          if (failed(checkInside(op, "output", 0, to[0].at(j), *init))) return failure();
          acc[j] = init->values[to[0].at(j)];
        }
      if (errors) {
        std::vector<double> &sum = errors->argument(0); // of the magnitudes, first
        sum.resize(n);
        for (int64_t j = 0; j < n; ++j) sum[j] = std::fabs(acc[j]);
        for (int64_t p = firstK; p < lastK; ++p) {
          double l = std::fabs(lhs->values[(b * m + i) * k + p]);
          const double *r = rhs->values.data() + (b * k + p) * n;
          for (int64_t j = 0; j < n; ++j) sum[j] += l * std::fabs(r[j]);
        }
        double relative = sumError(productRoundings(unit, lastK - firstK));
        for (double &e : sum) e = e <= FLT_MAX ? relative * e + double(lastK - firstK) * kFlushed : INFINITY;
      }
      for (int64_t p = firstK; p < lastK; ++p) {
        double l = lhs->values[(b * m + i) * k + p];
        const double *r = rhs->values.data() + (b * k + p) * n;
        for (int64_t j = 0; j < n; ++j) acc[j] += l * r[j];
      }
      for (bool indexed : {false, true})
        for (auto [e, extra] : llvm::enumerate(from)) {
          if ((extra.indices != nullptr) != indexed) continue;
          extra.startRow(index);
          std::vector<double> &values = region.argument(1 + e);
          values.resize(n);
          for (int64_t j = 0; j < n; ++j) {
            if (failed(checkInside(op, "extra", e, extra.at(j), *extras[e]))) return failure();
            values[j] = extras[e]->values[extra.at(j)];
          }
        }
      region.run(index, n);
      if (errors) errors->run(n);
      if (row) row(region);
      for (size_t r = 0; r < to.size(); ++r) {
        if (failed(storeRow(op, r, region.yielded(r), to[r], outputs[r]))) return failure();
        for (int64_t j = 0; j < n && errors; ++j) bounds[r].values[to[r].at(j)] = errors->yielded(r)[j];
      }
    }
  }
  return checkWritten(op, outputs);
}

static LogicalResult evaluateSort(SortOp op, Operands operands, Results results) {
  if (failed(refuseDynamic(op, op.getSizes()))) return failure();
  ArrayRef<int64_t> z = op.getSizes();
  int64_t count = z[0] * z[1], run = std::max<int64_t>(1, z[0] / z[3]);
  std::vector<std::pair<int64_t, int64_t>> sorted; // group, choice
  for (int64_t i = 0; i < count; ++i) {
    int64_t expert = std::clamp<int64_t>(int64_t(operands[0]->values[i]), 0, z[2] - 1);
    sorted.push_back({expert * z[3] + i / z[1] / run, i});
  }
  std::ranges::sort(sorted);
  std::ranges::fill(results[3].values, 0.0);
  for (auto [p, entry] : llvm::enumerate(sorted)) {
    auto [group, choice] = entry;
    results[0].values[p] = double(choice);
    results[1].values[p] = double(choice / z[1]);
    results[2].values[choice] = double(p);
    for (size_t g = group + 1; g < results[3].values.size(); ++g) results[3].values[g] += 1;
  }
  return success();
}

static LogicalResult evaluateAttention(AttentionOp op, Operands operands, Results results, Results bounds) {
  if (failed(refuseDynamic(op, op.getSizes()))) return failure();
  ArrayRef<int64_t> z = op.getSizes();
  int64_t B = z[0], T = z[1], S = z[2], H = z[3], G = z[4], D = z[5], E = z[6];
  using Shape = SmallVector<int64_t>;
  Shape query{B, T, H, D}, out{B, T, H, E}, key{B, S, G, D}, value{B, S, G, E}, token{B, T}, head{B, T, H};
  Shape inputShapes[] = {query, key, value, token, token, head, head, out};
  SmallVector<HostTensor> in, dense;
  for (auto [i, x] : llvm::enumerate(operands)) {
    auto access = cast<AccessAttr>(op.getInputAccess()[i]);
    if (access.getStrides().size() != inputShapes[i].size())
      return op.emitOpError() << "input access " << i << " has " << access.getStrides().size()
                              << " strides when it should have " << inputShapes[i].size();
    auto t = gathered(op, "input", i, *x, access, inputShapes[i]);
    if (failed(t)) return failure();
    in.push_back(std::move(*t));
  }
  graph::HostAttention attention{in[0], in[1], in[2], in[3], in[4], op.getScale().convertToDouble()};
  auto zeros = [&](const Shape &shape) {
    dense.push_back(HostTensor::zeros(shape, results[0].element));
    return &dense.back();
  };
  dense.reserve(3);
  if (op.getKind() == AttentionKind::forward) {
    HostTensor *o = zeros(out), *lse = zeros(head);
    lse->element = results[1].element;
    attention.forward(*o, *lse);
  } else {
    HostTensor *dq = zeros(query), *dk = zeros(key), *dv = zeros(value);
    attention.backward(in[5], in[6], in[7], *dq, *dk, *dv);
    if (op.getKind() == AttentionKind::grad_query) dense.truncate(1);
    if (op.getKind() == AttentionKind::grad_key_value) dense.erase(dense.begin());
  }
  std::vector<HostTensor> denseBounds;
  if (!bounds.empty()) denseBounds = attentionErrors(op, attention, ArrayRef(in).drop_front(5), dense);

  std::vector<Output> outputs;
  for (HostTensor &r : results) outputs.emplace_back(r);
  for (auto [i, d] : llvm::enumerate(dense)) {
    auto access = cast<AccessAttr>(op.getOutputAccess()[i]);
    if (access.getStrides().size() != d.shape.size())
      return op.emitOpError() << "output access " << i << " has " << access.getStrides().size()
                              << " strides when it should have " << d.shape.size();
    LogicalResult ok = success();
    forEachIndex(d.shape, [&](int64_t linear, ArrayRef<int64_t> index) {
      int64_t a = access.getOffset() + addressOf(index, access.getStrides());
      if (failed(ok) || failed(ok = checkInside(op, "output", i, a, results[i]))) return;
      results[i].values[a] = d.values[linear];
      outputs[i].written[a] = true;
      if (!denseBounds.empty()) bounds[i].values[a] = denseBounds[i].values[linear];
    });
    if (failed(ok)) return failure();
  }
  return checkWritten(op, outputs);
}

LogicalResult evaluate(Operation *op, Operands operands, Results results, Results bounds, Row row) {
  if (isa<EmptyOp>(op)) { // undefined: whoever reads what nobody wrote gets NaN
    results[0].values.assign(results[0].values.size(), std::numeric_limits<double>::quiet_NaN());
    return success();
  }
  if (auto loops = dyn_cast<LoopsOp>(op)) return evaluateLoops(loops, operands, results, bounds, row);
  if (auto matmul = dyn_cast<MatmulOp>(op)) return evaluateMatmul(matmul, operands, results, bounds, row);
  if (auto sort = dyn_cast<SortOp>(op)) return evaluateSort(sort, operands, results);
  if (auto attention = dyn_cast<AttentionOp>(op))
    return evaluateAttention(attention, operands, results, bounds);
  return op->emitOpError("is not a kernel that the interpreter knows");
}

} // namespace weft::kernel
