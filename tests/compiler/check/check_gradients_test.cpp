// --check-phases for `differentiate`: right gradients pass, whatever lies on their way; wrong ones are traced
// to the op whose rule is wrong. Faults are planted behind the phase.
#include "compiler/check/check_gradients.h"
#include "compiler/pipeline.h"
#include "dialects/graph/graph.h"
#include "mlir/Parser/Parser.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace mlir;
using ::testing::HasSubstr;
namespace weft::testing {
namespace {

struct Checked {
  bool right = false;
  int64_t held = 0;
  std::string errors, left, fault;
};

// `spoil` is called behind `differentiate`.
Checked check(const std::string &text, std::function<void(ModuleOp)> spoil = {}) {
  Checked out;
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  context.getDiagEngine().registerHandler([&](Diagnostic &d) {
    if (d.getSeverity() == DiagnosticSeverity::Error) out.errors += d.str() + "\n";
    return success();
  });
  auto module = parseSourceString<ModuleOp>(text, &context);
  EXPECT_TRUE(module) << out.errors;
  if (!module) return out;
  PipelineOptions pipeline;
  auto differentiate = [&](ModuleOp m) {
    if (failed(runPhase(m, Phase::differentiate, pipeline, [](StringRef, ModuleOp) {}))) return failure();
    if (spoil) spoil(m);
    return success();
  };
  GradientCheck found;
  out.right = succeeded(checkGradients(*module, CheckOptions(), differentiate, found));
  out.held = found.held;
  out.left = found.left;
  out.fault = found.fault;
  return out;
}

// Each op becomes 1.01 times what it is.
template <class Op> void enlarge(ModuleOp module) {
  SmallVector<Op> ops;
  module.walk([&](Op op) { ops.push_back(op); });
  for (Op op : ops) {
    OpBuilder b(op->getContext());
    b.setInsertionPointAfter(op);
    Value y = op->getResult(0);
    Value factor = graph::splat(b, op.getLoc(), graph::tensorType(y), 1.01);
    Value more = b.create<graph::MulOp>(op.getLoc(), y, factor);
    y.replaceAllUsesExcept(more, more.getDefiningOp());
  }
}

// An entry that asks for the gradient of @loss, whose body is given, with respect to w and u (8 x 8).
std::string program(const std::string &body, const std::string &more = "") {
  return R"(
  graph.variable @w : tensor<8x8xf32> {kind = 0 : i64, init = 0 : i64}
  graph.variable @u : tensor<8x8xf32> {kind = 0 : i64, init = 0 : i64}
  func.func private @loss(%w: tensor<8x8xf32>, %u: tensor<8x8xf32>, %x: tensor<5x8xf32>) -> tensor<f32> {
  )" + body +
         R"(
  }
  )" + more +
         R"(
  func.func @train_step(%x: tensor<5x8xf32> {weft.name = "x"}) -> (tensor<f32> {weft.name = "loss"}) attributes {weft.entry} {
    %w = graph.read @w : tensor<8x8xf32>
    %u = graph.read @u : tensor<8x8xf32>
    %l, %dw, %du = graph.value_and_grad @loss(%w, %u, %x) acc() wrt [0, 1]
      : (tensor<8x8xf32>, tensor<8x8xf32>, tensor<5x8xf32>) -> (tensor<f32>, tensor<8x8xf32>, tensor<8x8xf32>)
    return %l : tensor<f32>
  })";
}

constexpr const char *kSine = R"(
    %a = graph.matmul %x, %w : (tensor<5x8xf32>, tensor<8x8xf32>) -> tensor<5x8xf32> loc("model.cc":2:1)
    %s = graph.sin %a : tensor<5x8xf32> loc("model.cc":3:1)
    %b = graph.matmul %s, %u : (tensor<5x8xf32>, tensor<8x8xf32>) -> tensor<5x8xf32> loc("model.cc":4:1)
    %t = graph.tanh %b : tensor<5x8xf32> loc("model.cc":5:1)
    %l = graph.reduce sum %t axes = [0, 1] : (tensor<5x8xf32>) -> tensor<f32> loc("model.cc":6:1)
    return %l : tensor<f32>)";

TEST(CheckGradients, RightOnesPass) {
  Checked c = check(program(kSine));
  EXPECT_TRUE(c.right) << c.errors << c.fault;
  EXPECT_EQ(c.held, 1);
  EXPECT_EQ(c.left, "");
}

// An integer that hangs on the arguments, a value that counts as constant, and a gradient given by hand that
// is none.
TEST(CheckGradients, WhatHasNoDerivativeIsHeldStill) {
  Checked c = check(program(R"(
    %a = graph.matmul %x, %w : (tensor<5x8xf32>, tensor<8x8xf32>) -> tensor<5x8xf32>
    %stop = graph.stop_gradient %a : tensor<5x8xf32>
    %n = graph.cast %stop to i32 : tensor<5x8xf32>
    %f = graph.cast %n to f32 : tensor<5x8xi32>
    %low = graph.cast %a to bf16 : tensor<5x8xf32>
    %r = graph.cast %low to f32 : tensor<5x8xbf16>
    %h = graph.custom_gradient @forward(%r) kept() backward @backward {num_differentiated = 1 : i64} : (tensor<5x8xf32>) -> tensor<5x8xf32>
    %p = graph.mul %h, %stop : tensor<5x8xf32>
    %q = graph.add %p, %f : tensor<5x8xf32>
    %b = graph.matmul %q, %u : (tensor<5x8xf32>, tensor<8x8xf32>) -> tensor<5x8xf32>
    %m = graph.max %b, %a : tensor<5x8xf32>
    %zero = graph.sub %x, %x : tensor<5x8xf32>
    %tie = graph.max %zero, %m : tensor<5x8xf32>
    %abs = graph.abs %tie : tensor<5x8xf32>
    %l = graph.reduce sum %abs axes = [0, 1] : (tensor<5x8xf32>) -> tensor<f32>
    return %l : tensor<f32>)",
                            R"(
  func.func private @forward(%x: tensor<5x8xf32>) -> tensor<5x8xf32> {
    %y = graph.mul %x, %x : tensor<5x8xf32>
    return %y : tensor<5x8xf32>
  }
  func.func private @backward(%x: tensor<5x8xf32>, %y: tensor<5x8xf32>, %dy: tensor<5x8xf32>) -> tensor<5x8xf32> {
    return %dy : tensor<5x8xf32>
  })"));
  EXPECT_TRUE(c.right) << c.errors << c.fault;
  EXPECT_EQ(c.held, 1);
}

TEST(CheckGradients, WhatIsNotFiniteIsSaidToBeLeftOut) {
  Checked c = check(program(R"(
    %a = graph.log %w : tensor<8x8xf32>
    %l = graph.reduce sum %a axes = [0, 1] : (tensor<8x8xf32>) -> tensor<f32>
    return %l : tensor<f32>)"));
  EXPECT_TRUE(c.right) << c.errors << c.fault;
  EXPECT_EQ(c.held, 0);
  EXPECT_THAT(c.left, HasSubstr("@loss is not finite"));
}

TEST(CheckGradients, AWrongRuleIsNamedWithItsLine) {
  Checked c = check(program(kSine), enlarge<graph::CosOp>); // of the sine's gradient alone
  EXPECT_FALSE(c.right);
  EXPECT_THAT(c.errors, HasSubstr("phase `differentiate` gives @train_step a wrong gradient of w: along a "
                                  "random direction"));
  EXPECT_THAT(c.errors, Not(HasSubstr("of w, u")));
  EXPECT_THAT(c.fault, HasSubstr("the first op whose rule is wrong: graph.sin model.cc:3"));
  EXPECT_THAT(c.fault, HasSubstr("with respect to operand 0"));
}

// Of a repeat: the sum of an argument's gradients over the iterations.
TEST(CheckGradients, WhatJoinsRulesIsFoundToo) {
  std::string text = program(R"(
    %a = graph.matmul %x, %w : (tensor<5x8xf32>, tensor<8x8xf32>) -> tensor<5x8xf32>
    %b = graph.repeat @layer carry(%a) stacked() invariant(%u) range(0, 3) {tied = array<i64>} : (tensor<5x8xf32>, tensor<8x8xf32>) -> tensor<5x8xf32>
    %l = graph.reduce sum %b axes = [0, 1] : (tensor<5x8xf32>) -> tensor<f32>
    return %l : tensor<f32>)",
                             R"(
  func.func private @layer(%h: tensor<5x8xf32>, %u: tensor<8x8xf32>) -> tensor<5x8xf32> {
    %a = graph.matmul %h, %u : (tensor<5x8xf32>, tensor<8x8xf32>) -> tensor<5x8xf32>
    %t = graph.tanh %a : tensor<5x8xf32>
    return %t : tensor<5x8xf32>
  })");
  Checked right = check(text);
  EXPECT_TRUE(right.right) << right.errors << right.fault;
  Checked wrong = check(text, [](ModuleOp m) {
    m.walk([](graph::RepeatOp op) {
      if (op.getReverse()) op.setBegin(1); // one iteration too few
    });
  });
  EXPECT_FALSE(wrong.right);
  EXPECT_THAT(wrong.fault, HasSubstr("it is what joins them"));
}

// Two functions of an entry, the second behind what the first's gradient gives.
std::string twoFunctions(const std::string &second) {
  return R"(
  graph.variable @w : tensor<8x8xf32> {kind = 0 : i64, init = 0 : i64}
  func.func private @first(%w: tensor<8x8xf32>, %x: tensor<5x8xf32>) -> tensor<f32> {
    %a = graph.matmul %x, %w : (tensor<5x8xf32>, tensor<8x8xf32>) -> tensor<5x8xf32>
    %t = graph.tanh %a : tensor<5x8xf32>
    %l = graph.reduce sum %t axes = [0, 1] : (tensor<5x8xf32>) -> tensor<f32>
    return %l : tensor<f32>
  }
  )" + second +
         R"(
  func.func @train_step(%x: tensor<5x8xf32> {weft.name = "x"}) -> (tensor<f32> {weft.name = "loss"}) attributes {weft.entry} {
    %w = graph.read @w : tensor<8x8xf32>
    %l, %dw = graph.value_and_grad @first(%w, %x) acc(%w) onto() wrt [0]
      : (tensor<8x8xf32>, tensor<5x8xf32>, tensor<8x8xf32>) -> (tensor<f32>, tensor<8x8xf32>)
    %m, %dm = graph.value_and_grad @second(%dw, %x) acc() wrt [0]
      : (tensor<8x8xf32>, tensor<5x8xf32>) -> (tensor<f32>, tensor<8x8xf32>)
    %s = graph.add %l, %m : tensor<f32>
    return %s : tensor<f32>
  })";
}

TEST(CheckGradients, EveryFunctionOfAnEntryIsChecked) {
  std::string text = twoFunctions(R"(
  func.func private @second(%w: tensor<8x8xf32>, %x: tensor<5x8xf32>) -> tensor<f32> {
    %a = graph.matmul %x, %w : (tensor<5x8xf32>, tensor<8x8xf32>) -> tensor<5x8xf32>
    %t = graph.sin %a : tensor<5x8xf32> loc("model.cc":7:1)
    %l = graph.reduce sum %t axes = [0, 1] : (tensor<5x8xf32>) -> tensor<f32>
    return %l : tensor<f32>
  })");
  Checked right = check(text);
  EXPECT_TRUE(right.right) << right.errors << right.fault;
  EXPECT_EQ(right.held, 2);
  Checked wrong = check(text, enlarge<graph::CosOp>); // the second's alone
  EXPECT_FALSE(wrong.right);
  EXPECT_EQ(wrong.held, 1);
  EXPECT_THAT(wrong.fault, HasSubstr("graph.sin model.cc:7"));
}

// A penalty on a gradient: the function inside is checked first, then the one that asks for its gradient.
TEST(CheckGradients, GradientsOfGradientsAreChecked) {
  std::string text = twoFunctions(R"(
  func.func private @second(%w: tensor<8x8xf32>, %x: tensor<5x8xf32>) -> tensor<f32> {
    %v, %d = graph.value_and_grad @inner(%w, %x) acc() wrt [0]
      : (tensor<8x8xf32>, tensor<5x8xf32>) -> (tensor<f32>, tensor<8x8xf32>)
    %p = graph.mul %d, %d : tensor<8x8xf32>
    %n = graph.reduce sum %p axes = [0, 1] : (tensor<8x8xf32>) -> tensor<f32>
    %l = graph.add %v, %n : tensor<f32>
    return %l : tensor<f32>
  }
  func.func private @inner(%w: tensor<8x8xf32>, %x: tensor<5x8xf32>) -> tensor<f32> {
    %a = graph.matmul %x, %w : (tensor<5x8xf32>, tensor<8x8xf32>) -> tensor<5x8xf32>
    %t = graph.sin %a : tensor<5x8xf32> loc("model.cc":9:1)
    %l = graph.reduce sum %t axes = [0, 1] : (tensor<5x8xf32>) -> tensor<f32>
    return %l : tensor<f32>
  })");
  Checked right = check(text);
  EXPECT_TRUE(right.right) << right.errors << right.fault;
  EXPECT_EQ(right.held, 3);
  EXPECT_EQ(right.left, "");
  Checked wrong = check(text, enlarge<graph::CosOp>);
  EXPECT_FALSE(wrong.right);
  EXPECT_EQ(wrong.held, 1);
  EXPECT_THAT(wrong.fault, HasSubstr("graph.sin model.cc:9"));
}

// What an inner gradient stops is not held still by differences of it.
TEST(CheckGradients, AGradientOfAGradientWithStopGradientIsSaidToBeLeftOut) {
  std::string text = twoFunctions(R"(
  func.func private @second(%w: tensor<8x8xf32>, %x: tensor<5x8xf32>) -> tensor<f32> {
    %v, %d = graph.value_and_grad @inner(%w, %x) acc() wrt [0]
      : (tensor<8x8xf32>, tensor<5x8xf32>) -> (tensor<f32>, tensor<8x8xf32>)
    %p = graph.mul %d, %d : tensor<8x8xf32>
    %n = graph.reduce sum %p axes = [0, 1] : (tensor<8x8xf32>) -> tensor<f32>
    return %n : tensor<f32>
  }
  func.func private @inner(%w: tensor<8x8xf32>, %x: tensor<5x8xf32>) -> tensor<f32> {
    %a = graph.matmul %x, %w : (tensor<5x8xf32>, tensor<8x8xf32>) -> tensor<5x8xf32>
    %c = graph.stop_gradient %a : tensor<5x8xf32>
    %t = graph.mul %a, %c : tensor<5x8xf32>
    %l = graph.reduce sum %t axes = [0, 1] : (tensor<5x8xf32>) -> tensor<f32>
    return %l : tensor<f32>
  })");
  Checked c = check(text);
  EXPECT_TRUE(c.right) << c.errors << c.fault;
  EXPECT_EQ(c.held, 2); // @first and @inner
  EXPECT_THAT(c.left, HasSubstr("@second takes a gradient itself, in a program with stop_gradient"));
}

TEST(CheckGradients, WhatIsNotReachedIsSaidToBeLeftOut) {
  std::string text = R"(
  func.func private @loss(%x: tensor<8xf32>) -> tensor<f32> {
    %l = graph.reduce sum %x axes = [0] : (tensor<8xf32>) -> tensor<f32>
    return %l : tensor<f32>
  }
  func.func private @again(%x: tensor<8xf32>) -> tensor<8xf32> {
    %l, %d = graph.value_and_grad @loss(%x) acc() wrt [0] : (tensor<8xf32>) -> (tensor<f32>, tensor<8xf32>)
    return %d : tensor<8xf32>
  }
  func.func @train_step(%x: tensor<8xf32> {weft.name = "x"}) -> (tensor<8xf32> {weft.name = "y"}) attributes {weft.entry} {
    %y = graph.repeat @again carry(%x) stacked() invariant() range(0, 0) {tied = array<i64>} : (tensor<8xf32>) -> tensor<8xf32>
    return %y : tensor<8xf32>
  })";
  Checked c = check(text);
  EXPECT_TRUE(c.right) << c.errors;
  EXPECT_EQ(c.held, 0);
  EXPECT_THAT(c.left, HasSubstr("@loss is not reached on this data"));
}

} // namespace
} // namespace weft::testing
