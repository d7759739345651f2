// --check-phases of a pipeline: its stages run together, as the program with all layers does.
#include "compiler/check/check_phases.h"
#include "compiler/check/interpret_stages.h"
#include "tests/compiler/interpret_text.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::testing {
namespace {

using mlir::failed;
using mlir::succeeded;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// @f(x) of one stage; the parameters w are stacks of `layers` from `begin` on.
std::string stage(int begin, int layers, const std::string &body) {
  return "graph.variable @w : tensor<" + std::to_string(layers) +
         "x3xf32> {kind = 0 : i64, init = 2 : i64, layers = " + std::to_string(layers) +
         " : i64, layer_begin = " + std::to_string(begin) + R"( : i64}
    graph.variable @tied : tensor<3xf32> {kind = 0 : i64, init = 2 : i64}
    func.func private @layer(%x: tensor<3xf32>, %w: tensor<3xf32>) -> tensor<3xf32> {
      %y = graph.mul %x, %w : tensor<3xf32> loc("model.cc":3:1)
      %z = graph.add %y, %x : tensor<3xf32> loc("model.cc":4:1)
      return %z : tensor<3xf32>
    }
    func.func @f(%x: tensor<3xf32> {weft.name = "x"}) -> (tensor<f32> {weft.name = "sum"}) attributes {weft.entry} {
      %w = graph.read @w : tensor<)" +
         std::to_string(layers) + R"(x3xf32>
      %zero = graph.constant dense<0.0> : tensor<f32>
      )" +
         body +
         R"(
    })";
}
std::string layersOf(const std::string &x, int n) {
  std::string type = "tensor<" + std::to_string(n) + "x3xf32>";
  return "%y = graph.repeat @layer carry(" + x + ") stacked(%w) invariant() range(0, " + std::to_string(n) +
         ") {tied = array<i64>} : (tensor<3xf32>, " + type + ") -> tensor<3xf32>\n";
}
const std::string kEnd = R"(%s = graph.reduce sum %y axes = [0] : (tensor<3xf32>) -> tensor<f32>
      %r = graph.mul %w, %w : TYPE
      graph.write @w, %r : TYPE
    )";
std::string ending(int n) {
  std::string text = kEnd, type = "tensor<" + std::to_string(n) + "x3xf32>";
  for (size_t at; (at = text.find("TYPE")) != std::string::npos;) text.replace(at, 4, type);
  return text;
}

// Five layers, whole and in stages of three and two.
std::string whole() { return stage(1, 5, layersOf("%x", 5) + ending(5) + "return %s : tensor<f32>"); }
std::string firstStage() {
  return stage(1, 3,
               layersOf("%x", 3) + "dist.send pipeline %y peer 1 tag 0 : tensor<3xf32>\n" + ending(3) +
                   "%a = dist.all_reduce pipeline %zero : tensor<f32>\nreturn %a : tensor<f32>");
}
std::string secondStage() {
  return stage(4, 2,
               "%in = dist.receive pipeline peer 0 tag 0 : tensor<3xf32>\n" + layersOf("%in", 2) + ending(2) +
                   "%a = dist.all_reduce pipeline %s : tensor<f32>\nreturn %a : tensor<f32>");
}

struct Program {
  std::vector<std::unique_ptr<TextModule>> texts;
  llvm::SmallVector<mlir::ModuleOp> stages;
  explicit Program(const std::vector<std::string> &of) {
    for (const std::string &text : of) {
      texts.push_back(std::make_unique<TextModule>(text));
      EXPECT_EQ(texts.back()->errors, "");
      if (texts.back()->module) stages.push_back(*texts.back()->module);
    }
  }
  std::string errors() const {
    std::string all;
    for (auto &t : texts) all += t->errors;
    return all;
  }
};

TEST(CheckStages, StagesTogetherAreTheWholeProgram) {
  Program a({whole()}), b({firstStage(), secondStage()});
  PhaseChecker checker;
  ASSERT_TRUE(succeeded(checker.check(a.stages, "differentiate"))) << a.errors();
  EXPECT_TRUE(succeeded(checker.check(b.stages, "cutting"))) << b.errors();
}

TEST(CheckStages, AStageThatLosesALayerIsReported) {
  std::string wrong = secondStage();
  wrong.replace(wrong.find("range(0, 2)"), 11, "range(1, 2)");
  Program a({whole()}), b({firstStage(), wrong});
  PhaseChecker checker;
  ASSERT_TRUE(succeeded(checker.check(a.stages, "differentiate")));
  EXPECT_TRUE(failed(checker.check(b.stages, "cutting")));
  EXPECT_THAT(b.errors(), HasSubstr("phase `cutting` changed @f: output sum at [] is "));
}

TEST(CheckStages, GivenVariablesAreCutByLayers) {
  Program a({whole()}), b({firstStage(), secondStage()});
  PhaseInputs inputs;
  std::vector<double> values(15);
  for (size_t i = 0; i < values.size(); ++i) values[i] = double(i);
  inputs.variables["w"] = tensor({5, 3}, values, Element::f32);
  auto of = variablesOf(b.stages, inputs, 1);
  ASSERT_TRUE(succeeded(of));
  EXPECT_EQ((*of)[0]["w"].shape, (llvm::SmallVector<int64_t>{3, 3}));
  EXPECT_EQ((*of)[1]["w"].values, (std::vector<double>{9, 10, 11, 12, 13, 14}));
  EXPECT_EQ((*of)[0]["tied"].values, (*of)[1]["tied"].values);
  auto joined = joinVariables(b.stages, *of, 0);
  ASSERT_TRUE(succeeded(joined));
  EXPECT_EQ((*joined)["w"].values, values);
  // What is drawn is cut likewise.
  auto drawn = variablesOf(a.stages, {}, 3), parts = variablesOf(b.stages, {}, 3);
  joined = joinVariables(b.stages, *parts, 0);
  EXPECT_EQ((*joined)["w"].values, (*drawn)[0]["w"].values);
  (*of)[1]["tied"].values[2] += 1;
  EXPECT_TRUE(failed(joinVariables(b.stages, *of, 1e-6)));
  EXPECT_THAT(b.errors(), HasSubstr("variable tied is not the same in all pipeline stages that hold it"));
  inputs.variables["w"] = tensor({4, 3}, std::vector<double>(12), Element::f32);
  EXPECT_TRUE(failed(variablesOf(b.stages, inputs, 1)));
  EXPECT_THAT(b.errors(), HasSubstr("variable w is given as 4x3xf32 when it is"));
}

TEST(CheckStages, TheFaultIsFoundInTheStageThatMakesIt) {
  std::string wrong = firstStage();
  wrong.replace(wrong.find("graph.mul %x, %w"), 16, "graph.sub %x, %w");
  Program a({firstStage(), secondStage()}), b({wrong, secondStage()});
  std::string fault = firstFault(a.stages, b.stages);
  EXPECT_THAT(fault, HasSubstr("graph.sub, that is model.cc:3"));
  EXPECT_THAT(fault, HasSubstr("in pipeline stage 0"));
}

// The first stage goes on with what the second sends back.
TEST(CheckStages, AStageThatGoesOnWithAnothersFaultIsNotBlamed) {
  auto programs = [](const std::string &op) {
    std::string first = firstStage(), second = secondStage();
    first = "graph.variable @own : tensor<3xf32> {kind = 0 : i64, init = 2 : i64}\n" + first;
    first.insert(first.find("%a = dist"), R"(%back = dist.receive pipeline peer 1 tag 1 : tensor<3xf32>
      %h = graph.mul %back, %x : tensor<3xf32> loc("model.cc":8:1)
      graph.write @own, %h : tensor<3xf32>
      )");
    second.insert(second.find("%a = dist"), "%t = " + op + R"( %y : tensor<3xf32> loc("model.cc":9:1)
      dist.send pipeline %t peer 0 tag 1 : tensor<3xf32>
      )");
    return std::vector<std::string>{first, second};
  };
  Program a(programs("graph.tanh")), b(programs("graph.sin"));
  EXPECT_THAT(firstFault(a.stages, b.stages),
              AllOf(HasSubstr("graph.sin, that is model.cc:9"), HasSubstr("in pipeline stage 1")));
  // Where only one stage is another module, that one.
  llvm::SmallVector<mlir::ModuleOp> mixed{a.stages[0], b.stages[1]};
  EXPECT_THAT(firstFault(a.stages, mixed), HasSubstr("graph.sin, that is model.cc:9"));
}

TEST(CheckStages, StagesThatWaitForEachOtherAreAnError) {
  std::string lost = firstStage();
  lost.replace(lost.find("peer 1 tag 0"), 12, "peer 1 tag 7");
  Program b({lost, secondStage()});
  PhaseChecker checker;
  EXPECT_TRUE(failed(checker.check(b.stages, "lost")));
  EXPECT_THAT(b.errors(), HasSubstr("of stage 1 waits for what no stage sends"));
  EXPECT_THAT(b.errors(), HasSubstr("after phase `lost`, @f cannot be interpreted"));
}

TEST(CheckStages, AStageThatFailsEndsTheOthers) {
  std::string broken = firstStage();
  broken.replace(broken.find("graph.read @w"), 13, "graph.read @v");
  broken = "graph.variable @v : tensor<3x3xf32> {kind = 0 : i64, init = 2 : i64}\n" + broken;
  Program b({broken, secondStage()});
  CheckOptions options;
  llvm::SmallVector<graph::Variables> variables(2), caches(2);
  EXPECT_TRUE(failed(runEntry(b.stages, "f", options, 1, variables, caches))); // @v has no value
  EXPECT_THAT(b.errors(), HasSubstr("reads @v, which has no value"));
  EXPECT_THAT(b.errors(), Not(HasSubstr("waits for")));
}

TEST(CheckStages, SumsOverStagesAreTheSameTreeForAll) {
  std::vector<double> sums(5);
  auto run = [&](int64_t i, graph::InterpretRank *rank) {
    TextModule m(R"(func.func @g(%x: tensor<f64>) -> tensor<f64> {
      %a = dist.all_reduce pipeline %x : tensor<f64>
      %b = dist.all_reduce pipeline %a : tensor<f64>
      %c = dist.all_reduce data %b : tensor<f64>
      return %c : tensor<f64>
    })");
    m.options.rank = rank;
    Tensors out = m.run("g", {tensor({}, {0.1 * double(i + 1)})});
    if (out.empty()) return mlir::failure();
    sums[i] = out[0].values[0];
    return mlir::success();
  };
  ASSERT_TRUE(succeeded(interpretStages(5, false, run)));
  double a = ((0.1 + 0.2) + (0.1 * 3 + 0.4)) + 0.5, b = ((a + a) + (a + a)) + a;
  for (double s : sums) EXPECT_EQ(s, b);
}

} // namespace
} // namespace weft::testing
