#include "frontends/cli/commands.h"
#include "frontends/cli/new_files.h"
#include "frontends/cli/report.h"
#include "runtime/data/file_io.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

#include <cstdio>
#include <filesystem>
#include <set>

namespace weft {
namespace {

// The model's function gets the name, so it must be one of C++.
bool IsIdentifier(const std::string &name) {
  if (name.empty() || absl::ascii_isdigit(name[0])) return false;
  for (char c : name)
    if (!absl::ascii_isalnum(c) && c != '_') return false;
  static const std::set<std::string> taken = {
      "alignas",   "alignof",       "and",          "and_eq",   "asm",
      "auto",      "bitand",        "bitor",        "block",    "bool",
      "break",     "case",          "catch",        "char",     "char8_t",
      "char16_t",  "char32_t",      "class",        "co_await", "co_return",
      "co_yield",  "compl",         "concept",      "const",    "const_cast",
      "consteval", "constexpr",     "constinit",    "continue", "decltype",
      "default",   "delete",        "do",           "double",   "dynamic_cast",
      "else",      "enum",          "explicit",     "export",   "extern",
      "false",     "float",         "for",          "friend",   "goto",
      "if",        "inline",        "int",          "long",     "main",
      "mutable",   "namespace",     "new",          "noexcept", "not",
      "not_eq",    "nullptr",       "operator",     "or",       "or_eq",
      "private",   "protected",     "public",       "register", "reinterpret_cast",
      "requires",  "return",        "short",        "signed",   "sizeof",
      "static",    "static_assert", "static_cast",  "struct",   "switch",
      "template",  "this",          "thread_local", "throw",    "true",
      "try",       "typedef",       "typeid",       "typename", "union",
      "unsigned",  "using",         "virtual",      "void",     "volatile",
      "wchar_t",   "while",         "xor",          "xor_eq"};
  return taken.count(name) == 0;
}

} // namespace

int NewCommand(const Arguments &arguments) {
  static const CommandSpec spec = {
      "new", "NAME", "Makes the folder NAME with a model, a recipe and a README that work at once.", {}, "",
      1,     1};
  Args args(spec, arguments);
  if (args.exit >= 0) return args.exit;
  std::filesystem::path folder = args.positional[0];
  std::string name = folder.filename().string();
  if (!IsIdentifier(name)) {
    PrintError(absl::StrCat("\"", name,
                            "\" cannot name a model: letters, digits and _ only, the first no digit, and no "
                            "word of C++\nhint: weft new my_model"));
    return 2;
  }
  std::error_code error;
  if (std::filesystem::exists(folder, error))
    return Fail(absl::AlreadyExistsError(
        absl::StrCat(folder.string(), " exists already\nhint: choose another name, or remove it")));
  std::filesystem::create_directories(folder, error);
  if (error)
    return Fail(
        absl::UnavailableError(absl::StrCat("cannot create ", folder.string(), ": ", error.message())));
  const std::pair<const char *, const char *> files[] = {{"model.cc", kNewModel},
                                                         {"recipe.toml", kNewRecipe},
                                                         {"README.md", kNewReadme},
                                                         {".gitignore", kNewIgnore}};
  for (const auto &[file, text] : files)
    if (absl::Status status =
            WriteFileAtomically((folder / file).string(), absl::StrReplaceAll(text, {{"@NAME@", name}}));
        !status.ok())
      return Fail(status);
  std::printf("made %s: model.cc, recipe.toml, README.md\nnext: cd %s && weft train recipe.toml\n",
              folder.c_str(), folder.c_str());
  return 0;
}

} // namespace weft
