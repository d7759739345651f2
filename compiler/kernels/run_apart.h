// Code that may crash or never end, in a process of its own.
#pragma once
#include "compiler/bench/launch_data.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace weft {

struct ApartEnd {
  std::string said;         // all that it told until it ended
  bool finished = false;    // `work` returned
  int signal = 0;           // that ended it; SIGALRM when it was not done within the time
  std::string problem = ""; // why it could not be started
};

// Calls `work` in a child that has the caller's memory as it is now; `tell` sends bytes back. Ended by
// SIGALRM after `seconds`. The caller has no other threads.
using Tell = llvm::function_ref<void(const void *bytes, size_t size)>;
ApartEnd runApart(unsigned seconds, llvm::function_ref<void(Tell tell)> work);

// A function of a shared object in memory; null when it cannot be loaded or has none of that name. It stays
// loaded.
void *loadImage(llvm::StringRef image);
launch_data::Kernel findFunction(void *image, const std::string &name);

// "Segmentation fault" of a signal's number.
std::string signalText(int signal);

} // namespace weft
