// The command line of `weft compile`.
#pragma once
#include "compiler/compile_program.h"
#include <regex>

namespace weft {

extern const char *const kCompileHelp; // the phases' names belong behind it

struct CompileOptions {
  std::string input;                  // a model, a .cc file or a recipe
  std::string output;                 // "": nothing is kept
  std::vector<std::string> overrides; // KEY=VALUE of the recipe
  std::optional<std::regex> remarks;  // which ones are printed
  std::string remarksFile;            // "": none
  std::string checkData;
  CompileRequest request; // all but the recipe and who listens
  bool help = false;      // and nothing else
};

// Or what is wrong with them.
std::variant<CompileOptions, std::string> parseCompileOptions(const std::vector<std::string> &args);

} // namespace weft
