// Gradients that a model asks for or gives by hand: what is recorded, and the text of errors.
#include "frontends/dsl/gradient.h"

#include <gtest/gtest.h>

#include "frontends/dsl/contract.h"
#include "frontends/dsl/scope.h"
#include "tests/frontends/recording_builder.h"

namespace weft {
namespace {

class GradientTest : public ::testing::Test {
protected:
  Tensor make(const Shape &shape, DType dtype = DType::f32) {
    return {recording.make(dtype, shape), source_line(std::source_location::current())};
  }
  template <class F> std::string error(F &&f) {
    try {
      f();
    } catch (const ModelError &e) {
      std::string text = e.what();
      return text.substr(text.find(": ") + 2, text.find('\n') - text.find(": ") - 2);
    }
    return "no error";
  }
  testing::RecordingBuilder recording;
};

TEST_F(GradientTest, OfAFunctionHasItsOperandsShapes) {
  Tensor a = make({2, 3}), b = make({4});
  ValueAndGrad r = value_and_grad({a, b}, [](const std::vector<Tensor> &x) { return sum(x[0]) * sum(x[1]); });
  EXPECT_EQ(r.value.rank(), 0);
  ASSERT_EQ(r.gradients.size(), 2u);
  EXPECT_EQ(r.gradients[0].shape(), (Shape{2, 3}));
  EXPECT_EQ(r.gradients[1].shape(), (Shape{4}));
  EXPECT_EQ(recording.count("mul", "differentiated"), 1);
}

TEST_F(GradientTest, OfOneTensorIsATensor) {
  Tensor x = make({2, 3});
  EXPECT_EQ(grad(x, [](Tensor y) { return sum(y * y); }).shape(), (Shape{2, 3}));
}

TEST_F(GradientTest, NamesTheLineThatAsks) {
  Tensor x = make({3});
  uint32_t here = __LINE__ + 1;
  Tensor d = grad(x, [](Tensor y) { return sum(y * y); });
  EXPECT_EQ(d.line().line, here);
}

TEST_F(GradientTest, GivenByHandRecordsBothFunctions) {
  Tensor x = make({2, 3});
  Tensor y = custom_gradient(
      {x}, [](auto x) { return exp(x[0]); }, [](auto x, Tensor y, Tensor dy) { return std::vector{dy * y}; });
  EXPECT_EQ(y.shape(), (Shape{2, 3}));
  EXPECT_EQ(recording.count("exp", "forward"), 1);
  EXPECT_EQ(recording.count("mul", "backward"), 1);
  EXPECT_EQ(recording.count("custom_gradient", ""), 1);
}

TEST_F(GradientTest, ErrorsSayWhatWasGivenAndExpected) {
  Tensor x = make({2, 3}), i = make({2}, DType::i32);
  EXPECT_EQ(error([&] { grad(x, [](Tensor y) { return y; }); }),
            "the function of value_and_grad gives (2, 3) when it should give a scalar");
  EXPECT_NE(error([&] { grad(i, [](Tensor y) { return sum(cast(y, DType::f32)); }); }), "no error");
  EXPECT_EQ(error([&] { grad(std::vector<Tensor>(), [](auto) { return Tensor(); }); }),
            "value_and_grad of no tensors");
  EXPECT_EQ(error([&] {
              custom_gradient(
                  {x}, [](auto x) { return x[0]; },
                  [](auto, Tensor, Tensor) { return std::vector<Tensor>(); });
            }),
            "the backward of custom_gradient gives 0 tensors when it should give 1");
  EXPECT_EQ(error([&] {
              custom_gradient(
                  {x}, [](auto x) { return x[0]; },
                  [](auto, Tensor, Tensor dy) { return std::vector{sum(dy)}; });
            }),
            "the backward of custom_gradient gives f32 () as gradient number 0 when it should be f32 (2, 3)");
}

} // namespace
} // namespace weft
