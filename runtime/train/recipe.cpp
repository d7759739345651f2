#include "runtime/train/recipe.h"
#include "runtime/data/file_io.h"
#include "runtime/train/nearest.h"
#include "runtime/train/toml.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace weft {
namespace {

constexpr uint64_t kMaxRecipeBytes = 1 << 20;
constexpr int kMaxKeyDots = 8; // a recipe's keys have one

// Where a value came from: a line of the file, or the command line.
struct Origin {
  std::string where;  // "recipe.toml:12: ", or "" for the command line, whose keys need no place
  std::string folder; // paths are relative to it
};

absl::Status Wrong(const Origin &origin, absl::string_view message, absl::string_view hint = "") {
  return absl::InvalidArgumentError(
      absl::StrCat(origin.where, message, hint.empty() ? "" : "\nhint: ", hint));
}

std::string Absolute(const std::string &folder, const std::string &path) {
  return std::filesystem::absolute(std::filesystem::path(folder) / path).lexically_normal().string();
}

std::string Printed(const toml::node &node) {
  std::ostringstream out;
  if (auto text = node.value_exact<std::string>())
    out << TomlQuoted(*text);
  else
    node.visit([&](const auto &value) { out << value; });
  std::string text = out.str();
  return text.size() > 60 ? absl::StrCat(text.substr(0, 60), "…") : text;
}

// The line of the first key with more than kMaxKeyDots dots, or 0: each dot is a table in a table, and the
// library bounds the nesting of brackets but not of these. Strings and comments are passed over as the
// library does; where the text is not TOML, it goes no further anyway.
int64_t LineOfDeepKey(std::string_view text) {
  int64_t line = 1;
  int dots = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '#') {
      i = std::min(text.find('\n', i), text.size()) - 1;
    } else if (c == '"' || c == '\'') {
      const bool lines = text.substr(i, 3) == std::string(3, c);
      const std::string_view end = text.substr(i, lines ? 3 : 1);
      for (i += end.size(); i < text.size() && text.substr(i, end.size()) != end; ++i) {
        if (text[i] == '\n' && !lines) break;
        if (text[i] == '\\' && c == '"') ++i;
        if (i < text.size() && text[i] == '\n') ++line;
      }
      i += end.size() - 1;
      for (int more = 0; more < 2 && lines && i + 1 < text.size() && text[i + 1] == c; ++more)
        ++i; // """a"""""
    } else if (c == '\n' || c == '=' || c == ',') {
      line += c == '\n';
      dots = 0;
    } else if (c == '.' && ++dots > kMaxKeyDots) {
      return line;
    }
  }
  return 0;
}

// A key that does not exist: names the key meant, be it misspelt or put into another section.
absl::Status UnknownKey(const Origin &origin, const std::string &name) {
  std::vector<std::string> names;
  std::string nearest, leaf = name.substr(name.find('.') + 1);
  for (const RecipeKey &key : RecipeKeys()) {
    names.push_back(key.name);
    if (absl::EndsWith(key.name, absl::StrCat(".", leaf)) && nearest.empty()) nearest = key.name;
  }
  if (nearest.empty()) nearest = Nearest(name, names);
  return Wrong(origin, absl::StrCat("unknown key ", name),
               nearest.empty() ? "weft train --help-keys lists the keys"
                               : absl::StrCat("did you mean ", nearest, "?"));
}

absl::Status CheckRange(const Origin &origin, const RecipeKey &key, double value, absl::string_view printed) {
  if (value >= key.least && value <= key.most) return absl::OkStatus(); // false for NaN
  bool open = key.most >= 1e9;
  return Wrong(origin, absl::StrCat(key.name, " is ", printed, " when it should be ",
                                    open ? absl::StrCat("at least ", key.least)
                                         : absl::StrCat("between ", key.least, " and ", key.most)));
}

absl::Status SetKey(Recipe &recipe, const RecipeKey &key, const toml::node &node, const Origin &origin) {
  auto field = key.field(recipe);
  auto wrong_type = [&] {
    return Wrong(origin, absl::StrCat(key.name, " is ", Printed(node), " when it should be ",
                                      key.type == "integer"         ? "a whole number"
                                      : key.type == "number"        ? "a number"
                                      : key.type == "text"          ? "text in quotes"
                                      : key.type == "true or false" ? "true or false"
                                                                    : "a list of texts in quotes"));
  };
  if (auto **out = std::get_if<int64_t *>(&field)) {
    std::optional<int64_t> value = node.value_exact<int64_t>();
    if (!value) {
      std::optional<double> number = node.value_exact<double>(); // 1e4 is a float to TOML
      if (!number || *number != std::floor(*number) || std::abs(*number) > 9e15) return wrong_type();
      value = static_cast<int64_t>(*number);
    }
    if (auto s = CheckRange(origin, key, static_cast<double>(*value), absl::StrCat(*value)); !s.ok())
      return s;
    **out = *value;
  } else if (auto **out = std::get_if<double *>(&field)) {
    if (!node.is_number()) return wrong_type();
    double value = *node.value<double>();
    if (auto s = CheckRange(origin, key, value, absl::StrCat(value)); !s.ok()) return s;
    **out = value;
  } else if (auto **out = std::get_if<std::string *>(&field)) {
    std::optional<std::string> value = node.value_exact<std::string>();
    if (!value) return wrong_type();
    if (!key.choices.empty() &&
        std::find(key.choices.begin(), key.choices.end(), *value) == key.choices.end()) {
      std::string nearest = Nearest(*value, key.choices);
      return Wrong(origin,
                   absl::StrCat(key.name, " is ", TomlQuoted(*value), " when it should be one of ",
                                absl::StrJoin(key.choices, ", ")),
                   nearest.empty() ? "" : absl::StrCat("did you mean ", nearest, "?"));
    }
    bool is_path = key.name == "model.file" || key.name == "run.dir" || key.name == "train.init" ||
                   (key.name == "data.tokenizer" && !absl::StartsWith(*value, "train:"));
    // The run directory is relative to where weft is started, whoever names it.
    **out =
        is_path && !value->empty() ? Absolute(key.name == "run.dir" ? "" : origin.folder, *value) : *value;
  } else if (auto **out = std::get_if<bool *>(&field)) {
    std::optional<bool> value = node.value_exact<bool>();
    if (!value) return wrong_type();
    **out = *value;
  } else {
    const toml::array *array = node.as_array();
    std::vector<std::string> values;
    if (!array && !node.is_string()) return wrong_type();
    if (!array)
      values.push_back(*node.value<std::string>());
    else
      for (const toml::node &element : *array) {
        if (!element.is_string()) return wrong_type();
        values.push_back(*element.value<std::string>());
      }
    for (std::string &value : values)
      if (key.type == "list of text") value = Absolute(origin.folder, value);
    *std::get<std::vector<std::string> *>(field) = std::move(values);
  }
  return absl::OkStatus();
}

absl::Status SetNode(Recipe &recipe, const std::string &name, const toml::node &node, const Origin &origin) {
  const auto &keys = RecipeKeys();
  auto key = std::find_if(keys.begin(), keys.end(), [&](const RecipeKey &k) { return k.name == name; });
  if (key != keys.end()) {
    if (absl::Status status = SetKey(recipe, *key, node, origin); !status.ok()) return status;
  } else if (absl::StartsWith(name, "model.") && name.find('.', 6) == std::string::npos) {
    ModelValue value;
    if (auto b = node.value_exact<bool>())
      value = *b;
    else if (auto i = node.value_exact<int64_t>())
      value = *i;
    else if (auto d = node.value_exact<double>())
      value = *d;
    else if (auto s = node.value_exact<std::string>())
      value = *s;
    else
      return Wrong(origin, absl::StrCat(name, " is ", Printed(node),
                                        " when it should be a number, true, false or text"));
    recipe.model.keys[name.substr(6)] = value;
  } else {
    return UnknownKey(origin, name);
  }
  recipe.given.insert(name);
  return absl::OkStatus();
}

absl::Status Override(Recipe &recipe, const std::string &text) {
  Origin origin{"", "."};
  size_t equal = text.find('=');
  if (equal == std::string::npos || equal == 0)
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is not of the form KEY=VALUE\nhint: for example train.steps=100"));
  std::string name = text.substr(0, equal), value = text.substr(equal + 1);
  if (LineOfDeepKey(value) > 0)
    return Wrong(origin, absl::StrCat(name, " has a key with more than ", kMaxKeyDots, " dots"));
  toml::parse_result parsed = toml::parse(absl::StrCat("value = ", value));
  const toml::node *node = parsed ? parsed.table().get("value") : nullptr;
  toml::table plain; // text without quotes, as shells make it
  if (!node || parsed.table().size() != 1) {
    toml::array list;
    for (absl::string_view part : absl::StrSplit(value, ',')) list.push_back(std::string(part));
    const auto &keys = RecipeKeys();
    auto key = std::find_if(keys.begin(), keys.end(), [&](const RecipeKey &k) { return k.name == name; });
    if (key != keys.end() && key->type == "list of text")
      plain.insert("value", list);
    else if (key != keys.end() && key->type == "list of prompts")
      plain.insert("value", toml::array(value)); // a comma belongs to it
    else
      plain.insert("value", value);
    node = plain.get("value");
  }
  return SetNode(recipe, name, *node, origin);
}

} // namespace

int64_t Recipe::DecaySteps() const {
  if (optimizer.decay_steps >= 0) return optimizer.decay_steps;
  return std::llround(optimizer.decay_fraction * static_cast<double>(train.steps));
}

absl::StatusOr<Recipe> ParseRecipe(absl::string_view text, const std::string &name,
                                   const std::vector<std::string> &overrides) {
  if (int64_t line = LineOfDeepKey(std::string_view(text.data(), text.size())); line > 0)
    return Wrong({absl::StrCat(name, ":", line, ": "), ""},
                 absl::StrCat("the key has more than ", kMaxKeyDots, " dots"));
  toml::parse_result parsed = toml::parse(std::string_view(text.data(), text.size()), name);
  if (!parsed) {
    const toml::parse_error &error = parsed.error();
    return absl::InvalidArgumentError(absl::StrCat(name, ":", error.source().begin.line,
                                                   ": not valid TOML: ", std::string(error.description())));
  }
  Recipe recipe;
  std::vector<std::string> sections;
  for (const RecipeKey &key : RecipeKeys())
    if (std::string section = key.name.substr(0, key.name.find('.'));
        sections.empty() || sections.back() != section)
      sections.push_back(section);
  std::string folder = std::filesystem::path(name).parent_path().string();
  for (const auto &[section_key, section_node] : parsed.table()) {
    std::string section(section_key.str());
    Origin origin{absl::StrCat(name, ":", section_key.source().begin.line, ": "),
                  folder.empty() ? "." : folder};
    const toml::table *table = section_node.as_table();
    if (!table) return UnknownKey(origin, section);
    if (std::find(sections.begin(), sections.end(), section) == sections.end()) {
      std::string nearest = Nearest(section, sections);
      return Wrong(origin, absl::StrCat("unknown section [", section, "]"),
                   nearest.empty() ? absl::StrCat("the sections are ", absl::StrJoin(sections, ", "))
                                   : absl::StrCat("did you mean [", nearest, "]?"));
    }
    for (const auto &[key, node] : *table) {
      origin.where = absl::StrCat(name, ":", key.source().begin.line, ": ");
      if (absl::Status status =
              SetNode(recipe, absl::StrCat(section, ".", std::string(key.str())), node, origin);
          !status.ok())
        return status;
    }
  }
  for (const std::string &text : overrides)
    if (absl::Status status = Override(recipe, text); !status.ok()) return status;
  if (absl::Status status = ResolveRecipe(recipe); !status.ok())
    return absl::Status(status.code(), absl::StrCat(name, ": ", status.message()));
  return recipe;
}

// What the recipe says neither of the model nor of the tokenizer is as train.init's checkpoint has it.
static absl::Status TakeFromInit(Recipe &recipe) {
  auto given = [&](const char *key) { return recipe.given.count(key) > 0; };
  bool model = given("model.name") || given("model.file"), tokenizer = given("data.tokenizer");
  const std::string &init = recipe.train.init;
  if (init.empty() || (model && tokenizer)) return absl::OkStatus();
  std::error_code error;
  std::string path = absl::StrCat(init, "/weft-recipe.toml"); // a checkpoint's
  if (!std::filesystem::exists(path, error)) path = absl::StrCat(init, "/recipe.toml");
  absl::StatusOr<std::string> text = ReadFile(path, kMaxRecipeBytes);
  if (!text.ok())
    return absl::Status(text.status().code(),
                        absl::StrCat("train.init is ", init, ", which is no checkpoint or run: ",
                                     std::string(text.status().message()),
                                     "\nhint: weft import makes a checkpoint of a Hugging Face folder"));
  absl::StatusOr<Recipe> theirs = ParseRecipe(*text, path);
  if (!theirs.ok()) return theirs.status();
  if (!model) {
    auto keys = std::move(recipe.model.keys);
    recipe.model = theirs->model;
    for (auto &[key, value] : keys) recipe.model.keys[key] = std::move(value);
    for (const std::string &key : theirs->given)
      if (absl::StartsWith(key, "model.")) recipe.given.insert(key);
  }
  if (!tokenizer) recipe.data.tokenizer = absl::StrCat(init, "/tokenizer.json");
  return absl::OkStatus();
}

absl::StatusOr<Recipe> LoadRecipe(const std::string &path, const std::vector<std::string> &overrides) {
  absl::StatusOr<std::string> text = ReadFile(path, kMaxRecipeBytes);
  if (!text.ok()) return text.status();
  absl::StatusOr<Recipe> recipe = ParseRecipe(*text, path, overrides);
  if (recipe.ok())
    if (absl::Status status = TakeFromInit(*recipe); !status.ok()) return status;
  return recipe;
}

std::string TomlQuoted(absl::string_view text) {
  std::string out = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\')
      absl::StrAppend(&out, "\\", std::string(1, c));
    else if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (c < 0x20 || c == 0x7f)
      absl::StrAppend(&out, "\\u00", absl::Hex(c, absl::kZeroPad2));
    else
      out += static_cast<char>(c);
  }
  return out + "\"";
}

} // namespace weft
