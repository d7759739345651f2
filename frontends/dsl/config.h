// A model's settings: fields of a plain struct, read by name.
//   struct Config { i64 dim = 512; double theta = 1e4; bool tied = false; WEFT_FIELDS(dim, theta, tied) };
#pragma once
#include "frontends/dsl/builder.h"

namespace weft {

using ConfigValue = std::variant<i64, double, bool, std::string>;
using ConfigMap = std::vector<std::pair<std::string, ConfigValue>>; // as TOML or the command line gives them;
                                                                    // the last of a name counts

// A field as `--help` shows it: its default, and thereby its type.
struct ConfigField {
  std::string name;
  ConfigValue value;
};

struct FieldRef {
  std::string name;
  std::variant<i64 *, int *, double *, bool *, std::string *> target;
};

// Names as the macro's text gives them: "dim, theta, tied".
std::vector<FieldRef> name_fields(std::string_view names, std::vector<FieldRef> fields);
template <class... T> std::vector<FieldRef> field_refs(std::string_view names, T &...fields) {
  return name_fields(names, {FieldRef{"", &fields}...});
}
// The second macro so that lists of fields which are macros (WEFT_ROTARY_FIELDS) become their names.
#define WEFT_FIELDS(...) WEFT_FIELD_NAMES(__VA_ARGS__)
#define WEFT_FIELD_NAMES(...)                                                                                \
  std::vector<::weft::FieldRef> weft_fields() { return ::weft::field_refs(#__VA_ARGS__, __VA_ARGS__); }

// Insertions, deletions and substitutions between two words.
size_t edit_distance(std::string_view a, std::string_view b);

ConfigValue field_value(const FieldRef &ref);

const char *config_type(const ConfigValue &value);

// Sets the fields named in `config`; ModelError for an unknown key (naming the nearest one) and for a value
// of another type. `what`: "llama".
void read_config(const std::vector<FieldRef> &fields, const ConfigMap &config, const std::string &what);

} // namespace weft
