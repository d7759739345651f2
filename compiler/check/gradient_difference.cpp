#include "compiler/check/gradient_difference.h"
#include "dialects/graph/graph.h"
#include <cmath>
#include <random>

using namespace mlir;
using weft::graph::HostTensor;
namespace weft {
namespace {

constexpr double kStep = 1e-5;      // h, of an argument's root mean square
constexpr double kTolerance = 1e-5; // of what a slope along a random direction is like
constexpr double kRoundoff = 1e-13; // of the function's value, before it is divided by h
constexpr int kTries = 3;           // other directions, shorter steps: a kink is met by few of them

// Makes integers, what is behind stop_gradient, and which of two or which sign was taken what they were in
// the first run.
class Replay : public UnroundedCasts {
public:
  using UnroundedCasts::UnroundedCasts;
  void change(Operation *op, ArrayRef<const HostTensor *> operands,
              MutableArrayRef<HostTensor> results) override {
    UnroundedCasts::change(op, operands, results);
    if (isa<graph::MaxOp, graph::MinOp, graph::AbsOp>(op) && results[0].isFloat())
      return takeBranch(operands, results[0]);
    for (HostTensor &t : results) {
      if (t.isFloat() && !isa<graph::StopGradientOp>(op)) continue;
      if (recording)
        kept.push_back(t.values);
      else
        t.values = kept[next++];
    }
  }
  void again() {
    recording = false;
    next = 0;
  }

private:
  // Of the operands (abs: x and -x) the one that the result was.
  void takeBranch(ArrayRef<const HostTensor *> operands, HostTensor &result) {
    auto branch = [&](size_t i, bool second) {
      return !second               ? operands[0]->values[i]
             : operands.size() > 1 ? operands[1]->values[i]
                                   : -operands[0]->values[i];
    };
    if (recording) kept.emplace_back(result.values.size());
    std::vector<double> &second = recording ? kept.back() : kept[next++];
    for (size_t i = 0; i < result.values.size(); ++i) {
      if (recording) second[i] = branch(i, false) != result.values[i];
      result.values[i] = branch(i, second[i] != 0);
    }
  }

  std::vector<std::vector<double>> kept;
  size_t next = 0;
  bool recording = true;
};

double rms(const HostTensor &t) {
  double sum = 0;
  for (double v : t.values) sum += v * v;
  return t.values.empty() ? 0 : std::sqrt(sum / double(t.values.size()));
}

class Difference {
public:
  Difference(const GradientSite &site, uint64_t seed, GradientRunner &runner)
      : site(site), seed(seed), runner(runner), replay(runner) {}

  FailureOr<WrongGradient> wrong() {
    UnroundedCasts observer(runner);
    auto made = runner.run(site.function, site.wrt, site.args, &observer);
    if (failed(made)) return failure();
    gradients.assign(made->end() - site.wrt.size(), made->end());
    auto value = at(site.args);
    if (failed(value)) return failure();
    level = *value;
    auto finite = [](const HostTensor &t) {
      return llvm::all_of(t.values, [](double v) { return std::isfinite(v); });
    };
    out.finite = std::isfinite(level) && llvm::all_of(gradients, finite);
    if (!out.finite) return out;
    auto all = llvm::to_vector(llvm::seq<size_t>(0, site.wrt.size()));
    auto together = agree(all);
    if (failed(together)) return failure();
    if (*together) return out;
    for (size_t i : all) {
      auto alone = agree({i});
      if (failed(alone)) return failure();
      if (!*alone) out.which.push_back(i);
    }
    if (out.which.empty()) out.which = all;
    return out;
  }

private:
  FailureOr<double> at(ArrayRef<HostTensor> args) {
    graph::Variables none;
    auto results = graph::interpret(site.function, args, none, {false, &replay});
    replay.again();
    if (failed(results)) return failure();
    return (*results)[0].values[0];
  }

  FailureOr<bool> agree(ArrayRef<size_t> which) {
    double step = kStep;
    for (int i = 0; i < kTries; ++i, step /= 10) {
      auto now = agree(which, seed + i, step);
      if (failed(now) || *now) return now;
    }
    return false;
  }
  // Along one direction over these arguments, each moved by a part of itself.
  FailureOr<bool> agree(ArrayRef<size_t> which, uint64_t direction, double step) {
    std::mt19937_64 random(direction);
    SmallVector<HostTensor> forth = site.args, back = site.args;
    double slope = 0, squares = 0;
    for (size_t i : which) {
      const HostTensor &x = site.args[site.wrt[i]];
      const double scale = rms(x) > 0 ? rms(x) : 1;
      for (size_t j = 0; j < x.values.size(); ++j) {
        double v = random() >> 63 ? scale : -scale;
        forth[site.wrt[i]].values[j] += step * v;
        back[site.wrt[i]].values[j] -= step * v;
        slope += gradients[i].values[j] * v;
      }
      double g = rms(gradients[i]) * scale;
      squares += g * g * double(x.values.size());
    }
    auto high = at(forth), low = at(back);
    if (failed(high) || failed(low)) return failure();
    const double difference = (*high - *low) / (2 * step);
    const bool fine =
        std::fabs(difference - slope) <=
        kTolerance * std::sqrt(squares) + kRoundoff * std::fabs(level) / step; // false for a NaN
    if (!fine) out.given = slope, out.measured = difference;
    return fine;
  }

  const GradientSite &site;
  uint64_t seed;
  GradientRunner &runner;
  Replay replay;
  SmallVector<HostTensor> gradients; // as `differentiate` makes them
  double level = 0;                  // the function's value
  WrongGradient out;
};

} // namespace

FailureOr<bool> UnroundedCasts::runInstead(Operation *op, ArrayRef<const HostTensor *> operands,
                                           MutableArrayRef<HostTensor> results) {
  auto gradient = dyn_cast<graph::ValueAndGradOp>(op);
  if (!gradient) return false;
  if (failed(gradients.run(gradient, operands, results, this))) return failure();
  return true;
}

void UnroundedCasts::change(Operation *op, ArrayRef<const HostTensor *> operands,
                            MutableArrayRef<HostTensor> results) {
  if (isa<graph::CastOp>(op) && operands[0]->isFloat() && results[0].isFloat())
    results[0].values = operands[0]->values;
}

std::string WrongGradient::numbers() const {
  char text[120];
  std::snprintf(text, sizeof text, "%.9g when finite differences give %.9g", given, measured);
  return text;
}

FailureOr<WrongGradient> wrongGradient(const GradientSite &site, uint64_t seed, GradientRunner &gradients) {
  return Difference(site, seed, gradients).wrong();
}

} // namespace weft
