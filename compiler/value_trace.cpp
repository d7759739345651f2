#include "compiler/value_trace.h"
#include "compiler/op_origin.h"
#include "dialects/graph/graph.h"
#include <cmath>

using namespace mlir;
using weft::graph::HostTensor;
namespace weft {
namespace {

// Within [-1, 1) for (sum, element): the finaliser of SplitMix64.
double weight(uint64_t sum, uint64_t i) {
  uint64_t z = (sum + 1) * 0x9E3779B97F4A7C15u + i * 0xD1B54A32D192ED03u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return double(int64_t(z ^ z >> 31)) * 0x1p-63;
}

// What is no number is one all the same, so that two of the kind are equal.
double finite(double v) { return std::isnan(v) ? 3e37 : std::isinf(v) ? (v > 0 ? 7e37 : -7e37) : v; }

int64_t count(ArrayRef<int64_t> shape) { return graph::numElements(shape); }

} // namespace

int64_t ValueTrace::valueOf(const HostTensor *t) {
  auto [it, fresh] = present.try_emplace(t, values.size());
  if (fresh) values.emplace_back();
  return it->second;
}

void ValueTrace::made(const HostTensor *from, const HostTensor *to) {
  Value v;
  v.from = {valueOf(from)};
  present[to] = values.size();
  values.push_back(std::move(v));
}

void ValueTrace::added(const HostTensor *part, const HostTensor *to) {
  Value v;
  v.from = {valueOf(to), valueOf(part)};
  present[to] = values.size();
  values.push_back(std::move(v));
}

void ValueTrace::after(Operation *op, ArrayRef<const HostTensor *> operands,
                       ArrayRef<const HostTensor *> results) {
  std::vector<int64_t> from;
  for (const HostTensor *t : operands) from.push_back(valueOf(t));
  if (isa<func::ReturnOp>(op)) returned.assign(from.begin(), from.end());
  if (auto write = dyn_cast<graph::WriteOp>(op)) written[write.getVariable().str()] = from[0];
  for (auto [i, t] : llvm::enumerate(results)) {
    // What passes a value on (a collective of one rank) makes none.
    if (llvm::is_contained(operands, t)) continue;
    Value v;
    v.op = op;
    v.result = i;
    v.from = from;
    v.shape = t->shape;
    v.least = INFINITY, v.most = -INFINITY;
    double squares = 0, sum = 0;
    for (size_t e = 0; e < t->values.size(); ++e) {
      double x = finite(t->values[e]);
      v.least = std::min(v.least, x), v.most = std::max(v.most, x);
      sum += x, squares += x * x;
      for (uint64_t s = 0; s < 3; ++s) v.sums[s] += x * weight(s, e);
    }
    double n = std::max<double>(1, double(t->values.size()));
    v.mean = sum / n, v.rms = std::sqrt(squares / n);
    if (t->values.empty()) v.least = v.most = 0;
    present[t] = values.size();
    values.push_back(std::move(v));
  }
}

bool ValueTrace::knows(const Value &v, double tolerance) const {
  double scale = std::max(std::fabs(v.least), std::fabs(v.most)), near = tolerance * scale;
  double nearSums = near * std::sqrt(double(std::max<int64_t>(1, count(v.shape))));
  auto close = [](double a, double b, double by) { return std::fabs(a - b) <= by; };
  for (const Value &w : values) {
    if (!w.op || !close(v.least, w.least, near) || !close(v.most, w.most, near) ||
        !close(v.rms, w.rms, near) || !close(v.mean, w.mean, near))
      continue;
    if (count(v.shape) != count(w.shape)) return true; // repeated, or one of its repetitions
    bool sameOrder = true;
    for (int s = 0; s < 3; ++s) sameOrder &= close(v.sums[s], w.sums[s], nearSums);
    if (sameOrder || v.shape != w.shape) return true;
  }
  return false;
}

std::string ValueTrace::firstFault(const ValueTrace &before, const ValueTrace &after,
                                   ArrayRef<int64_t> results, ArrayRef<std::string> variables,
                                   double tolerance) {
  size_t n = after.values.size();
  // What the ends that differ are computed from.
  std::vector<bool> needed(n, false), known(n, false), leads(n, false);
  for (int64_t r : results)
    if (r < int64_t(after.returned.size())) needed[after.returned[r]] = true;
  for (const std::string &name : variables)
    if (auto it = after.written.find(name); it != after.written.end()) needed[it->second] = true;
  for (size_t i = n; i-- > 0;)
    if (needed[i])
      for (int64_t f : after.values[i].from) needed[f] = true;
  for (size_t i = 0; i < n; ++i) known[i] = !after.values[i].op || before.knows(after.values[i], tolerance);
  // What something known is computed from. Where all elements are equal there is nothing to know it by.
  for (size_t i = n; i-- > 0;) {
    const Value &v = after.values[i];
    bool tells = v.op && v.least != v.most;
    if (!(known[i] && tells) && !leads[i]) continue;
    for (int64_t f : v.from) leads[f] = true;
  }
  auto first = [&](bool strict) {
    for (size_t i = 0; i < n; ++i)
      if (needed[i] && !known[i] && !(strict && leads[i])) return int64_t(i);
    return int64_t(-1);
  };
  int64_t at = first(true);
  if (at < 0) at = first(false);
  if (at < 0) return "";
  const Value &v = after.values[at];
  auto place = [](Operation *op) {
    std::string text = op->getName().getStringRef().str() + ", that is " + originsText(op->getLoc(), 4);
    if (auto f = op->getParentOfType<func::FuncOp>()) text += ", in @" + f.getSymName().str();
    return text;
  };
  auto numbers = [](const Value &x) {
    std::string shape;
    for (int64_t d : x.shape) shape += (shape.empty() ? "" : ", ") + std::to_string(d);
    char text[120];
    snprintf(text, sizeof text, "from %.6g to %.6g, mean %.6g, root mean square %.6g", x.least, x.most,
             x.mean, x.rms);
    return std::string("(").append(shape).append(") ").append(text);
  };
  std::string text =
      "the first op whose result is not what it was: " + place(v.op) + "\n  gives " + numbers(v);
  // What the op of its place gave, where no op of the later program gives that any more.
  auto origins = originsOf(v.op->getLoc());
  for (const Value &w : before.values) {
    if (!w.op || count(w.shape) != count(v.shape)) continue;
    bool shares = llvm::any_of(originsOf(w.op->getLoc()), [&](const OpOrigin &o) {
      return llvm::any_of(origins, [&](const OpOrigin &p) {
        return o.file == p.file && o.line == p.line && o.path == p.path;
      });
    });
    if (!shares || after.knows(w, tolerance)) continue;
    return text + "\n  before it, " + place(w.op) + "\n  gave " + numbers(w);
  }
  return text;
}

} // namespace weft
