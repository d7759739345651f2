// What commands that ask a model have in common: options of sampling, and of how the model is opened.
#pragma once

#include "frontends/cli/args.h"
#include "runtime/generate/generator.h"
#include "runtime/generate/open_model.h"

#include <vector>

namespace weft {

// The command's own options, with the shared ones after them.
std::vector<Option> WithAskOptions(std::vector<Option> own);
// Bad usage sets args.exit.
void ReadAskOptions(Args &args, GenerateOptions &options, OpenModelOptions &open_options);

} // namespace weft
