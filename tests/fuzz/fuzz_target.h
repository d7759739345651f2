// A fuzz target is a file with what is declared here. libFuzzer drives it (libfuzzer_main.cpp), and so does
// driver.cpp, which needs no clang: docs/hardening.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

// One execution: reads `data` as a file of the target's kind and uses what was accepted. Returns 0.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

namespace weft::fuzz {

// Whole files to start from, made by the project's writers where it has some.
std::vector<std::string> Seeds();
// Words of the format, which a mutation may put anywhere.
std::vector<std::string> Words();

// Told by a target what the reader said. An input that is answered in a new way is worth mutating further: a
// reader's errors, which name every check there is, stand in for the coverage that only clang can measure.
void Outcome(std::string_view message);

// What must hold of anything that was accepted.
inline void Require(bool holds, const char *what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

} // namespace weft::fuzz
