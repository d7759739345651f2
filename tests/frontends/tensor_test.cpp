// Operators: broadcasting, constants, reductions, lines, and the text of errors.
#include "frontends/dsl/contract.h"

#include <gtest/gtest.h>

#include "frontends/dsl/scope.h"
#include "tests/frontends/recording_builder.h"

namespace weft {
namespace {

using testing::RecordingBuilder;

class TensorTest : public ::testing::Test {
protected:
  Tensor make(const Shape &shape, DType dtype = DType::f32, Caller at = {}) {
    return {recording.make(dtype, shape), at.line};
  }
  // The text of the ModelError that `f` throws: "MADE: " for the line `made` of this file, "HERE: " for that
  // of the call.
  template <class F> std::string error(F &&f, Caller here = {}) {
    try {
      f();
    } catch (const ModelError &e) {
      std::string text = e.what(), result;
      for (size_t at = 0; at < text.size();) {
        size_t end = text.find('\n', at);
        std::string line = text.substr(at, end == text.npos ? end : end - at),
                    file = std::string(__FILE__) + ":";
        if (line.rfind(file, 0) == 0) {
          unsigned number = std::stoul(line.substr(file.size()));
          bool is_here =
              number <= here.line.line && number + 6 > here.line.line; // a macro's call may span lines
          std::string label = number == made ? "MADE" : is_here ? "HERE" : std::to_string(number);
          line = label + line.substr(line.find(": "));
        }
        result += (at ? "\n" : "") + line;
        at = end == text.npos ? end : end + 1;
      }
      return result;
    }
    return "no error";
  }
  unsigned made = 0;

  RecordingBuilder recording;
};

TEST_F(TensorTest, EqualShapesNeedNoBroadcast) {
  Tensor a = make({2, 3}), b = make({2, 3});
  a + b;
  EXPECT_EQ(recording.text(), "%2 = add %0 %1 : f32 (2, 3)\n");
}

TEST_F(TensorTest, OperandsBroadcastAsInNumPy) {
  Tensor a = make({4, 1, 3}), b = make({2, 3});
  EXPECT_EQ((a * b).shape(), (Shape{4, 2, 3}));
  EXPECT_EQ(recording.text(), "%2 = broadcast %0 dims=[0, 1, 2] shape=[4, 2, 3] : f32 (4, 2, 3)\n"
                              "%3 = broadcast %1 dims=[1, 2] shape=[4, 2, 3] : f32 (4, 2, 3)\n"
                              "%4 = mul %2 %3 : f32 (4, 2, 3)\n");
}

TEST_F(TensorTest, AScalarTensorBroadcastsAlongNewDimensions) {
  Tensor a = make({2, 3}), b = make({});
  a - b;
  EXPECT_EQ(recording.text(), "%2 = broadcast %1 dims=[] shape=[2, 3] : f32 (2, 3)\n"
                              "%3 = sub %0 %2 : f32 (2, 3)\n");
}

TEST_F(TensorTest, NumbersBecomeConstantsOfTheOtherType) {
  1 - make({2});
  make({2}, DType::i32) + 1;
  EXPECT_EQ(recording.text(), "%1 = constant 1 : f32 (2)\n%2 = sub %1 %0 : f32 (2)\n"
                              "%4 = constant 1 : i32 (2)\n%5 = add %3 %4 : i32 (2)\n");
}

TEST_F(TensorTest, ComparisonsGiveBoolForWhere) {
  Tensor i = make({4, 1}, DType::i32), j = make({3}, DType::i32), x = make({4, 3});
  Tensor y = where(i == j, x, 0);
  EXPECT_EQ(y.dtype(), DType::f32);
  EXPECT_EQ(recording.ops.back().text, "select %5 %2 %6 : f32 (4, 3)");
  EXPECT_EQ(((i < 3) & (i >= 0)).dtype(), DType::boolean);
}

TEST_F(TensorTest, ReductionsOfAnyAxesAreRunsOfTheLastOrLeaveIt) {
  Tensor x = make({2, 3, 4});
  EXPECT_EQ(sum(x).shape(), Shape{});
  EXPECT_EQ(sum(x, {1}).shape(), (Shape{2, 4}));
  EXPECT_EQ(max_along(x, {0, -1}, true).shape(), (Shape{1, 3, 1}));
  EXPECT_EQ(recording.text(), "%1 = reduce %0 kind=0 axes=[0, 1, 2] : f32 ()\n"
                              "%2 = reduce %0 kind=0 axes=[1] : f32 (2, 4)\n"
                              "%3 = reduce %0 kind=1 axes=[2] : f32 (2, 3)\n"
                              "%4 = reduce %3 kind=1 axes=[0] : f32 (3)\n"
                              "%5 = reshape %4 shape=[1, 3, 1] : f32 (1, 3, 1)\n");
}

TEST_F(TensorTest, MeanDividesByTheNumberOfElements) {
  mean(make({2, 8}), {-1}, true);
  EXPECT_EQ(recording.text(), "%1 = reduce %0 kind=0 axes=[1] : f32 (2)\n"
                              "%2 = reshape %1 shape=[2, 1] : f32 (2, 1)\n"
                              "%3 = constant 8 : f32 (2, 1)\n"
                              "%4 = div %2 %3 : f32 (2, 1)\n");
}

TEST_F(TensorTest, ShapesOfContractions) {
  EXPECT_EQ(matmul(make({2, 4, 8}), make({16, 8}), {.transpose_rhs = true}).shape(), (Shape{2, 4, 16}));
  EXPECT_EQ(matmul(make({5, 8, 4}), make({5, 8, 3}), {.transpose_lhs = true}).shape(), (Shape{5, 4, 3}));
  EXPECT_EQ(gather(make({256, 8}), make({2, 4}, DType::i32)).shape(), (Shape{2, 4, 8}));
  EXPECT_EQ(concat({make({2, 4}), make({2, 3})}, -1).shape(), (Shape{2, 7}));
  EXPECT_EQ(transpose(make({2, 3, 4}), {2, 0, 1}).shape(), (Shape{4, 2, 3}));
  EXPECT_EQ(slice(make({2, 8}), -1, 4, 8).shape(), (Shape{2, 4}));
  EXPECT_EQ(reshape(make({2, 8}), {-1, 4}).shape(), (Shape{4, 4}));
}

TEST_F(TensorTest, AnOpNamesTheLineThatCallsIt) {
  Tensor x = make({2});
  exp(x);
  x *x;
  EXPECT_EQ(recording.ops[0].line.line, __LINE__ - 2u);
  EXPECT_EQ(recording.ops[1].line.line, __LINE__ - 2u);
}

Tensor library_layer(Scope s, Arg x) {
  LayerGuard guard(s, x.at);
  return exp(x) * 2;
}
Tensor model_function(Scope s, Tensor x) {
  Tensor y = library_layer(s / "inner", x);
  return -y;
}
constexpr unsigned model_function_line = __LINE__ - 4;

TEST_F(TensorTest, ALayersOpsNameItsCallInTheModelAndTheModelsNameThemselves) {
  model_function(Scope() / "outer", make({2}));
  ASSERT_EQ(recording.ops.size(), 4u); // exp, constant, mul; neg
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(recording.ops[i].line.line, model_function_line + 1);
    EXPECT_EQ(recording.ops[i].path, "outer.inner");
  }
  EXPECT_EQ(recording.ops[3].line.line, model_function_line + 2);
  EXPECT_EQ(recording.ops[3].path, "");
}

TEST_F(TensorTest, AShapeErrorNamesBothLinesAndBothShapes) {
  Tensor a = make({16, 256, 384}), b = exp(make({16, 128, 384}));
  made = __LINE__ - 1;
  std::string text = error([&] { a + b; });
  EXPECT_EQ(text, "HERE: cannot add (16, 256, 384) and (16, 128, 384)\n"
                  "MADE: left operand made here\n"
                  "MADE: right operand made here");
}

TEST_F(TensorTest, ATypeErrorNamesBothTypes) {
  Tensor a = make({2}), b = make({2}, DType::i32);
  made = __LINE__ - 1;
  EXPECT_EQ(error([&] { a *b; }), "HERE: cannot multiply f32 (2) and i32 (2): cast one of them\n"
                                  "MADE: left operand made here\n"
                                  "MADE: right operand made here");
  EXPECT_EQ(error([&] { exp(b); }), "HERE: exp needs f32 or f64, got i32 (2); cast it first\n"
                                    "MADE: operand made here");
  EXPECT_EQ(error([&] { b + 0.5; }), "HERE: cannot add i32 (2) and 0.500000: not a whole number\n"
                                     "MADE: operand made here");
  EXPECT_EQ(error([&] { where(a, a, a); }), "HERE: where needs a bool condition, got f32\n"
                                            "MADE: condition made here");
}

TEST_F(TensorTest, ContractionsSayWhatDoesNotFit) {
  Tensor x = make({2, 4, 8}), w = make({16, 9}), i = make({2}, DType::i32);
  made = __LINE__ - 1;
  EXPECT_EQ(error([&] { matmul(x, w, {.transpose_rhs = true}); }),
            "HERE: cannot multiply matrices f32 (2, 4, 8) and f32 (16, 9) transposed\n"
            "MADE: left operand made here\nMADE: right operand made here");
  EXPECT_EQ(error([&] {
              reshape(x, {3, -1});
            }),
            "HERE: cannot reshape (2, 4, 8) to (3, -1): 64 elements\n"
            "MADE: operand made here");
  EXPECT_EQ(error([&] {
              concat({x, w}, 0);
            }),
            "HERE: cannot concat f32 (2, 4, 8) and f32 (16, 9) along axis 0\n"
            "MADE: first operand made here\nMADE: other operand made here");
  EXPECT_EQ(error([&] { slice(x, 1, 2, 5); }),
            "HERE: slice at (0, 2, 0) of size (2, 3, 8) is not inside (2, 4, 8)\n"
            "MADE: operand made here");
  EXPECT_EQ(error([&] { sum(x, {3}); }), "HERE: sum: axis 3 of shape (2, 4, 8)\nMADE: operand made here");
  EXPECT_EQ(error([&] { gather(x, w); }),
            "HERE: gather's index needs i32 or i64, got f32 (16, 9); cast it first\n"
            "MADE: operand made here");
  EXPECT_EQ(error([&] { x.dim(3); }),
            "HERE: a tensor of shape (2, 4, 8) has no dimension 3\nMADE: made here");
  EXPECT_EQ(
      error([&] { attend(x, x, x, i, i, 1); }),
      "HERE: attention of queries (2, 4, 8), keys (2, 4, 8) and values (2, 4, 8): should be (B, T, H, D), "
      "(B, S, G, D) and (B, S, G, E) with H a multiple of G\n"
      "MADE: queries made here\nMADE: keys made here\nMADE: values made here");
}

TEST_F(TensorTest, ATensorThatWasNeverSetIsAnError) {
  Tensor x, y = make({2});
  EXPECT_EQ(error([&] { y + x; }), "HERE: add of a tensor that was never set");
}

TEST_F(TensorTest, AnErrorInALayerNamesItsCallInTheModel) {
  Tensor x = make({2}, DType::i32);
  made = __LINE__ - 1;
  std::string text = error([&] { library_layer(Scope(), x); });
  EXPECT_EQ(text, "HERE: exp needs f32 or f64, got i32 (2); cast it first\nMADE: operand made here");
}

} // namespace
} // namespace weft
