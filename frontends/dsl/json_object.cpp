#include "frontends/dsl/json_object.h"

#include <cstdio>
#include <cstdlib>

namespace weft {
namespace {

std::string quoted(const std::string &text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) {
      out += c;
      continue;
    }
    char escape[8];
    snprintf(escape, sizeof escape, "\\u%04x", c);
    out += escape;
  }
  return out + '"';
}

std::string shortest(double number) {
  char text[40];
  for (int digits = 6; digits <= 17; ++digits) {
    snprintf(text, sizeof text, "%.*g", digits, number);
    if (std::strtod(text, nullptr) == number) break;
  }
  std::string out = text;
  return out.find_first_of(".en") == std::string::npos ? out + ".0" : out;
}

} // namespace

JsonObject &JsonObject::raw(const std::string &key, const std::string &value) {
  entries_ += (entries_.empty() ? "  " : ",\n  ") + quoted(key) + ": " + value;
  return *this;
}
JsonObject &JsonObject::add(const std::string &key, const char *text) { return raw(key, quoted(text)); }
JsonObject &JsonObject::add(const std::string &key, int64_t number) {
  return raw(key, std::to_string(number));
}
JsonObject &JsonObject::add(const std::string &key, double number) { return raw(key, shortest(number)); }
JsonObject &JsonObject::add(const std::string &key, bool value) { return raw(key, value ? "true" : "false"); }
JsonObject &JsonObject::add_null(const std::string &key) { return raw(key, "null"); }
JsonObject &JsonObject::add_list(const std::string &key, const std::string &only) {
  return raw(key, "[" + quoted(only) + "]");
}
JsonObject &JsonObject::add(const std::string &key, const JsonObject &object) {
  std::string inner = object.text();
  inner.pop_back(); // the line's end
  std::string indented;
  for (char c : inner) indented += c == '\n' ? std::string("\n  ") : std::string(1, c);
  return raw(key, indented);
}

std::string JsonObject::text() const { return entries_.empty() ? "{}\n" : "{\n" + entries_ + "\n}\n"; }

} // namespace weft
