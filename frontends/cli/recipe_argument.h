// What `weft train` and `weft profile` take: RECIPE.toml|RUN [KEY=VALUE …].
#pragma once

#include "frontends/cli/args.h"

#include <optional>
#include <string>
#include <vector>

namespace weft {

struct RecipeArgument {
  std::string path;                   // of the recipe; a run directory's own
  std::string run;                    // the run directory that was named, or empty
  std::vector<std::string> overrides; // KEY=VALUE
};

// Nothing where no recipe is named; said on stderr, with the hint, as bad usage of `command`.
std::optional<RecipeArgument> ReadRecipeArgument(const Args &args, const std::string &command,
                                                 const std::string &hint);

} // namespace weft
