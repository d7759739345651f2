#include "frontends/dsl/config.h"

namespace weft {

std::vector<FieldRef> name_fields(std::string_view names, std::vector<FieldRef> fields) {
  for (FieldRef &field : fields) {
    size_t begin = names.find_first_not_of(" ,"), end = names.find_first_of(" ,", begin);
    field.name = std::string(names.substr(begin, end - begin));
    names.remove_prefix(end == names.npos ? names.size() : end);
  }
  return fields;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t change = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      size_t shift = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
      row[j] = change < shift ? change : shift;
    }
  }
  return row[b.size()];
}

ConfigValue field_value(const FieldRef &ref) {
  if (auto *p = std::get_if<i64 *>(&ref.target)) return **p;
  if (auto *p = std::get_if<int *>(&ref.target)) return static_cast<i64>(**p);
  if (auto *p = std::get_if<double *>(&ref.target)) return **p;
  if (auto *p = std::get_if<bool *>(&ref.target)) return **p;
  return **std::get_if<std::string *>(&ref.target);
}

const char *config_type(const ConfigValue &value) {
  static const char *const names[] = {"an integer", "a number", "true or false", "a string"};
  return names[value.index()];
}

void read_config(const std::vector<FieldRef> &fields, const ConfigMap &config, const std::string &what) {
  for (const auto &[key, value] : config) {
    const FieldRef *field = nullptr, *nearest = nullptr;
    size_t best = 0;
    std::string known;
    for (const FieldRef &ref : fields) {
      size_t distance = edit_distance(ref.name, key);
      if (distance == 0) field = &ref;
      if (!nearest || distance < best) nearest = &ref, best = distance;
      known += (known.empty() ? "" : ", ") + ref.name;
    }
    if (!field) {
      std::string text = "unknown key '" + key + "' in the config of " + what;
      if (nearest && best <= 1 + key.size() / 3) text += "; did you mean '" + nearest->name + "'?";
      throw ModelError(text + " (keys: " + known + ")");
    }
    const i64 *whole = std::get_if<i64>(&value);
    const double *real = std::get_if<double>(&value);
    const bool *flag = std::get_if<bool>(&value);
    const std::string *text = std::get_if<std::string>(&value);
    bool set = true;
    if (auto *p = std::get_if<i64 *>(&field->target); p && whole)
      **p = *whole;
    else if (auto *p = std::get_if<int *>(&field->target); p && whole)
      **p = static_cast<int>(*whole);
    else if (auto *p = std::get_if<double *>(&field->target); p && (whole || real))
      **p = whole ? static_cast<double>(*whole) : *real;
    else if (auto *p = std::get_if<bool *>(&field->target); p && flag)
      **p = *flag;
    else if (auto *p = std::get_if<std::string *>(&field->target); p && text)
      **p = *text;
    else
      set = false;
    if (!set)
      throw ModelError("key '" + key + "' in the config of " + what + " should be " +
                       config_type(field_value(*field)) + ", got " + config_type(value));
  }
}

} // namespace weft
