#include "compiler/compile_settings.h"
#include "passes/codegen/cpu/level.h"
#include "runtime/device/cpu.h"
#include "runtime/device/thread_pool.h"
#include "runtime/train/nearest.h"
#include "runtime/train/toml.h"
#include <filesystem>

namespace weft {
namespace {
namespace fs = std::filesystem;

// The config file of a model: configs/NAME.toml beside its source.
std::variant<ConfigMap, std::string> readConfig(const std::string &modelFile, const Recipe &recipe,
                                                bool builtin) {
  ConfigMap map;
  fs::path file = fs::path(modelFile).parent_path() / "configs" / (recipe.model.config + ".toml");
  if (fs::exists(file)) {
    auto parsed = toml::parse_file(file.string());
    if (!parsed) return file.string() + ": " + std::string(parsed.error().description());
    for (auto &[key, value] : parsed.table()) {
      std::string name(key.str());
      if (auto *b = value.as_boolean())
        map.push_back({name, b->get()});
      else if (auto *i = value.as_integer())
        map.push_back({name, i64(i->get())});
      else if (auto *d = value.as_floating_point())
        map.push_back({name, d->get()});
      else if (auto *s = value.as_string())
        map.push_back({name, s->get()});
      else
        return file.string() + ": " + name + " should be a number, true, false or text";
    }
  } else if (!recipe.model.config.empty()) {
    std::string have;
    std::error_code error;
    for (auto &entry : fs::directory_iterator(file.parent_path(), error))
      have += (have.empty() ? "" : ", ") + entry.path().stem().string();
    return (builtin ? recipe.model.name : modelFile) + " has no config named " + recipe.model.config +
           (have.empty() ? ": there is no " + file.string() : "; it has " + have);
  }
  for (auto &[key, value] : recipe.model.keys)
    std::visit(
        [&, k = key](auto v) {
          if constexpr (std::is_same_v<decltype(v), int64_t>)
            map.push_back({k, i64(v)});
          else
            map.push_back({k, v});
        },
        value);
  return map;
}

// Fills in what is compiled for. "", or what is wrong.
std::string setTarget(const Recipe &recipe, CompileSettings &out) {
  std::string target = recipe.run.target, level = target.size() > 4 ? target.substr(4) : "";
  if (target == "cpu:native") {
    level = CpuLevelName(DetectCpuLevel());
    if (level == "none") return "this machine has no AVX2; compile for another with --target cpu";
  } else if (target != "cpu" && (target.substr(0, 4) != "cpu:" || !cpu::findCpuLevel(level))) {
    std::string names;
    for (const cpu::CpuLevel *l : cpu::cpuLevels()) names += ", cpu:" + l->name.str();
    return "unknown target " + target + "; there are cpu, cpu:native" + names;
  }
  bool bf16 = recipe.train.precision == "bf16";
  // The order of AMX is everyone's but where the machine has another and not that one.
  if (bf16)
    out.bf16Unit = recipe.train.dot_unit != "auto" ? recipe.train.dot_unit
                   : level == "avx512bf16"         ? "vdpbf16"
                                                   : "amx";
  // A level that has nothing for this program over the one below it is not compiled.
  auto useful = [&](const cpu::CpuLevel &l) {
    return l.amx ? out.bf16Unit == "amx" : l.bf16 ? out.bf16Unit == "vdpbf16" : true;
  };
  std::string last;
  for (const cpu::CpuLevel *l : cpu::cpuLevels()) {
    if (useful(*l)) last = l->name.str();
    if (useful(*l) && level.empty()) out.levels.push_back(last);
    if (l->name == level) out.levels.push_back(last);
  }
  return "";
}

} // namespace

std::variant<CompileSettings, std::string> resolveSettings(const Recipe &recipe, bool forTraining,
                                                           bool forGeneration) {
  CompileSettings out;
  if (std::string problem = setTarget(recipe, out); !problem.empty()) return problem;
  out.threads = recipe.run.threads > 0 ? int(recipe.run.threads)
                                       : std::max(1, ThreadPool::HardwareThreads() / int(recipe.run.ranks));
  if (recipe.run.target == "cpu:native") out.passThreads = std::max(2, out.threads);

  bool builtin = recipe.model.file.empty();
  std::string file = builtin ? builtinModelFile(recipe.model.name) : recipe.model.file;
  if (file.empty()) {
    std::string nearest = Nearest(recipe.model.name, builtinModels()), list;
    for (const std::string &name : builtinModels()) list += (list.empty() ? "" : ", ") + name;
    return "no built-in model is named " + recipe.model.name + "; there are: " + list +
           (nearest.empty() ? "" : "\nhint: did you mean " + nearest + "?");
  }
  auto loaded = loadModel(file, builtin || recipe.given.count("model.name") ? recipe.model.name : "");
  if (auto *problem = std::get_if<std::string>(&loaded)) return *problem;
  out.model = std::get<LoadedModel>(loaded);
  auto config = readConfig(file, recipe, builtin);
  if (auto *problem = std::get_if<std::string>(&config)) return *problem;

  ProgramOptions &options = out.program;
  options.config = std::get<ConfigMap>(config);
  options.micro_batch = recipe.train.micro_batch;
  options.seq = recipe.train.seq;
  options.context = 0;
  options.generate_batch = recipe.run.generate_batch;
  options.absorbed = recipe.run.absorbed;
  options.train = options.evaluate = forTraining;
  // A pipeline's stages train and evaluate; their checkpoints are served by programs of one stage.
  options.generate = forGeneration && recipe.pipeline <= 1;
  options.optimizer = {
      recipe.optimizer.name,     recipe.optimizer.beta1,
      recipe.optimizer.beta2,    recipe.optimizer.eps,
      recipe.optimizer.momentum, recipe.optimizer.weight_decay,
      recipe.optimizer.clip,     recipe.optimizer.moments == "bf16" ? DType::bf16 : DType::f32};
  int64_t rows = recipe.train.micro_batch * recipe.data_parallel;
  if (rows <= 0 || recipe.train.batch % rows)
    return "train.batch is " + std::to_string(recipe.train.batch) +
           ", not a multiple of micro_batch times the data-parallel ranks, " + std::to_string(rows);
  auto layout = layoutBatch(recipe.train.shards, recipe.data_parallel, recipe.train.batch / rows,
                            recipe.train.micro_batch);
  if (auto *problem = std::get_if<std::string>(&layout)) return *problem;
  out.layout = std::get<BatchLayout>(layout);
  out.microBatches = std::max<int64_t>(1, recipe.train.batch / rows);
  return out;
}

} // namespace weft
