#include "compiler/check/value_trace.h"
#include "compiler/check/op_origin.h"
#include "dialects/dist/dist.h"
#include "dialects/graph/graph.h"
#include "dialects/kernel/interpret.h"
#include "dialects/kernel/interpret_region.h"
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

class ValueTrace::Gathered {
public:
  void add(double x) {
    least = std::min(least, x), most = std::max(most, x);
    sum += x, squares += x * x, n += 1;
  }
  Numbers numbers() const {
    if (n == 0) return {};
    return {least, most, sum / n, std::sqrt(squares / n)};
  }

private:
  double least = INFINITY, most = -INFINITY, sum = 0, squares = 0, n = 0;
};

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
  if (isa<dist::SendOp>(op)) sent.push_back(from[0]);
  if (auto write = dyn_cast<graph::WriteOp>(op)) written[write.getVariable().str()] = from[0];
  for (auto [i, t] : llvm::enumerate(results)) {
    // What passes a value on (a collective of one rank) makes none.
    if (llvm::is_contained(operands, t)) continue;
    Value v;
    v.op = op;
    v.result = i;
    v.from = from;
    v.shape = t->shape;
    Gathered gathered;
    for (size_t e = 0; e < t->values.size(); ++e) {
      double x = finite(t->values[e]);
      gathered.add(x);
      for (uint64_t s = 0; s < 3; ++s) v.sums[s] += x * weight(s, e);
    }
    static_cast<Numbers &>(v) = gathered.numbers();
    present[t] = values.size();
    values.push_back(std::move(v));
  }
  // Of the ops within a kernel, too: run once more.
  if (results.empty() || !isa<kernel::LoopsOp, kernel::MatmulOp>(op)) return;
  SmallVector<HostTensor> again;
  for (const HostTensor *t : results) again.push_back(HostTensor::zeros(t->shape, t->element));
  std::vector<Gathered> ops;
  Block &body = op->getRegion(0).front();
  if (failed(kernel::evaluate(op, operands, again, {}, [&](const kernel::RegionInterpreter &region) {
        size_t n = 0;
        for (Operation &o : body.without_terminator()) {
          if (n == ops.size()) ops.emplace_back();
          for (double x : region.valueOf(o.getResult(0))) ops[n].add(finite(x));
          ++n;
        }
      })))
    return;
  for (auto [o, gathered] : llvm::zip(body.without_terminator(), ops))
    values.back().region.push_back({&o, gathered.numbers()});
}

bool ValueTrace::Numbers::near(const Numbers &w, double tolerance) const {
  double by = tolerance * std::max(std::fabs(least), std::fabs(most));
  auto close = [&](double a, double b) { return std::fabs(a - b) <= by; };
  return close(least, w.least) && close(most, w.most) && close(mean, w.mean) && close(rms, w.rms);
}

bool ValueTrace::knows(const Numbers &n, double tolerance) const {
  return llvm::any_of(values, [&](const Value &w) {
    return (w.op && n.near(w, tolerance)) ||
           llvm::any_of(w.region, [&](auto &o) { return n.near(o.second, tolerance); });
  });
}

bool ValueTrace::knows(const Value &v, double tolerance) const {
  double scale = std::max(std::fabs(v.least), std::fabs(v.most));
  double by = tolerance * scale * std::sqrt(double(std::max<int64_t>(1, count(v.shape))));
  for (const Value &w : values) {
    if (!w.op || !v.near(w, tolerance)) continue;
    if (count(v.shape) != count(w.shape)) return true; // repeated, or one of its repetitions
    bool sameOrder = true;
    for (int s = 0; s < 3; ++s) sameOrder &= std::fabs(v.sums[s] - w.sums[s]) <= by;
    if (sameOrder || v.shape != w.shape) return true;
  }
  return false;
}

Operation *ValueTrace::firstOfRegion(const Value &kernel, double tolerance) const {
  llvm::DenseSet<Operation *> leads;
  SmallVector<bool> known;
  for (auto &[op, numbers] : kernel.region) known.push_back(knows(numbers, tolerance));
  for (size_t i = kernel.region.size(); i-- > 0;) {
    auto &[op, numbers] = kernel.region[i];
    if (!leads.contains(op) && !(known[i] && numbers.least != numbers.most)) continue;
    for (mlir::Value v : op->getOperands())
      if (Operation *from = v.getDefiningOp()) leads.insert(from);
  }
  for (auto [i, item] : llvm::enumerate(kernel.region))
    if (!known[i] && !leads.contains(item.first)) return item.first;
  return nullptr;
}

std::string ValueTrace::firstFault(const ValueTrace &before, const ValueTrace &after,
                                   ArrayRef<int64_t> results, ArrayRef<std::string> variables,
                                   double tolerance, bool *restsOnReceived) {
  size_t n = after.values.size();
  // What the ends that differ are computed from.
  std::vector<bool> needed(n, false), known(n, false), leads(n, false);
  for (int64_t r : results)
    if (r < int64_t(after.returned.size())) needed[after.returned[r]] = true;
  for (const std::string &name : variables)
    if (auto it = after.written.find(name); it != after.written.end()) needed[it->second] = true;
  for (int64_t s : after.sent) needed[s] = true;
  for (size_t i = n; i-- > 0;)
    if (needed[i])
      for (int64_t f : after.values[i].from) needed[f] = true;
  // What another stage has sent is that one's fault.
  auto isGiven = [](Operation *op) { return !op || isa<dist::DistDialect>(op->getDialect()); };
  for (size_t i = 0; i < n; ++i)
    known[i] = isGiven(after.values[i].op) || before.knows(after.values[i], tolerance);
  // What something known is computed from. Where all elements are equal there is nothing to know it by.
  for (size_t i = n; i-- > 0;) {
    const Value &v = after.values[i];
    bool tells = !isGiven(v.op) && v.least != v.most;
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
  if (restsOnReceived) {
    std::vector<bool> under(n, false);
    under[at] = true;
    *restsOnReceived = false;
    for (size_t i = size_t(at) + 1; i-- > 0;) {
      const Value &w = after.values[i];
      if (!under[i]) continue;
      *restsOnReceived |= w.op && isGiven(w.op) && !before.knows(w, tolerance);
      for (int64_t f : w.from) under[f] = true;
    }
  }
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
  if (Operation *inside = before.firstOfRegion(v, tolerance))
    text += "\n  in its region the first is " + inside->getName().getStringRef().str() + ", that is " +
            originsText(inside->getLoc(), 4);
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
