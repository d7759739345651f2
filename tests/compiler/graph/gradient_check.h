// Gradients by the pass `differentiate` against central finite differences in f64.
#pragma once
#include "mlir/Pass/PassManager.h"
#include "passes/passes.h"
#include "tests/compiler/interpret_text.h"
#include <gtest/gtest.h>

namespace weft::testing {

inline std::string typeOf(const HostTensor &t) {
  return "tensor<" + graph::describe(t.shape, t.element) + ">";
}

// `functions` holds @f, of `args`' types, whose result is a scalar f64. Its gradient with respect to every
// f64 argument is compared with central differences, 1e-6 relative to max(1, |gradient|), and must be added
// onto the accumulators given.
inline void checkGradients(const std::string &functions, const Tensors &args, const std::string &what) {
  std::string signature, names, types, results = "tensor<f64>", accNames, accTypes, wrt, grads;
  Tensors all = args;
  std::vector<size_t> differentiable;
  for (size_t i = 0; i < args.size(); ++i) {
    std::string n = "%" + std::to_string(i), comma = i ? ", " : "";
    signature += comma + n + ": " + typeOf(args[i]);
    names += comma + n;
    types += comma + typeOf(args[i]);
    if (!args[i].isFloat()) continue;
    std::string c = differentiable.empty() ? "" : ", ";
    wrt += c + std::to_string(i);
    accNames += c + "%acc" + std::to_string(i);
    accTypes += ", " + typeOf(args[i]);
    grads += ", %g" + std::to_string(i);
    results += ", " + typeOf(args[i]);
    differentiable.push_back(i);
  }
  for (size_t i : differentiable) {
    signature += ", %acc" + std::to_string(i) + ": " + typeOf(args[i]);
    all.push_back(randomTensor(args[i].shape, 1000 + i));
  }
  TextModule m(functions + "\nfunc.func @gradient(" + signature + ") -> (" + results + ") {\n %v" + grads +
               " = graph.value_and_grad @f(" + names + ") acc(" + accNames + ") wrt [" + wrt + "] : (" +
               types + accTypes + ") -> (" + results + ")\n return %v" + grads + " : " + results + "\n}\n");
  ASSERT_EQ(m.errors, "") << what;
  auto value = [&](const Tensors &at) {
    Tensors y = m.run("f", at);
    return y.empty() ? std::nan("") : y[0].values[0];
  };
  double expectedValue = value(args);
  ASSERT_EQ(m.errors, "") << what;

  // The differences first: the pass may change @f.
  std::vector<std::vector<double>> expected;
  for (size_t i : differentiable) {
    std::vector<double> d;
    for (size_t j = 0; j < args[i].values.size(); ++j) {
      const double h = 1e-5;
      Tensors up = args, down = args;
      up[i].values[j] += h;
      down[i].values[j] -= h;
      d.push_back((value(up) - value(down)) / (2 * h));
    }
    expected.push_back(std::move(d));
  }

  mlir::PassManager passes(&m.context);
  passes.addPass(createDifferentiatePass());
  ASSERT_TRUE(mlir::succeeded(passes.run(*m.module))) << what << ": " << m.errors;
  Tensors y = m.run("gradient", all);
  ASSERT_EQ(m.errors, "") << what;
  EXPECT_NEAR(y[0].values[0], expectedValue, 1e-12 * std::max(1., std::fabs(expectedValue))) << what;
  for (size_t n = 0; n < differentiable.size(); ++n)
    for (size_t j = 0; j < expected[n].size(); ++j)
      EXPECT_NEAR(y[1 + n].values[j] - all[args.size() + n].values[j], expected[n][j],
                  1e-6 * std::max(1., std::fabs(expected[n][j])))
          << what << ": argument " << differentiable[n] << ", element " << j;
}

// Checks one op on operands %0, %1, …, which may use their types as $0, $1, … and those of its results as $r,
// $s:
// @f is the sum over its results of Σ result ∘ random weights.
inline void checkOpGradients(std::string op, const Tensors &args,
                             std::vector<std::vector<int64_t>> resultShapes) {
  std::string what = op, signature, body, total;
  auto substitute = [&](const std::string &from, const std::string &to) {
    for (size_t p; (p = op.find(from)) != std::string::npos;) op.replace(p, from.size(), to);
  };
  for (size_t i = 0; i < args.size(); ++i) {
    signature += (i ? ", %" : "%") + std::to_string(i) + ": " + typeOf(args[i]);
    substitute("$" + std::to_string(i), typeOf(args[i]));
    what += " " + graph::describe(args[i].shape, args[i].element);
  }
  Tensors all = args;
  std::string names;
  for (size_t r = 0; r < resultShapes.size(); ++r) {
    HostTensor weights = randomTensor(resultShapes[r], 77 + r, 0.5, 2);
    std::string type = typeOf(weights), n = std::to_string(r);
    substitute(r ? "$s" : "$r", type);
    names += (r ? ", %r" : "%r") + n;
    signature += ", %w" + n + ": " + type;
    body += " %m" + n + " = graph.mul %r" + n + ", %w" + n + " : " + type + "\n";
    std::string sum = "%m" + n;
    if (!resultShapes[r].empty()) {
      std::string axes;
      for (size_t d = 0; d < resultShapes[r].size(); ++d) axes += (d ? ", " : "") + std::to_string(d);
      body += " %t" + n + " = graph.reduce sum %m" + n + " axes = [" + axes + "] : (" + type +
              ") -> tensor<f64>\n";
      sum = "%t" + n;
    }
    if (r) body += " %u" + n + " = graph.add " + total + ", " + sum + " : tensor<f64>\n";
    total = r ? "%u" + n : sum;
    all.push_back(weights);
  }
  checkGradients("func.func @f(" + signature + ") -> tensor<f64> {\n " + names + " = " + op + "\n" + body +
                     " return " + total + " : tensor<f64>\n}",
                 all, what);
}

} // namespace weft::testing
