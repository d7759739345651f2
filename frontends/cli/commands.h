// The commands, one file each. They take what stands after the command's name and return the exit status: 0,
// 1 for an error, 2 for bad usage.
#pragma once

#include "frontends/cli/args.h"

#include <string>
#include <vector>

namespace weft {

using Arguments = std::vector<std::string>;

int TrainCommand(const Arguments &arguments);
int GenerateCommand(const Arguments &arguments);
int ChatCommand(const Arguments &arguments);
int EvalCommand(const Arguments &arguments);
int InspectCommand(const Arguments &arguments);
int ProfileCommand(const Arguments &arguments);
int TokenizerCommand(const Arguments &arguments);
int NewCommand(const Arguments &arguments);
int CompileCommand(const Arguments &arguments);
int ImportCommand(const Arguments &arguments);
int ExportCommand(const Arguments &arguments);

} // namespace weft
