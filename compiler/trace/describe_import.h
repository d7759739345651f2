// What a Hugging Face folder is to Weft: which model, with which config, and which tensors it may hold beside
// the parameters. `weft import` asks for it.
#pragma once
#include <string>
#include <variant>

namespace weft {

// `model`: a built-in model or a .cc file; "": the built-in model that reads the config's architecture. The
// answer as JSON: {"name", "file", "fields": {…}, "ignored": […], "equal": [[…, …], …], "unread": […]}. Or
// the text of an error.
struct ImportDescription {
  std::string json;
};
std::variant<ImportDescription, std::string> describeImport(const std::string &configFile,
                                                            const std::string &model);

// weftc describe-import CONFIG.json -o F.json [--model M]; the exit status.
int describeImportCommand(int argc, char **argv);

} // namespace weft
