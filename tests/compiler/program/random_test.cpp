// Random programs, compiled and executed. WEFT_RANDOM_SEED and WEFT_RANDOM_PROGRAMS (how many) try others.
#include "tests/compiler/program/random_programs.h"
#include <cstdlib>
#include <gtest/gtest.h>

namespace weft::testing {
namespace {

int fromEnvironment(const char *name, int otherwise) {
  const char *text = getenv(name);
  return text ? atoi(text) : otherwise;
}

TEST(RandomPrograms, DoWhatTheInterpreterDoes) {
  const int first = fromEnvironment("WEFT_RANDOM_SEED", 1),
            count = fromEnvironment("WEFT_RANDOM_PROGRAMS", 120),
            batch = 50; // programs in one module
  for (int begin = first; begin < first + count; begin += batch) {
    std::vector<EntryCase> cases;
    for (int seed = begin; seed < std::min(begin + batch, first + count); ++seed)
      cases.push_back(randomProgram(seed));
    // Long chains and sums that cancel: rounding explains more than one sample of it shows.
    checkPrograms(cases, 100);
    if (HasFatalFailure()) return;
  }
}

} // namespace
} // namespace weft::testing
