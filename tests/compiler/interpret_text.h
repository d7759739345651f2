// Interprets functions given as MLIR text, for tests.
#pragma once
#include "dialects/dist/dist.h"
#include "dialects/graph/graph.h"
#include "dialects/graph/interpret.h"
#include "dialects/kernel/kernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace weft::testing {

using graph::Element;
using graph::HostTensor;
using Tensors = std::vector<HostTensor>;

inline HostTensor tensor(llvm::ArrayRef<int64_t> shape, std::vector<double> values,
                         Element element = Element::f64) {
  return {llvm::SmallVector<int64_t>(shape), element, std::move(values)};
}

// Values evenly spread over [low, high], the same for the same seed; whole numbers for integers.
inline HostTensor randomTensor(llvm::ArrayRef<int64_t> shape, uint32_t seed, double low = -1, double high = 1,
                               Element element = Element::f64) {
  HostTensor t = HostTensor::zeros(shape, element);
  std::mt19937 random(seed);
  for (double &v : t.values) {
    v = low + (high - low) * (random() / 4294967296.0);
    if (!t.isFloat()) v = std::floor(v);
  }
  return t;
}

// A module of text, its errors collected instead of printed.
struct TextModule {
  mlir::MLIRContext context;
  std::string errors;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  graph::Variables variables;
  graph::InterpretOptions options;

  explicit TextModule(const std::string &text) {
    context.loadDialect<mlir::func::FuncDialect, mlir::arith::ArithDialect, mlir::math::MathDialect,
                        graph::GraphDialect, kernel::KernelDialect, dist::DistDialect>();
    context.getDiagEngine().registerHandler([this](mlir::Diagnostic &d) {
      if (d.getSeverity() == mlir::DiagnosticSeverity::Error) errors += d.str() + "\n";
      return mlir::success();
    });
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  }

  // The results of @name; empty, with `errors` filled, when it fails.
  Tensors run(llvm::StringRef name, const Tensors &args) {
    if (!module) return {};
    auto f = module->lookupSymbol<mlir::func::FuncOp>(name);
    if (!f) return errors += "no function " + name.str(), Tensors{};
    auto results = graph::interpret(f, args, variables, options);
    if (mlir::failed(results)) return {};
    return Tensors(results->begin(), results->end());
  }
};

} // namespace weft::testing
