#include "compiler/trace/describe_import.h"
#include "compiler/trace/model_loader.h"
#include "runtime/data/file_io.h"
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

namespace weft {
namespace {
using nlohmann::ordered_json;

constexpr uint64_t kMaxConfigBytes = 16 << 20;

// The built-in models, the likeliest first: each try compiles one.
std::vector<std::string> candidates(const std::string &modelType) {
  std::vector<std::string> names = builtinModels();
  std::stable_partition(names.begin(), names.end(), [&](const std::string &n) { return n == modelType; });
  return names;
}

std::string architectureOf(const HuggingFaceConfig &config) {
  std::vector<std::string> list = config.texts("architectures");
  if (list.size() > 1) config.refuse("architectures", "one class is expected");
  return list.empty() ? "" : list[0];
}

ordered_json describe(const ModelInfo &info, const std::string &file, const HuggingFaceConfig &config) {
  std::vector<ConfigField> fields = info.from_hugging_face(config);
  ConfigMap map;
  ordered_json values = ordered_json::object();
  for (const ConfigField &field : fields) {
    map.push_back({field.name, field.value});
    std::visit([&](const auto &value) { values[field.name] = value; }, field.value);
  }
  WeightMap weights = info.weights(map);
  return {{"name", info.name},          {"file", file},           {"fields", values},
          {"ignored", weights.ignored}, {"equal", weights.equal}, {"optional", weights.optional},
          {"unread", config.unread()}};
}

} // namespace

std::variant<ImportDescription, std::string> describeImport(const std::string &configFile,
                                                            const std::string &model) {
  absl::StatusOr<std::string> text = ReadFile(configFile, kMaxConfigBytes);
  if (!text.ok()) return std::string(text.status().message());
  try {
    HuggingFaceConfig config = HuggingFaceConfig::parse(*text);
    std::string architecture = architectureOf(config), type = config.text("model_type", ""), known;
    bool file = model.find('/') != std::string::npos || model.ends_with(".cc");
    for (const std::string &name : model.empty() ? candidates(type) : std::vector<std::string>{model}) {
      std::string path = file ? std::filesystem::absolute(name).string() : builtinModelFile(name);
      if (path.empty()) return "no built-in model is named " + name;
      auto loaded = loadModel(path, "");
      if (auto *problem = std::get_if<std::string>(&loaded)) return *problem;
      const ModelInfo &info = *std::get<LoadedModel>(loaded).info;
      if (!info.architecture) {
        if (model.empty()) continue;
        return "model " + name + " reads no Hugging Face folder: its Config has no from_hugging_face";
      }
      if (architecture.empty() ? name == type || !model.empty() : architecture == info.architecture)
        return ImportDescription{describe(info, file ? path : "", config).dump()};
      known += (known.empty() ? "" : ", ") + std::string(info.architecture);
    }
    config.refuse(architecture.empty() ? "model_type" : "architectures",
                  (model.empty() ? "models are built in for " : "the model is for ") + known +
                      "\nhint: --model FILE.cc names a model of yours whose Config has from_hugging_face");
  } catch (const ModelError &e) {
    return std::filesystem::path(configFile).parent_path().string() + "/" + e.what();
  } catch (const std::exception &e) {
    return "the model's code ended with an exception: " + std::string(e.what());
  }
}

int describeImportCommand(int argc, char **argv) {
  std::string config, output, model;
  for (int i = 0; i < argc; ++i) {
    bool has = i + 1 < argc;
    if (!strcmp(argv[i], "-o") && has)
      output = argv[++i];
    else if (!strcmp(argv[i], "--model") && has)
      model = argv[++i];
    else
      config = argv[i];
  }
  if (config.empty() || output.empty()) {
    fprintf(stderr, "usage: weftc describe-import CONFIG.json -o F.json [--model MODEL|FILE.cc]\n");
    return 2;
  }
  auto described = describeImport(config, model);
  std::string problem;
  if (auto *text = std::get_if<std::string>(&described)) problem = *text;
  if (problem.empty())
    problem = std::string(WriteFileAtomically(output, std::get<ImportDescription>(described).json).message());
  if (problem.empty()) return 0;
  fprintf(stderr, "error: %s\n", problem.c_str());
  return 1;
}

} // namespace weft
