// weft: trains, evaluates and asks models that weftc compiled.
#include "frontends/cli/commands.h"
#include "frontends/cli/report.h"
#include "runtime/artifact/reader.h"
#include "runtime/device/cpu.h"
#include "runtime/train/nearest.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include <csignal>
#include <cstdio>

namespace weft {
namespace {

struct Command {
  const char *name, *help;
  int (*run)(const Arguments &);
};

int VersionCommand(const Arguments &arguments);

const Command commands[] = {
    {"new", "a folder with a model, a recipe and a README that work at once", NewCommand},
    {"train", "train a model as a recipe says, or go on with a run", TrainCommand},
    {"generate", "continue a text with a trained model", GenerateCommand},
    {"chat", "talk with a trained model", ChatCommand},
    {"eval", "loss and perplexity of a trained model on a text", EvalCommand},
    {"tokenizer", "train a tokenizer, encode, decode", TokenizerCommand},
    {"import", "make a checkpoint of a Hugging Face folder", ImportCommand},
    {"export", "make a Hugging Face folder of a checkpoint", ExportCommand},
    {"compile", "compile a model or a recipe into an artifact (runs weftc)", CompileCommand},
    {"inspect", "what an artifact holds: kernels, memory, parameters, remarks", InspectCommand},
    {"profile", "where a training step's time goes, and how it compares with another's", ProfileCommand},
    {"version", "versions of weft and its file formats", VersionCommand},
};

std::string Usage() {
  std::string out = "usage: weft COMMAND [arguments]\n\n";
  for (const Command &command : commands)
    absl::StrAppendFormat(&out, "  %-10s %s\n", command.name, command.help);
  return out + "\nweft COMMAND --help says more.\n";
}

int VersionCommand(const Arguments &arguments) {
  static const CommandSpec spec = {
      "version", "", "Versions of weft and its file formats, and the processor's level.", {}};
  Args args(spec, arguments);
  if (args.exit >= 0) return args.exit;
  std::printf("weft %s\nartifact format %d\nprocessor %s\n", WEFT_VERSION, kArtifactFormatVersion,
              CpuLevelName(DetectCpuLevel()));
  return 0;
}

int Main(int argc, char **argv) {
  if (argc < 2) {
    std::fputs(Usage().c_str(), stderr);
    return 2;
  }
  std::string name = argv[1];
  if (name == "--help" || name == "-h" || name == "help") {
    std::fputs(Usage().c_str(), stdout);
    return 0;
  }
  if (name == "--version") name = "version";
  std::vector<std::string> names;
  for (const Command &command : commands) {
    if (name == command.name) return command.run(Arguments(argv + 2, argv + argc));
    names.push_back(command.name);
  }
  std::string nearest = Nearest(name, names);
  PrintError(absl::StrCat("unknown command ", name, "\nhint: ",
                          nearest.empty() ? "weft --help lists the commands"
                                          : absl::StrCat("did you mean weft ", nearest, "?")));
  return 2;
}

} // namespace
} // namespace weft

int main(int argc, char **argv) {
  std::signal(SIGPIPE, SIG_DFL); // `weft … | head` ends quietly
  std::signal(SIGXFSZ, SIG_IGN); // a file beyond the limit is an error that names it, like a full disk
  int exit = weft::Main(argc, argv);
  // What was printed counts only once it is written: a full disk is an error here, too.
  if ((std::fflush(stdout) != 0 || std::ferror(stdout)) && exit == 0) {
    weft::PrintError("cannot write to the standard output: it is full or closed");
    return 1;
  }
  return exit;
}
