// A phase that changed what the program computes: by which pass, and which op.
#pragma once
#include "compiler/check/check_phases.h"
#include "compiler/pipeline.h"

namespace weft {

// Lines for a reader: the first pass of `phase` behind which the numbers differ, run once more on `before`,
// and the first op whose result is not what it was; of a pipeline, in the first stage that makes a difference
// alone. `after` is what the phase has made of it, with `options`, a stage's own each. Diagnostics of the
// passes are not repeated.
std::string bisectPhase(Stages before, Stages after, const PhaseInfo &phase,
                        llvm::ArrayRef<PipelineOptions> options, const CheckOptions &check);

} // namespace weft
