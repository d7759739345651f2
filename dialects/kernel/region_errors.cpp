#include "dialects/kernel/region_errors.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"
#include <algorithm>
#include <cfloat>
#include <cmath>

using namespace mlir;
namespace weft::kernel {
namespace {

constexpr double kUnknown = INFINITY;
using Values = ArrayRef<double>;

// Units in the last place of f32 at y.
double ulps(double count, double y) { return count * 2 * kHalfUlp * std::fabs(y); }

// How far f moves when its argument does, where it is monotonic.
template <typename F> double moves(F f, double x, double e, double y) {
  if (e == 0) return 0;
  double up = std::fabs(f(x + e) - y), down = std::fabs(y - f(x - e));
  return std::isnan(up) || std::isnan(down) ? kUnknown : std::max(up, down);
}
// A whole number made of a float: exact, unless the float may be another one's side.
template <typename F> double jumps(F f, double x, double e) {
  return f(x - e) == f(x + e) ? 0 : std::fabs(f(x + e) - f(x - e));
}
// Nothing is known of integers, or of bits, made of what is not exact.
double exactOnly(Values, Values e, double) {
  return llvm::all_of(e, [](double v) { return v == 0; }) ? 0 : kUnknown;
}

} // namespace

double sumError(int64_t roundings) {
  double part = double(roundings) * kHalfUlp;
  return part < 0.5 ? part / (1 - part) : kUnknown;
}
int64_t laneRoundings(int64_t columns) { return (columns + 15) / 16 + 4; }
int64_t productRoundings(StringRef unit, int64_t k) {
  // amx: of a group of 32 the even and the odd ones, their sum, and the groups one after another.
  return unit == "amx" ? 16 + 1 + (k + 31) / 32 : k + 1;
}

RegionErrors::RegionErrors(Block &block, const RegionInterpreter &region) : region(region) {
  llvm::DenseMap<Value, int64_t> slots;
  auto slot = [&](Value v) {
    slots[v] = errors.size();
    errors.emplace_back();
  };
  for (BlockArgument a : block.getArguments()) slot(a);
  for (Operation &op : block.without_terminator()) {
    Step step;
    step.result = op.getResult(0);
    for (Value v : op.getOperands()) {
      step.operands.push_back(v);
      step.in.push_back(slots.lookup(v));
    }
    Type type = step.result.getType();
    step.f32 = type.isF32();
    bool isFloat = isa<FloatType>(type);
    auto is = [&](Rule rule, bool rounds = false) {
      step.rule = rule;
      step.rounds = rounds && type.isF32();
    };
    llvm::TypeSwitch<Operation *>(&op)
        .Case<arith::AddFOp, arith::SubFOp>(
            [&](auto) { is([](Values, Values e, double) { return e[0] + e[1]; }, true); })
        .Case([&](arith::MulFOp) {
          is([](Values x, Values e,
                double) { return std::fabs(x[0]) * e[1] + std::fabs(x[1]) * e[0] + e[0] * e[1]; },
             true);
        })
        .Case([&](math::FmaOp) {
          is([](Values x, Values e,
                double) { return std::fabs(x[0]) * e[1] + std::fabs(x[1]) * e[0] + e[0] * e[1] + e[2]; },
             true);
        })
        .Case([&](arith::DivFOp) {
          is(
              [](Values x, Values e, double y) {
                if (e[0] == 0 && e[1] == 0) return 0.0;
                double least = std::fabs(x[1]) - e[1];
                return least > 0 ? (e[0] + std::fabs(y) * e[1]) / least : kUnknown;
              },
              true);
        })
        .Case<arith::NegFOp, math::AbsFOp, arith::ExtFOp>(
            [&](auto) { is([](Values, Values e, double) { return e[0]; }); })
        .Case<arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp, arith::MinNumFOp>(
            [&](auto) { is([](Values, Values e, double) { return std::max(e[0], e[1]); }); })
        .Case([&](math::SqrtOp) {
          is(
              [](Values x, Values e, double y) {
                return moves([](double v) { return std::sqrt(std::max(v, 0.0)); }, x[0], e[0], y);
              },
              true);
        })
        .Case([&](math::RsqrtOp) {
          is([](Values x, Values e, double y) {
            if (e[0] > 0 && x[0] <= e[0]) return kUnknown;
            return moves([](double v) { return 1 / std::sqrt(v); }, x[0], e[0], y) + ulps(1.5, y);
          });
        })
        .Case([&](math::ExpOp) {
          is([](Values x, Values e, double y) {
            return std::fabs(y) * std::expm1(std::min(e[0], 700.0)) + ulps(1.1, y);
          });
        })
        .Case([&](math::LogOp) {
          is([](Values x, Values e, double y) {
            if (e[0] > 0 && x[0] <= e[0]) return kUnknown;
            return moves([](double v) { return std::log(v); }, x[0], e[0], y) + ulps(0.85, y);
          });
        })
        .Case([&](math::TanhOp) {
          is([](Values x, Values e, double y) {
            return moves([](double v) { return std::tanh(v); }, x[0], e[0], y) + ulps(1.4, y);
          });
        })
        .Case<math::SinOp, math::CosOp>([&](auto) {
          is([](Values x, Values e, double y) {
            return std::fabs(x[0]) <= 1e5 ? e[0] + ulps(1.5, y) : kUnknown;
          });
        })
        .Case([&](math::PowFOp) {
          is([](Values x, Values e, double y) {
            if (e[0] == 0 && e[1] == 0) return ulps(0.51, y);
            if (!(x[0] > e[0])) return kUnknown;
            double of_log =
                e[0] / (x[0] - e[0]) * (std::fabs(x[1]) + e[1]) + std::fabs(std::log(x[0])) * e[1];
            return std::fabs(y) * std::expm1(std::min(of_log, 700.0)) + ulps(0.51, y);
          });
        })
        .Case([&](math::FloorOp) {
          is([](Values x, Values e, double) {
            return jumps([](double v) { return std::floor(v); }, x[0], e[0]);
          });
        })
        .Case([&](math::CeilOp) {
          is([](Values x, Values e, double) {
            return jumps([](double v) { return std::ceil(v); }, x[0], e[0]);
          });
        })
        .Case([&](arith::TruncFOp) {
          if (type.isBF16())
            is([](Values x, Values e, double) { return jumps(graph::roundToBf16, x[0], e[0]); });
          else
            is([](Values, Values e, double) { return e[0]; }, true);
        })
        .Case<arith::SIToFPOp, arith::UIToFPOp>(
            [&](auto) { is([](Values, Values e, double) { return e[0] == 0 ? 0 : kUnknown; }, true); })
        .Case([&](arith::FPToSIOp) {
          is([](Values x, Values e, double) {
            return jumps([](double v) { return std::trunc(v); }, x[0], e[0]);
          });
        })
        .Case([&](arith::CmpFOp) {
          // Unknown where rounding may decide.
          is([](Values x, Values e, double) {
            double sum = e[0] + e[1];
            return sum == 0 || std::fabs(x[0] - x[1]) > sum ? 0 : kUnknown;
          });
        })
        .Case([&](arith::SelectOp) {
          is([](Values x, Values e, double) {
            double taken = x[0] != 0 ? e[1] : e[2];
            return e[0] == 0 ? taken : std::max({e[1], e[2]}) + std::fabs(x[1] - x[2]);
          });
        })
        .Case<arith::ConstantOp, IndexOp>([&](auto) { is([](Values, Values, double) { return 0.0; }); })
        .Case([&](ReduceOp r) {
          step.sum = r.getKind() == RowReduceKind::sum;
          step.max = !step.sum;
        })
        .Default([&](Operation *) {
          is(isFloat ? Rule([](Values, Values, double) { return kUnknown; }) : Rule(exactOnly));
        });
    slot(step.result);
    steps.push_back(std::move(step));
  }
  for (Value v : block.getTerminator()->getOperands()) yields.push_back(slots.lookup(v));
}

void RegionErrors::run(int64_t columns) {
  size_t numArguments = errors.size() - steps.size();
  for (size_t i = 0; i < numArguments; ++i) errors[i].resize(columns, 0.0);
  for (auto [n, s] : llvm::enumerate(steps)) {
    std::vector<double> &out = errors[numArguments + n];
    out.assign(columns, 0.0);
    const std::vector<double> &y = region.valueOf(s.result);
    SmallVector<const std::vector<double> *, 3> values;
    for (Value v : s.operands) values.push_back(&region.valueOf(v));
    if (s.sum || s.max) {
      double error = 0, magnitude = 0;
      for (int64_t c = 0; c < columns; ++c) {
        double e = errors[s.in[0]][c];
        error = s.sum ? error + e : std::max(error, e);
        magnitude += std::fabs((*values[0])[c]);
      }
      bool isFloat = isa<FloatType>(s.result.getType());
      if (s.sum && isFloat) error += sumError(laneRoundings(columns)) * magnitude;
      if (!isFloat && error > 0) error = kUnknown;
      std::fill(out.begin(), out.end(), error);
    } else {
      double x[3] = {0, 0, 0}, e[3] = {0, 0, 0};
      size_t count = std::min<size_t>(s.in.size(), 3);
      for (int64_t c = 0; c < columns; ++c) {
        for (size_t i = 0; i < count; ++i) x[i] = (*values[i])[c], e[i] = errors[s.in[i]][c];
        double error = s.rule(Values(x, count), Values(e, count), y[c]);
        if (s.rounds) error += kHalfUlp * std::fabs(y[c]) + kFlushed;
        out[c] = std::isnan(error) ? kUnknown : error;
      }
    }
    // What code makes of it is an infinity, and what it makes of that nobody knows.
    if (s.f32)
      for (int64_t c = 0; c < columns; ++c)
        if (std::isfinite(y[c]) && std::fabs(y[c]) > FLT_MAX) out[c] = kUnknown;
  }
}

} // namespace weft::kernel
