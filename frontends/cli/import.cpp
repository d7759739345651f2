#include "runtime/hugging_face/import.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/copy_progress.h"
#include "frontends/cli/report.h"
#include "runtime/train/interrupt.h"

namespace weft {

int ImportCommand(const Arguments &arguments) {
  static const CommandSpec spec = {
      "import",
      "HF_FOLDER CHECKPOINT",
      "Makes a checkpoint of a Hugging Face folder: config.json, tokenizer.json, and safetensors in f32, "
      "bf16, f16 or fp8 with scales of blocks, in one file or several. weft generate, weft eval and a "
      "recipe's train.init take it.",
      {{"--model", "MODEL|FILE.cc", "a built-in model, or a file with one of yours",
        "the built-in model that config.json's architectures names"},
       {"--tokenizer", "FILE", "a tokenizer.json elsewhere", "the folder's"},
       {"--seq", "N", "tokens of the context that generate and eval are compiled for",
        "the model's, 1024 at most"},
       {"--precision", "P", "f32, or bf16: of the factors of products when generating and evaluating",
        "f32"}},
      "Weights become f32. What config.json asks for and Weft does not have is an error that names "
      "it.\n",
      2,
      2};
  Args args(spec, arguments);
  ImportOptions options;
  options.seq = args.Integer("--seq", 0, 1, 1 << 30);
  if (args.exit >= 0) return args.exit;
  options.folder = args.positional[0];
  options.checkpoint = args.positional[1];
  options.model = args.Text("--model");
  options.tokenizer = args.Text("--tokenizer");
  options.precision = args.Text("--precision", "f32");
  if (options.precision != "f32" && options.precision != "bf16") {
    PrintError("--precision is " + options.precision + " when it should be f32 or bf16");
    return 2;
  }
  options.say = Notice;
  InterruptGuard interrupt;
  options.copy.cancelled = [&] { return interrupt.requested(); };
  absl::Status status;
  {
    CopyProgress progress("importing");
    options.copy.progress = [&](uint64_t done, uint64_t all) { progress(done, all); };
    status = ImportFolder(options);
  }
  if (!status.ok() && interrupt.requested()) {
    Notice("interrupted; nothing is left of it");
    return 130;
  }
  if (status.ok() || status.message().empty()) return status.ok() ? 0 : 1;
  return Fail(status);
}

} // namespace weft
