#include "runtime/hugging_face/export.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/copy_progress.h"
#include "frontends/cli/report.h"
#include "runtime/train/byte_size.h"
#include "runtime/train/interrupt.h"

namespace weft {

int ExportCommand(const Arguments &arguments) {
  static const CommandSpec spec = {
      "export",
      "RUN|CHECKPOINT HF_FOLDER",
      "Makes a Hugging Face folder of a checkpoint, or of the newest good one of a run: what transformers "
      "and "
      "tokenizers load.",
      {{"--dtype", "T", "f32, or bf16: rounded to the nearest", "f32"},
       {"--max-shard-size", "SIZE", "most bytes of weights in one file, as 800MB", "5GB"}},
      "",
      2,
      2};
  Args args(spec, arguments);
  if (args.exit >= 0) return args.exit;
  ExportOptions options;
  options.path = args.positional[0];
  options.folder = args.positional[1];
  std::string dtype = args.Text("--dtype", "f32"), size = args.Text("--max-shard-size", "5GB");
  if (dtype != "f32" && dtype != "bf16") {
    PrintError("--dtype is " + dtype + " when it should be f32 or bf16");
    return 2;
  }
  options.dtype = dtype == "bf16" ? fb::DType::bf16 : fb::DType::f32;
  std::optional<int64_t> bytes = ParseByteSize(size);
  if (!bytes) {
    PrintError("--max-shard-size is " + size + " when it should be a size like 5GB or 800MB");
    return 2;
  }
  options.shard_bytes = *bytes;
  options.say = Notice;
  InterruptGuard interrupt;
  options.copy.cancelled = [&] { return interrupt.requested(); };
  absl::Status status;
  {
    CopyProgress progress("exporting");
    options.copy.progress = [&](uint64_t done, uint64_t all) { progress(done, all); };
    status = ExportFolder(options);
  }
  if (!status.ok() && interrupt.requested()) {
    Notice("interrupted; nothing is left of it");
    return 130;
  }
  return status.ok() ? 0 : Fail(status);
}

} // namespace weft
