#include "compiler/compile_options.h"
#include "runtime/train/recipe.h"
#include <filesystem>

namespace weft {

const char *const kCompileHelp = R"(usage: weft compile MODEL|FILE.cc|RECIPE.toml -o F.weft [options]

Compiles a model's training, evaluation and generation programs into one artifact.
MODEL is a built-in model (llama), FILE.cc a model of yours, RECIPE.toml takes everything from a recipe.

  -o F.weft               the artifact to write (needed unless --stop-after or --check-phases is given)
  --config C              a config of the model: configs/C.toml beside it (default demo)
  --set KEY=VALUE         a recipe's key, as model.dim=512 or train.seq=1024; may be given often
  --target T              cpu (every level, chosen when it starts), cpu:native (default), cpu:avx2, cpu:avx512, cpu:avx512bf16, cpu:amx
  --precision P           f32 (default), or bf16: of the factors of products
  --memory-budget SIZE    most memory a rank, as 1.5GB: what does not fit is computed again in backward
  --dot-unit U            auto (default), amx, vdpbf16: the order in which bf16 products are added
  --batch N               sequences of a step, over all ranks (default 64)
  --micro-batch N         sequences computed at once on a rank (default 16)
  --seq N                 tokens of a sequence (default 256)
  --shards N              virtual shards of the batch; 0 = one a data-parallel rank (default 0)
  --data-parallel N       ranks that share a batch (default 1)
  --stop-after PHASE      stop there and print the module
  --dump-phases DIR       the module after each phase, a file each
  --tune[=SECONDS]        measures other fusions and other schedules of the kernels on this machine, with the recipe's
                          threads, for about that long (default 60), what takes most of a step first, and keeps the
                          fastest; no bit changes. They are kept in $XDG_CACHE_HOME/weft (~/.cache), where every
                          compilation looks; WEFT_TUNING_CACHE=off: neither read nor written. Kernels' code is kept there
                          by any compilation; WEFT_OBJECT_CACHE=off: not
  --check-phases          interpret the program after each phase and compare, run the compiled kernels on the values
                          that reach them, and name the first pass, op or kernel that is off; on random data, or with
  --checkpoint RUN|CHECKPOINT
                          on its parameters, its states, and the batch that it would train on next; the recipe is
                          its own where none is named
  --check-data FILE       on this text or token file (*.tokens) instead of what the run trains on; "recipe": the
                          recipe's own text
  --check-limit SECONDS   most that it may be expected to take (default 600; 0 = any)
  --substitute-kernel KERNEL=FILE
                          a kernel's schedule from FILE.mlir, or code from FILE.ll, FILE.s, FILE.o (of one level:
                          KERNEL@LEVEL=FILE); held against the compiler's own on made-up data; may be given often
  --no-substitution-check takes it unseen
  --remarks[=REGEX]       what the compiler decided and why, with the model's line; those that match
  --remarks-json FILE     all of them, a JSON object a line
  -h, --help              this text

phases:)";

namespace {

// The recipe that a run or a checkpoint was made with; "" where there is none.
std::string recipeOf(const std::string &checkpoint) {
  std::error_code error;
  for (const char *name : {"/recipe.toml", "/weft-recipe.toml"})
    if (!checkpoint.empty() && std::filesystem::exists(checkpoint + name, error)) return checkpoint + name;
  return "";
}

} // namespace

std::variant<CompileOptions, std::string> parseCompileOptions(const std::vector<std::string> &args) {
  CompileOptions out;
  std::optional<std::string> remarks;
  // Options that are a recipe's key under another name.
  const std::pair<const char *, const char *> keys[] = {{"--config", "model.config"},
                                                        {"--target", "run.target"},
                                                        {"--precision", "train.precision"},
                                                        {"--dot-unit", "train.dot_unit"},
                                                        {"--batch", "train.batch"},
                                                        {"--micro-batch", "train.micro_batch"},
                                                        {"--seq", "train.seq"},
                                                        {"--shards", "train.shards"},
                                                        {"--memory-budget", "run.memory_budget"}};
  CompileRequest &request = out.request;
  for (size_t i = 0; i < args.size(); ++i) {
    std::string a = args[i], value;
    bool has = false;
    if (size_t eq = a.find('='); a.rfind("--", 0) == 0 && eq != std::string::npos) {
      value = a.substr(eq + 1);
      a = a.substr(0, eq);
      has = true;
    }
    auto take = [&]() {
      if (has) return true;
      if (i + 1 >= args.size()) return false;
      value = args[++i];
      return true;
    };
    if (a == "-h" || a == "--help") {
      out.help = true;
      return out;
    }
    if (a == "--check-phases") {
      request.checkPhases = true;
      continue;
    }
    if (a == "--no-substitution-check") {
      request.checkSubstitutions = false;
      continue;
    }
    if (a == "--tune") {
      std::string seconds = has ? value : "60";
      if (!seconds.empty() && seconds.back() == 's') seconds.pop_back();
      if (seconds.empty() || seconds.size() > 6 ||
          seconds.find_first_not_of("0123456789") != std::string::npos)
        return "--tune is " + value + " when it should be a whole number of seconds";
      out.overrides.push_back("run.tune=" + seconds);
      continue;
    }
    if (a == "--remarks") {
      remarks = value;
      continue;
    }
    const char *key = nullptr;
    for (auto &[option, name] : keys)
      if (a == option) key = name;
    bool known = key || a == "-o" || a == "--set" || a == "--stop-after" || a == "--dump-phases" ||
                 a == "--remarks-json" || a == "--checkpoint" || a == "--check-data" ||
                 a == "--check-limit" || a == "--data-parallel" || a == "--substitute-kernel";
    if (!known && a.size() > 1 && a[0] == '-') return "unknown option " + a;
    if (known && !take()) return a + " needs a value";
    if (a == "--memory-budget")
      out.overrides.push_back(std::string(key) + "=" + TomlQuoted(value)); // a number alone is bytes
    else if (key)
      out.overrides.push_back(std::string(key) + "=" + value);
    else if (a == "-o")
      out.output = value;
    else if (a == "--set")
      out.overrides.push_back(value);
    else if (a == "--data-parallel")
      out.overrides.insert(out.overrides.end(), {"run.ranks=" + value, "run.plan=dp" + value});
    else if (a == "--dump-phases")
      request.dumpFolder = value;
    else if (a == "--remarks-json")
      out.remarksFile = value;
    else if (a == "--checkpoint")
      request.checkCheckpoint = value;
    else if (a == "--check-data")
      out.checkData = value;
    else if (a == "--check-limit") {
      char *end = nullptr;
      request.checkLimit = strtod(value.c_str(), &end);
      if (value.empty() || *end || !(request.checkLimit >= 0))
        return "--check-limit is " + value + " when it should be a number of seconds";
    } else if (a == "--substitute-kernel") {
      auto substitution = parseSubstitution(value);
      if (auto *problem = std::get_if<std::string>(&substitution)) return *problem;
      request.substitutions.push_back(std::get<Substitution>(substitution));
    } else if (a == "--stop-after") {
      const PhaseInfo *phase = findPhase(value);
      if (!phase) return "there is no phase " + value;
      request.stopAfter = phase->phase;
    } else if (out.input.empty())
      out.input = a;
    else
      return "one thing to compile, not " + out.input + " and " + a;
  }
  try {
    if (remarks) out.remarks = std::regex(*remarks);
  } catch (const std::regex_error &e) {
    return "--remarks=" + *remarks + " is no regular expression: " + e.what();
  }
  if (!request.checkPhases && !(request.checkCheckpoint.empty() && out.checkData.empty()))
    return std::string("--checkpoint and --check-data are what --check-phases looks at");
  if (out.input.empty()) out.input = recipeOf(request.checkCheckpoint);
  if (out.input.empty()) return std::string("nothing to compile: name a model, a .cc file or a recipe");
  if (out.output.empty() && !request.stopAfter && !request.checkPhases)
    return std::string("-o names the artifact to write");
  return out;
}

} // namespace weft
