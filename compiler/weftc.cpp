// weftc: the compiler. `weft compile` starts it.
#include "compiler/check/follow_ops.h"
#include "compiler/check/user_inputs.h"
#include "compiler/compile_options.h"
#include "compiler/kernels/inspect_kernel.h"
#include "compiler/kernels/kernel_file.h"
#include "compiler/print_report.h"
#include "compiler/trace/describe_import.h"
#include "mlir/IR/MLIRContext.h"
#include "runtime/artifact/writer.h"
#include <cstdio>
#include <cstring>
#include <iostream>
#include <unistd.h>

namespace weft {
namespace {

int usage(const std::string &what) {
  fprintf(stderr, "error: %s\nhint: weft compile --help\n", what.c_str());
  return 2;
}
int failWith(const std::string &what) {
  fprintf(stderr, "error: %s\n", what.c_str());
  return 1;
}

// A recipe's file, or a model alone.
absl::StatusOr<Recipe> loadInput(const CompileOptions &options) {
  absl::StatusOr<Recipe> recipe = Recipe();
  auto endsWith = [&](const char *suffix) {
    return options.input.size() > strlen(suffix) &&
           options.input.compare(options.input.size() - strlen(suffix), std::string::npos, suffix) == 0;
  };
  if (endsWith(".toml"))
    recipe = LoadRecipe(options.input, options.overrides);
  else {
    std::string text = endsWith(".cc") || options.input.find('/') != std::string::npos
                           ? "[model]\nfile = " + TomlQuoted(options.input) + "\n"
                           : "[model]\nname = " + TomlQuoted(options.input) + "\n";
    recipe = ParseRecipe(text, "command line", options.overrides);
  }
  if (recipe.ok())
    if (absl::Status s = ResolveRecipe(*recipe); !s.ok()) recipe = s;
  return recipe;
}

int compile(const std::vector<std::string> &args) {
  auto parsed = parseCompileOptions(args);
  if (auto *problem = std::get_if<std::string>(&parsed)) return usage(*problem);
  CompileOptions &options = std::get<CompileOptions>(parsed);
  if (options.help) {
    puts(kCompileHelp);
    for (const PhaseInfo &p : phases()) printf("  %-22s  %s\n", p.name, p.description);
    return 0;
  }
  absl::StatusOr<Recipe> recipe = loadInput(options);
  if (!recipe.ok()) return failWith(std::string(recipe.status().message()));
  CompileRequest &request = options.request;
  request.say = [](const std::string &text) { fprintf(stderr, "%s\n", text.c_str()); };
  if (!request.checkCheckpoint.empty() || !options.checkData.empty())
    if (absl::Status s = ReadUserText(*recipe, request.checkCheckpoint, options.checkData,
                                      request.phaseInputs, request.say);
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

  if (options.remarks) printRemarks(report.remarks, *options.remarks);
  if (!options.remarksFile.empty() && !writeRemarks(report.remarks, options.remarksFile))
    return failWith("cannot write " + options.remarksFile);
  if (request.stopAfter) {
    std::cout << report.stopped;
    return 0;
  }
  if (!options.output.empty())
    if (absl::Status s = WriteArtifact(report.artifact, options.output); !s.ok())
      return failWith(std::string(s.message()));
  printReport(report, request, !options.output.empty());
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
