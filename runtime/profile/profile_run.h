// Makes a profile of a recipe's training step.
#pragma once
#include "runtime/profile/profile.h"
#include "runtime/train/recipe.h"

#include "absl/status/statusor.h"

#include <string>

namespace weft {

struct ProfileOptions {
  std::string folder; // gets profile.json, trace.json, report.html, and what the step is made of
  std::string
      checkpoint; // whose weights, optimiser's state and place in the data it starts from; "" = first values
  int64_t steps = 5;      // measured; as many more run without the profiler
  int64_t warm_up = 2;    // before them
  bool calibrate = false; // measure the machine although it is known
  bool counters = true;   // the processor's, where there are any
  std::string cpu_level;  // "" = the best
  void (*say)(const std::string &) = nullptr;
};

// Compiles, prepares the text, runs the steps, and writes the files. `recipe` is resolved; its own run
// directory is only read: text and artifact that fit are taken over from there. Errors are those of
// training's start and steps, and of writing, each with the thing's name; InvalidArgument when the folder is
// a run's; Cancelled by Ctrl-C.
absl::StatusOr<Profile> MakeProfile(Recipe recipe, const ProfileOptions &options);

} // namespace weft
