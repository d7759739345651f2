// Models: the user's or a built-in .cc file, compiled against the DSL's headers into a shared object and
// loaded.
#pragma once
#include "frontends/dsl/model_info.h"
#include <string>
#include <variant>
#include <vector>

namespace weft {

struct LoadedModel {
  const ModelInfo *info = nullptr; // lives as long as the process
  std::string file;
  double compileSeconds = 0;
};

// The root of the installed files: bin/.. of the running program, with include/ and models/.
std::string installedRoot();

// Where the built-in model `name` is written, or "" when there is none.
std::string builtinModelFile(const std::string &name);
// The names of those there are, sorted.
std::vector<std::string> builtinModels();

// `name`: which of the file's models; "" when it has only one. The text of an error otherwise: the host
// compiler's own messages are part of it.
std::variant<LoadedModel, std::string> loadModel(const std::string &file, const std::string &name);

} // namespace weft
