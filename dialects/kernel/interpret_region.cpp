#include "dialects/kernel/interpret_region.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using weft::graph::Element;
namespace weft::kernel {

static double cmpf(arith::CmpFPredicate p, double a, double b) {
  bool unordered = std::isnan(a) || std::isnan(b);
  using P = arith::CmpFPredicate;
  switch (p) {
  case P::AlwaysFalse:
    return false;
  case P::OEQ:
    return a == b;
  case P::OGT:
    return a > b;
  case P::OGE:
    return a >= b;
  case P::OLT:
    return a < b;
  case P::OLE:
    return a <= b;
  case P::ONE:
    return !unordered && a != b;
  case P::ORD:
    return !unordered;
  case P::UEQ:
    return unordered || a == b;
  case P::UGT:
    return unordered || a > b;
  case P::UGE:
    return unordered || a >= b;
  case P::ULT:
    return unordered || a < b;
  case P::ULE:
    return unordered || a <= b;
  case P::UNE:
    return a != b;
  case P::UNO:
    return unordered;
  case P::AlwaysTrue:
    return true;
  }
  llvm_unreachable("predicate");
}

// Signed comparisons and equality; the predicate comes as the third operand.
static double cmpi(double a, double b, double predicate) {
  using P = arith::CmpIPredicate;
  switch (P(int64_t(predicate))) {
  case P::eq:
    return a == b;
  case P::ne:
    return a != b;
  case P::slt:
    return a < b;
  case P::sle:
    return a <= b;
  case P::sgt:
    return a > b;
  case P::sge:
    return a >= b;
  default:
    llvm_unreachable("unsigned predicates are refused");
  }
}
static bool isUnsigned(arith::CmpIPredicate p) { return int64_t(p) > int64_t(arith::CmpIPredicate::sge); }

static double truncate(double v, Element to) {
  double limit = std::ldexp(1.0, to == Element::i32 ? 31 : 63);
  return std::isnan(v) ? 0
         : v >= limit  ? (to == Element::i32 ? limit - 1 : limit)
         : v <= -limit ? -limit
                       : std::trunc(v);
}

LogicalResult RegionInterpreter::compile(Operation &op, Step &step) {
  using S = Scalar;
  step.kind = Step::scalar;
  auto real = [&](S f) { step.f = f; };
  auto integer = [&](Integer g) {
    step.kind = Step::integer;
    step.g = g;
  };
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
#define WEFT_REAL(Op, expression)                                                                            \
  .Case([&](Op) {                                                                                            \
    return real([](double a, double b, double c) -> double {                                                 \
             (void)b, (void)c;                                                                               \
             return expression;                                                                              \
           }),                                                                                               \
           success();                                                                                        \
  })
#define WEFT_INTEGER(Op, expression)                                                                         \
  .Case([&](Op) {                                                                                            \
    return integer([](int64_t a, int64_t b) -> int64_t {                                                     \
             (void)b;                                                                                        \
             return expression;                                                                              \
           }),                                                                                               \
           success();                                                                                        \
  })
      WEFT_REAL(arith::AddFOp, a + b) WEFT_REAL(arith::SubFOp, a - b) WEFT_REAL(
             arith::MulFOp, a * b) WEFT_REAL(arith::DivFOp, a / b) WEFT_REAL(arith::NegFOp, -a)
          WEFT_REAL(arith::MaximumFOp, std::isnan(a) || a > b ? a : b) WEFT_REAL(
              arith::MinimumFOp, std::isnan(a) || a < b ? a : b) WEFT_REAL(arith::MaxNumFOp, std::fmax(a, b))
              WEFT_REAL(arith::MinNumFOp, std::fmin(a, b)) WEFT_REAL(
                  arith::SelectOp, a != 0 ? b : c) WEFT_REAL(arith::ExtFOp, a) WEFT_REAL(arith::UIToFPOp, a)
                  WEFT_REAL(arith::SIToFPOp, a) WEFT_REAL(math::ExpOp, std::exp(a)) WEFT_REAL(
                      math::Exp2Op, std::exp2(a)) WEFT_REAL(math::ExpM1Op, std::expm1(a))
                      WEFT_REAL(math::LogOp, std::log(a)) WEFT_REAL(math::Log2Op, std::log2(a)) WEFT_REAL(
                          math::Log1pOp,
                          std::log1p(a)) WEFT_REAL(math::SqrtOp,
                                                   std::sqrt(a)) WEFT_REAL(math::RsqrtOp, 1 / std::sqrt(a))
                          WEFT_REAL(math::TanhOp, std::tanh(a)) WEFT_REAL(math::SinOp, std::sin(a)) WEFT_REAL(
                              math::CosOp, std::cos(a)) WEFT_REAL(math::ErfOp, std::erf(a))
                              WEFT_REAL(math::AbsFOp, std::fabs(a)) WEFT_REAL(
                                  math::FloorOp,
                                  std::floor(a)) WEFT_REAL(math::CeilOp,
                                                           std::ceil(a)) WEFT_REAL(math::PowFOp,
                                                                                   std::pow(a, b))
                                  WEFT_REAL(math::FmaOp, std::fma(a, b, c)) WEFT_INTEGER(
                                      arith::AddIOp,
                                      int64_t(
                                          uint64_t(a) +
                                          uint64_t(
                                              b))) WEFT_INTEGER(arith::SubIOp,
                                                                int64_t(uint64_t(a) - uint64_t(b)))
                                      WEFT_INTEGER(arith::MulIOp, int64_t(uint64_t(a) * uint64_t(b)))
                                          WEFT_INTEGER(
                                              arith::DivSIOp,
                                              b == 0    ? 0
                                              : b == -1 ? int64_t(-uint64_t(a))
                                                        : a / b)
                                              WEFT_INTEGER(arith::RemSIOp, b == 0 || b == -1 ? 0 : a % b)
                                                  WEFT_INTEGER(arith::MaxSIOp, std::max(a, b)) WEFT_INTEGER(
                                                      arith::MinSIOp,
                                                      std::min(a, b)) WEFT_INTEGER(arith::AndIOp, a & b)
                                                      WEFT_INTEGER(arith::OrIOp,
                                                                   a | b) WEFT_INTEGER(arith::XOrIOp, a ^ b)
                                                          WEFT_INTEGER(arith::ExtSIOp,
                                                                       a) WEFT_INTEGER(arith::ExtUIOp, a)
                                                              WEFT_INTEGER(arith::TruncIOp, a) WEFT_INTEGER(
                                                                  arith::IndexCastOp,
                                                                  a) WEFT_INTEGER(math::AbsIOp, std::abs(a))
#undef WEFT_REAL
#undef WEFT_INTEGER
                                                                  .Case([&](arith::FPToSIOp cast) {
                                                                    if (step.element == Element::i1)
                                                                      return LogicalResult(op.emitOpError(
                                                                          "to i1 is not known to the "
                                                                          "interpreter; compare "
                                                                          "with zero instead"));
                                                                    if (step.element == Element::i32)
                                                                      real([](double a, double, double) {
                                                                        return truncate(a, Element::i32);
                                                                      });
                                                                    else
                                                                      real([](double a, double, double) {
                                                                        return truncate(a, Element::i64);
                                                                      });
                                                                    return success();
                                                                  })
                                                                  .Case([&](arith::TruncFOp cast) {
                                                                    // Exact, but for bf16, which is meant to
                                                                    // round.
                                                                    if (cast.getType().isBF16())
                                                                      real([](double a, double, double) {
                                                                        return graph::roundToBf16(a);
                                                                      });
                                                                    else
                                                                      real([](double a, double, double) {
                                                                        return a;
                                                                      });
                                                                    return success();
                                                                  })
                                                                  .Case([&](arith::CmpFOp cmp) {
                                                                    // One function for all predicates: the
                                                                    // predicate is a constant third operand.
                                                                    step.value =
                                                                        double(int64_t(cmp.getPredicate()));
                                                                    real([](double a, double b, double p) {
                                                                      return cmpf(
                                                                          arith::CmpFPredicate(int64_t(p)), a,
                                                                          b);
                                                                    });
                                                                    return success();
                                                                  })
                                                                  .Case([&](arith::CmpIOp cmp) {
                                                                    if (isUnsigned(cmp.getPredicate()))
                                                                      return LogicalResult(op.emitOpError(
                                                                          "compares unsigned; the "
                                                                          "interpreter's integers are "
                                                                          "signed"));
                                                                    step.value =
                                                                        double(int64_t(cmp.getPredicate()));
                                                                    real(cmpi);
                                                                    return success();
                                                                  })
                                                                  .Case([&](arith::ConstantOp c) {
                                                                    step.kind = Step::constant;
                                                                    if (auto f =
                                                                            dyn_cast<FloatAttr>(c.getValue()))
                                                                      step.value = f.getValueAsDouble();
                                                                    else if (auto i = dyn_cast<IntegerAttr>(
                                                                                 c.getValue()))
                                                                      step.value = graph::wrap(
                                                                          i.getValue().getSExtValue(),
                                                                          step.element);
                                                                    else
                                                                      return LogicalResult(
                                                                          op.emitOpError("is not a scalar"));
                                                                    return success();
                                                                  })
                                                                  .Case([&](IndexOp i) {
                                                                    step.kind = Step::index;
                                                                    step.dimension = i.getDimension();
                                                                    return success();
                                                                  })
                                                                  .Case([&](ReduceOp r) {
                                                                    step.kind =
                                                                        r.getKind() == RowReduceKind::sum
                                                                            ? Step::sum
                                                                            : Step::max;
                                                                    return success();
                                                                  })
                                                                  .Default([](Operation *o) {
                                                                    return o->emitOpError(
                                                                        "is not known to the interpreter of "
                                                                        "kernel regions");
                                                                  });
}

LogicalResult RegionInterpreter::compile(Block &block) {
  auto slot = [&](Value v) {
    slotOf[v] = slots.size();
    slots.emplace_back();
    return slotOf[v];
  };
  for (BlockArgument a : block.getArguments()) arguments.push_back(slot(a));
  for (Operation &op : block.without_terminator()) {
    Step step;
    if (op.getNumResults() != 1)
      return op.emitOpError() << "has " << op.getNumResults()
                              << " results when an op of a kernel's region has 1";
    Type type = op.getResult(0).getType();
    if (!type.isIntOrIndexOrFloat() ||
        (type.isInteger() && !type.isInteger(1) && !type.isInteger(32) && !type.isInteger(64)) ||
        (isa<FloatType>(type) && !type.isF32() && !type.isF64() && !type.isBF16()))
      return op.emitOpError() << "has a result of " << type
                              << " when the interpreter knows f32, f64, bf16, i1, i32, i64 and index";
    step.element = type.isIndex() ? Element::i64 : graph::HostTensor::elementOf(type);
    if (failed(compile(op, step))) return failure();
    for (Value v : op.getOperands()) {
      // An i1 read as a signed number is 0 or -1.
      step.in.push_back(slotOf.lookup(v));
      if (isa<arith::UIToFPOp, arith::ExtUIOp>(op) && !v.getType().isInteger(1))
        return op.emitOpError() << "reads " << v.getType()
                                << " as unsigned; the interpreter's integers are signed";
      if ((isa<arith::SIToFPOp, arith::ExtSIOp>(op)) && v.getType().isInteger(1)) {
        step.kind = Step::scalar;
        step.f = [](double a, double, double) { return -a; };
      }
    }
    step.out = slot(op.getResult(0));
    steps.push_back(step);
  }
  for (Value v : block.getTerminator()->getOperands()) yields.push_back(slotOf.lookup(v));
  return success();
}

void RegionInterpreter::run(ArrayRef<int64_t> index, int64_t columns) {
  for (const Step &s : steps) {
    std::vector<double> &out = slots[s.out];
    out.assign(columns, 0);
    auto in = [&](size_t i, int64_t c) { return i < s.in.size() ? slots[s.in[i]][c] : s.value; };
    switch (s.kind) {
    case Step::scalar:
      for (int64_t c = 0; c < columns; ++c) out[c] = s.f(in(0, c), in(1, c), in(2, c));
      break;
    case Step::integer:
      for (int64_t c = 0; c < columns; ++c)
        out[c] = graph::wrap(s.g(int64_t(in(0, c)), int64_t(in(1, c))), s.element);
      break;
    case Step::constant:
      std::fill(out.begin(), out.end(), s.value);
      break;
    case Step::index:
      for (int64_t c = 0; c < columns; ++c)
        out[c] = s.dimension + 1 == int64_t(index.size()) ? c : index[s.dimension];
      break;
    case Step::sum:
    case Step::max: {
      const std::vector<double> &x = slots[s.in[0]];
      double r = s.kind == Step::sum ? 0 : -INFINITY;
      for (double v : x)
        if (s.kind == Step::sum)
          r += v;
        else
          r = std::isnan(r) || r > v ? r : v;
      if (s.element > Element::bf16 && s.kind == Step::sum) r = graph::wrap(int64_t(r), s.element);
      std::fill(out.begin(), out.end(), r);
      break;
    }
    }
    if (rounding && s.element == Element::f32)
      for (double &v : out) v = double(float(v));
    if (rounding && s.element == Element::bf16)
      for (double &v : out) v = graph::roundToBf16(v);
  }
}

} // namespace weft::kernel
