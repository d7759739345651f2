#include "runtime/train/early_stopping.h"

#include <gtest/gtest.h>

#include <cmath>

namespace weft {
namespace {

TEST(EarlyStoppingTest, EndsWhenThePatienceIsExhausted) {
  EarlyStopping stopping({.patience = 2});
  EXPECT_TRUE(stopping.Add(10, 3.0)); // the first is the best so far
  EXPECT_FALSE(stopping.Add(20, 3.0));
  EXPECT_FALSE(stopping.Exhausted());
  EXPECT_TRUE(stopping.Add(30, 2.5)); // begins to wait again
  EXPECT_FALSE(stopping.Add(40, 2.6));
  EXPECT_FALSE(stopping.Exhausted());
  EXPECT_FALSE(stopping.Add(50, 2.7));
  EXPECT_TRUE(stopping.Exhausted());
  EXPECT_EQ(stopping.state().best_step, 30);
  EXPECT_EQ(stopping.Reason(),
            "the validation loss has not fallen for 2 evaluations; the lowest was 2.5000 at step 30");
}

TEST(EarlyStoppingTest, AnImprovementMustBeLargerThanTheLeast) {
  EarlyStopping stopping({.patience = 1, .min_improvement = 0.25});
  EXPECT_TRUE(stopping.Add(1, 3.0));
  EXPECT_FALSE(stopping.Add(2, 2.75)); // exactly the least
  EXPECT_TRUE(stopping.Exhausted());
  EXPECT_EQ(stopping.Reason(),
            "the validation loss has not fallen by more than 0.25 for 1 evaluation; the lowest was "
            "3.0000 at step 1");
  EXPECT_TRUE(stopping.Add(3, 2.7));
  EXPECT_FALSE(stopping.Exhausted());
}

TEST(EarlyStoppingTest, WithoutPatienceTheBestIsKnownAndNothingEnds) {
  EarlyStopping stopping({});
  for (int i = 0; i < 1000; ++i) stopping.Add(i, 1.0 + i);
  EXPECT_FALSE(stopping.Exhausted());
  EXPECT_EQ(stopping.state().best_step, 0);
}

TEST(EarlyStoppingTest, ALossThatIsNotFiniteIsNeverTheBest) {
  EarlyStopping stopping({.patience = 3});
  EXPECT_FALSE(stopping.Add(1, std::nan("")));
  EXPECT_FALSE(stopping.Add(2, -INFINITY));
  EXPECT_EQ(stopping.Reason(), "the validation loss has not fallen for 2 evaluations; it was never finite");
  EXPECT_TRUE(stopping.Add(3, 5));
  EXPECT_FALSE(stopping.Add(4, INFINITY));
}

TEST(EarlyStoppingTest, AStateThatIsRestoredDecidesAlike) {
  EarlyStopping a({.patience = 2}), b({.patience = 2});
  a.Add(1, 0.1 + 0.2);
  a.Add(2, 7);
  b.set_state(a.state());
  EXPECT_FALSE(b.Add(3, 0.1 + 0.2)); // the same to the bit is no improvement
  EXPECT_TRUE(b.Exhausted());
}

} // namespace
} // namespace weft
