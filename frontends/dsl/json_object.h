// The text of a JSON object: what a model's hugging_face_config gives.
#pragma once
#include "frontends/dsl/line.h"

#include <cstdint>
#include <string>

namespace weft {

// Keys in the order in which they are added; a key is added once.
class JsonObject {
public:
  JsonObject &add(const std::string &key, const char *text);
  JsonObject &add(const std::string &key, const std::string &text) { return add(key, text.c_str()); }
  JsonObject &add(const std::string &key, int64_t number);
  JsonObject &add(const std::string &key, int number) { return add(key, int64_t{number}); }
  JsonObject &add(const std::string &key, double number); // as many digits as tell it from its neighbours
  JsonObject &add(const std::string &key, bool value);
  JsonObject &add(const std::string &key, const JsonObject &object);
  JsonObject &add_null(const std::string &key);
  JsonObject &add_list(const std::string &key, const std::string &only); // of one text

  std::string text() const; // a key a line

private:
  JsonObject &raw(const std::string &key, const std::string &value);
  std::string entries_;
};

} // namespace weft
