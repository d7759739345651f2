#include "frontends/cli/recipe_argument.h"
#include "frontends/cli/report.h"
#include "runtime/train/recipe.h"

#include "absl/strings/str_cat.h"

#include <filesystem>

namespace weft {

std::optional<RecipeArgument> ReadRecipeArgument(const Args &args, const std::string &command,
                                                 const std::string &hint) {
  if (args.positional.empty() || args.positional[0].find('=') != std::string::npos) {
    PrintError(absl::StrCat(command, " needs a recipe or a run directory\nhint: ", hint));
    return std::nullopt;
  }
  RecipeArgument read{args.positional[0], "", {args.positional.begin() + 1, args.positional.end()}};
  std::error_code error;
  if (std::filesystem::is_directory(read.path, error)) {
    read.run = read.path;
    read.overrides.insert(read.overrides.begin(), absl::StrCat("run.dir=", TomlQuoted(read.run)));
    read.path += "/recipe.toml";
  }
  return read;
}

} // namespace weft
