// weftc: the compiler. `weft compile` starts it.
#include "compiler/compile_program.h"
#include "compiler/describe_import.h"
#include "compiler/follow_ops.h"
#include "compiler/inspect_kernel.h"
#include "compiler/kernel_file.h"
#include "compiler/user_inputs.h"
#include "mlir/IR/MLIRContext.h"
#include "runtime/artifact/writer.h"
#include "runtime/train/byte_size.h"
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <regex>
#include <unistd.h>

namespace weft {
namespace {

constexpr const char *kHelp = R"(usage: weft compile MODEL|FILE.cc|RECIPE.toml -o F.weft [options]

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
  --tune[=SECONDS]        measures other schedules of the kernels on this machine, with the recipe's threads, for about
                          that long (default 60), what takes most of a step first, and keeps the fastest; no bit
                          changes. They are kept in $XDG_CACHE_HOME/weft/schedules (~/.cache), where every
                          compilation looks; WEFT_TUNING_CACHE=off: neither read nor written
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

int usage(const std::string &what) {
  fprintf(stderr, "error: %s\nhint: weft compile --help\n", what.c_str());
  return 2;
}
int failWith(const std::string &what) {
  fprintf(stderr, "error: %s\n", what.c_str());
  return 1;
}
struct Place {
  std::string file, path;
  int line = 0;
};
Place placeOf(mlir::Location location) {
  Place place;
  location->walk([&](mlir::Location l) {
    if (auto named = llvm::dyn_cast<mlir::NameLoc>(l)) place.path = named.getName().str();
    if (auto file = llvm::dyn_cast<mlir::FileLineColLoc>(l)) {
      place.file = file.getFilename().str();
      place.line = file.getLine();
      return mlir::WalkResult::interrupt();
    }
    return mlir::WalkResult::advance();
  });
  return place;
}

// The recipe that a run or a checkpoint was made with; "" where there is none.
std::string recipeOf(const std::string &checkpoint) {
  std::error_code error;
  for (const char *name : {"/recipe.toml", "/weft-recipe.toml"})
    if (!checkpoint.empty() && std::filesystem::exists(checkpoint + name, error)) return checkpoint + name;
  return "";
}

// What --check-phases found in order.
std::string checkedText(const CompileReport &report, const std::string &from) {
  const KernelCheck &c = *report.kernelCheck;
  std::string levels;
  for (const std::string &level : c.levels) levels += (levels.empty() ? "" : ", ") + level;
  const GradientCheck &g = report.gradients;
  std::string gradients = g.held > 0 ? ", gradients by differences" : "";
  if (!g.left.empty()) gradients += ", gradients not by differences: " + g.left.substr(0, 300);
  char text[1400];
  snprintf(text, sizeof text,
           "checked in %.1f s on %s: phases in f64%s; %lld kernels (%s) in %lld launches, %lld results; the "
           "program as a whole, to the bit\n",
           report.checkSeconds, from.empty() ? "random data" : from.c_str(), gradients.c_str(),
           (long long)c.kernels, levels.c_str(), (long long)c.launches, (long long)c.results);
  std::string out = text;
  for (auto &[family, worst] : c.worst) {
    if (worst.error == 0) continue;
    snprintf(text, sizeof text, "  %-10s at most %.2f of the error that is tolerated", family.c_str(),
             worst.error);
    out += text + (", in " + worst.kernel) + "\n";
  }
  if (c.unbounded > 0)
    out += "  of " + std::to_string(c.unbounded) + " results no declared error says anything\n";
  return out;
}

// What the memory budget cost.
std::string recomputeText(const CompileReport &report, int64_t budget) {
  const RecomputeChoice &r = *report.recompute;
  char text[400];
  if (r.again.empty())
    snprintf(text, sizeof text, "memory budget %s: enough for all that is kept", ByteText(budget).c_str());
  else
    snprintf(text, sizeof text,
             "memory budget %s: %zu value%s recomputed, %+.1f %% predicted step time; %s instead of %s (%lld "
             "programs compared in %.1f s)",
             ByteText(budget).c_str(), r.again.size(), r.again.size() == 1 ? "" : "s", r.addedPart() * 100,
             ByteText(r.bytes).c_str(), ByteText(r.wholeBytes).c_str(), (long long)r.trials,
             report.recomputeSeconds);
  return text;
}

int compile(const std::vector<std::string> &args) {
  std::string input, output, remarksFile, checkData;
  std::optional<std::string> remarks;
  std::vector<std::string> overrides;
  CompileRequest request;
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
      puts(kHelp);
      for (const PhaseInfo &p : phases()) printf("  %-22s  %s\n", p.name, p.description);
      return 0;
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
        return usage("--tune is " + value + " when it should be a whole number of seconds");
      overrides.push_back("run.tune=" + seconds);
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
    if (!known && a.size() > 1 && a[0] == '-') return usage("unknown option " + a);
    if (known && !take()) return usage(a + " needs a value");
    if (a == "--memory-budget")
      overrides.push_back(std::string(key) + "=" + TomlQuoted(value)); // a number alone is bytes
    else if (key)
      overrides.push_back(std::string(key) + "=" + value);
    else if (a == "-o")
      output = value;
    else if (a == "--set")
      overrides.push_back(value);
    else if (a == "--data-parallel")
      overrides.insert(overrides.end(), {"run.ranks=" + value, "run.plan=dp" + value});
    else if (a == "--dump-phases")
      request.dumpFolder = value;
    else if (a == "--remarks-json")
      remarksFile = value;
    else if (a == "--checkpoint")
      request.checkCheckpoint = value;
    else if (a == "--check-data")
      checkData = value;
    else if (a == "--check-limit") {
      char *end = nullptr;
      request.checkLimit = strtod(value.c_str(), &end);
      if (value.empty() || *end || !(request.checkLimit >= 0))
        return usage("--check-limit is " + value + " when it should be a number of seconds");
    } else if (a == "--substitute-kernel") {
      auto substitution = parseSubstitution(value);
      if (auto *problem = std::get_if<std::string>(&substitution)) return usage(*problem);
      request.substitutions.push_back(std::get<Substitution>(substitution));
    } else if (a == "--stop-after") {
      const PhaseInfo *phase = findPhase(value);
      if (!phase) return usage("there is no phase " + value);
      request.stopAfter = phase->phase;
    } else if (input.empty())
      input = a;
    else
      return usage("one thing to compile, not " + input + " and " + a);
  }
  std::regex wanted;
  try {
    if (remarks) wanted = std::regex(*remarks);
  } catch (const std::regex_error &e) {
    return usage("--remarks=" + *remarks + " is no regular expression: " + e.what());
  }
  if (!request.checkPhases && !(request.checkCheckpoint.empty() && checkData.empty()))
    return usage("--checkpoint and --check-data are what --check-phases looks at");
  if (input.empty()) input = recipeOf(request.checkCheckpoint);
  if (input.empty()) return usage("nothing to compile: name a model, a .cc file or a recipe");
  if (output.empty() && !request.stopAfter && !request.checkPhases)
    return usage("-o names the artifact to write");

  absl::StatusOr<Recipe> recipe = Recipe();
  auto endsWith = [&](const char *suffix) {
    return input.size() > strlen(suffix) &&
           input.compare(input.size() - strlen(suffix), std::string::npos, suffix) == 0;
  };
  if (endsWith(".toml"))
    recipe = LoadRecipe(input, overrides);
  else {
    std::string text = endsWith(".cc") || input.find('/') != std::string::npos
                           ? "[model]\nfile = " + TomlQuoted(input) + "\n"
                           : "[model]\nname = " + TomlQuoted(input) + "\n";
    recipe = ParseRecipe(text, "command line", overrides);
  }
  if (recipe.ok())
    if (absl::Status s = ResolveRecipe(*recipe); !s.ok()) recipe = s;
  if (!recipe.ok()) return failWith(std::string(recipe.status().message()));
  request.say = [](const std::string &text) { fprintf(stderr, "%s\n", text.c_str()); };
  if (!request.checkCheckpoint.empty() || !checkData.empty())
    if (absl::Status s =
            ReadUserText(*recipe, request.checkCheckpoint, checkData, request.phaseInputs, request.say);
        !s.ok())
      return failWith(std::string(s.message()));
  request.recipe = *recipe;

  const bool terminal = isatty(STDERR_FILENO);
  request.progress = [&](const std::string &text) {
    if (terminal)
      fprintf(stderr, "\r\033[K%s", text.c_str());
    else if (!text.empty())
      fprintf(stderr, "%s\n", text.c_str());
  };
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  auto result = compileProgram(context, request);
  if (auto *problem = std::get_if<std::string>(&result)) return failWith(*problem);
  CompileReport &report = std::get<CompileReport>(result);

  if (remarks) {
    for (const Remark &r : report.remarks) {
      Place p = placeOf(r.location);
      std::string text = p.file + ":" + std::to_string(p.line) + ": " + r.pass + ": " + r.message +
                         (p.path.empty() ? "" : " [" + p.path + "]");
      if (std::regex_search(text, wanted)) printf("%s\n", text.c_str());
    }
  }
  if (!remarksFile.empty()) {
    std::ofstream out(remarksFile);
    for (const Remark &r : report.remarks) {
      Place p = placeOf(r.location);
      out << nlohmann::json{{"pass", r.pass}, {"kind", r.kind}, {"message", r.message},
                            {"file", p.file}, {"line", p.line}, {"module", p.path}}
                 .dump()
          << "\n";
    }
    if (!out.flush()) return failWith("cannot write " + remarksFile);
  }
  if (request.stopAfter) {
    std::cout << report.stopped;
    return 0;
  }
  if (!output.empty())
    if (absl::Status s = WriteArtifact(report.artifact, output); !s.ok())
      return failWith(std::string(s.message()));
  printf("%s %s: %.2f M parameters, %zu kernels\n", output.empty() ? "not kept:" : "compiled",
         report.artifact.model.c_str(), report.parameters / 1e6, report.numKernels);
  for (auto &kernel : report.artifact.kernels)
    if (!kernel->substituted.empty())
      printf("substituted %s: %s\n", kernel->name.c_str(), kernel->substituted.c_str());
  if (const FusionReport &f = report.fusions; f.measured > 0 || f.left > 0) {
    printf("tuned: %lld of %lld products have a faster way to compute what reads them (%lld known before)",
           (long long)f.faster, (long long)f.measured, (long long)f.fromCache);
    if (f.left > 0) printf("; %lld not measured: no time left, --tune again goes on", (long long)f.left);
    printf("\n");
  }
  if (const TuneReport &t = report.tuning; t.tuned > 0 || t.left > 0) {
    printf("tuned: %lld of %lld kernels and sizes have a faster schedule (%lld known before)",
           (long long)t.faster, (long long)t.tuned, (long long)t.fromCache);
    if (t.ownStepMs > 0)
      printf("; theirs of a training step: %.1f → %.1f ms as measured", t.ownStepMs, t.stepMs);
    if (t.left > 0) printf("; %lld not measured: no time left, --tune again goes on", (long long)t.left);
    printf("\n");
  }
  if (report.kernelCheck) printf("%s", checkedText(report, request.phaseInputs.from).c_str());
  printf("memory a rank: %s parameters and states, %s arena\n", ByteText(report.persistentBytes).c_str(),
         ByteText(report.arenaBytes).c_str());
  if (report.recompute) printf("%s\n", recomputeText(report, recipe->memory_budget).c_str());
  if (report.derivedBytes > 0)
    printf("generating keeps rounded weights, too: %s\n", ByteText(report.derivedBytes).c_str());
  for (auto &entry : report.artifact.stages[0]->entries)
    printf("  %-12s %s arena\n", entry->name.c_str(), ByteText(entry->arena_bytes).c_str());
  const auto &artifact = report.artifact;
  for (size_t i = 0; i < std::min<size_t>(artifact.peak.size(), 5); ++i) {
    const auto &owner = *artifact.peak[i];
    std::string where;
    if (owner.line >= 0) {
      const auto &line = *artifact.lines[owner.line];
      where = "  " + std::filesystem::path(line.file).filename().string() + ":" + std::to_string(line.line) +
              (line.module_path.empty() ? "" : " (" + line.module_path + ")");
    }
    printf("%s %8s  %s%s\n", i ? "           " : "at the peak", ByteText(owner.bytes).c_str(),
           owner.what.c_str(), where.c_str());
  }
  printf("time: model's C++ %.2f s, trace %.2f s, passes %.2f s, code %.2f s\n", report.modelSeconds,
         report.traceSeconds, report.passSeconds, report.codeSeconds);
  return 0;
}

} // namespace
} // namespace weft

int main(int argc, char **argv) {
  std::vector<std::string> args(argv + 1, argv + argc);
  if (!args.empty() && args[0] == "compile") return weft::compile({args.begin() + 1, args.end()});
  if (!args.empty() && args[0] == "describe-import") return weft::describeImportCommand(argc - 2, argv + 2);
  if (!args.empty() && args[0] == "inspect-kernel") return weft::inspectKernelCommand(argc - 2, argv + 2);
  if (!args.empty() && args[0] == "follow-ops") return weft::followOpsCommand(argc - 2, argv + 2);
  if (!args.empty() && args[0] == "compile-kernel") return weft::compileKernelCommand(argc - 2, argv + 2);
  fprintf(stderr,
          "usage: weftc compile MODEL|FILE.cc|RECIPE.toml -o F.weft [options]\nhint: weft compile --help\n");
  return args.empty() || (args[0] != "--help" && args[0] != "-h") ? 2 : 0;
}
