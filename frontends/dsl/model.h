// WEFT_MODEL(fn): makes `Tensor fn(Scope s, const Sequence &seq, const Config &c)` a model of this file,
// named fn. A file may hold several.
#pragma once
#include "frontends/dsl/model_info.h"

namespace weft {
namespace detail {

template <class Config> Config make_config(const ConfigMap &map, const char *name) {
  Config config;
  read_config(config.weft_fields(), map, name);
  return config;
}

template <auto fn> struct ModelOf;
template <class Config, Tensor (*fn)(Scope, const Sequence &, const Config &)> struct ModelOf<fn> {
  static inline const char *name = "";

  static std::vector<ConfigField> fields_of(Config config) {
    std::vector<ConfigField> list;
    for (const FieldRef &ref : config.weft_fields()) list.push_back({ref.name, field_value(ref)});
    return list;
  }
  static std::vector<ConfigField> fields() { return fields_of(Config()); }
  static std::vector<ConfigField> from_hugging_face(const HuggingFaceConfig &h) {
    if constexpr (requires { Config::from_hugging_face(h); }) return fields_of(Config::from_hugging_face(h));
    return {};
  }
  static WeightMap weights(const ConfigMap &map) {
    if constexpr (requires(const Config &c) { c.hugging_face_weights(); })
      return make_config<Config>(map, name).hugging_face_weights();
    return {};
  }
  static std::string hugging_face_config(const ConfigMap &map) {
    if constexpr (requires(const Config &c) { c.hugging_face_config(); })
      return make_config<Config>(map, name).hugging_face_config();
    return "";
  }
  static Tensor build(const Scope &root, const Sequence &seq, const ConfigMap &map) {
    return fn(root, seq, make_config<Config>(map, name));
  }

  static ModelInfo info(const char *model_name, const SourceLine &line) {
    name = model_name;
    ModelInfo m{.name = model_name, .line = line, .fields = fields, .build = build};
    if constexpr (requires(const Config &c) { c.hugging_face_config(); })
      m.hugging_face_config = hugging_face_config;
    if constexpr (requires { Config::hugging_face_name(std::string()); })
      m.file_name = Config::hugging_face_name;
    if constexpr (requires { Config::from_hugging_face(HuggingFaceConfig::parse("")); }) {
      m.architecture = Config::hugging_face_architecture;
      m.from_hugging_face = from_hugging_face;
      m.weights = weights;
    }
    return m;
  }
};

// Hidden: one list a model file.
[[gnu::visibility("hidden")]] inline constinit ModelTable model_table;

struct RegisteredModel {
  ModelInfo info;
  explicit RegisteredModel(const ModelInfo &m) : info(m) {
    const ModelInfo **last = &model_table.first;
    while (*last) last = const_cast<const ModelInfo **>(&(*last)->next);
    *last = &info;
  }
};

} // namespace detail
} // namespace weft

extern "C" [[gnu::weak, gnu::used, gnu::visibility("default")]] const weft::ModelTable *weft_models();
extern "C" const weft::ModelTable *weft_models() { return &weft::detail::model_table; }

#define WEFT_MODEL(fn)                                                                                       \
  static ::weft::detail::RegisteredModel weft_model_##fn(                                                    \
      ::weft::detail::ModelOf<&fn>::info(#fn, ::weft::source_line(std::source_location::current())));
