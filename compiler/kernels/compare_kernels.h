// Two kernels run beside each other on the same data.
#pragma once
#include "compiler/bench/launch_data.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>
#include <variant>

namespace weft {

struct KernelComparison {
  int64_t elements = 0, differing = 0; // of the results; in any bit
  double relative = 0;               // largest difference of floats, of the largest magnitude in that result
  int64_t launches = 0, skipped = 0; // skipped: too large to be run here
};

// Runs `name` of two shared objects on each launch, in a process of its own: its end by a signal (a read
// behind a buffer, an endless loop) is an error that says so. The second one is also run in several ranges of
// work items, which must not change a bit. `others` gives the second one's items and scratch bytes, where its
// schedule is another.
std::variant<KernelComparison, std::string> compareKernels(llvm::StringRef first, llvm::StringRef second,
                                                           const std::string &name,
                                                           llvm::ArrayRef<launch_data::Launch> launches,
                                                           llvm::ArrayRef<launch_data::Launch> others);

} // namespace weft
