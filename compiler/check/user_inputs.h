// What --check-phases runs on when a user names a checkpoint or data.
#pragma once
#include "compiler/check/phase_inputs.h"
#include "runtime/train/recipe.h"

#include "absl/status/status.h"

#include <functional>

namespace weft {

// Arguments of the entries: the batch that the recipe's loader gives at the checkpoint's next step, the first
// of evaluation, and the beginning of the text for generation. `checkpoint` is a run directory, whose newest
// good checkpoint is taken, or a checkpoint, or "". `data`: a token file (*.tokens), a text file or pattern,
// "recipe" for the recipe's own text, or "": what the checkpoint's run trains on, or else the recipe's text
// where it names any. `checkpoint` becomes the one that is found. The recipe gets the vocabulary.
absl::Status ReadUserText(Recipe &recipe, std::string &checkpoint, const std::string &data,
                          PhaseInputs &inputs, const std::function<void(const std::string &)> &say);

// The variables of a traced module: parameters of the checkpoint, the optimiser's and other states where it
// has any (an imported one has none: zeros). InvalidArgument names what is not finite; errors of
// ReadCheckpoint.
absl::Status ReadUserVariables(mlir::ModuleOp module, const std::string &checkpoint, PhaseInputs &inputs);

} // namespace weft
