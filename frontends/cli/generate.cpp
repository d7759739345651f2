#include "frontends/cli/commands.h"
#include "frontends/cli/report.h"
#include "runtime/data/file_io.h"
#include "runtime/generate/generator.h"
#include "runtime/generate/open_model.h"
#include "runtime/generate/session_model.h"
#include "runtime/train/metrics.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <unistd.h>

namespace weft {
namespace {

// A line a generated token: its position in the text, counted from 0, its id and its log-probability with all
// bits, as `weft eval --logprobs` writes them.
std::string LogprobsText(size_t prompt, const GenerateResult &result) {
  std::string out;
  for (size_t i = 0; i < result.tokens.size(); ++i)
    absl::StrAppendFormat(&out, "%d %d %a\n", prompt + i, result.tokens[i], result.logprobs[i]);
  return out;
}

std::string JsonText(const std::string &prompt, const GenerateResult &result) {
  nlohmann::json root = {{"prompt", prompt},
                         {"text", result.text},
                         {"tokens", result.tokens},
                         {"logprobs", result.logprobs},
                         {"stop", StopReasonName(result.reason)},
                         {"prompt_seconds", result.prompt_s},
                         {"seconds", result.tokens_s}};
  return root.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

} // namespace

int GenerateCommand(const Arguments &arguments) {
  static const CommandSpec spec = {
      "generate",
      "RUN|CHECKPOINT",
      "Continues a text with a trained model: the newest good checkpoint of a run, or one that is named.",
      {{"--prompt", "TEXT", "the text to continue; tokens such as <|endoftext|> count as tokens"},
       {"--prompt-file", "FILE", "the same from a file"},
       {"--max-tokens", "N", "most tokens to add", "256"},
       {"--temperature", "T", "of sampling; 0 = always the likeliest token", "0.8"},
       {"--top-k", "K", "draw from the K likeliest tokens only; 0 = all", "0"},
       {"--top-p", "P", "draw from the likeliest tokens that have the probability P together; 1 = all", "1"},
       {"--seed", "S", "of sampling: the same seed gives the same text", "1"},
       {"--stop", "TEXT", "end before this text; may be given several times", "", true},
       {"--ignore-end", "", "go on after the end-of-text token"},
       {"--json", "", "one JSON object instead of the text as it comes"},
       {"--logprobs", "FILE",
        "writes a line a token: position, id, log-probability in hexadecimal, bit for bit"},
       {"--no-echo", "", "leave the prompt out of the output"},
       {"--threads", "N", "threads; 0 = all processors", "0"},
       {"--cpu-level", "LEVEL", "avx2, avx512, avx512bf16 or amx", "the best of the machine"},
       {"--artifact", "F.weft", "the compiled model", "that of the run, compiled if need be"}},
      "",
      1,
      1};
  Args args(spec, arguments);
  GenerateOptions options;
  options.max_tokens = args.Integer("--max-tokens", 256, 0);
  options.sampling.temperature = args.Number("--temperature", 0.8, 0, 1e6);
  options.sampling.top_k = args.Integer("--top-k", 0, 0);
  options.sampling.top_p = args.Number("--top-p", 1, 0, 1);
  options.sampling.seed = args.Integer("--seed", 1, 0);
  options.stop = args.All("--stop");
  options.ignore_end = args.Has("--ignore-end");
  OpenModelOptions open_options;
  open_options.artifact = args.Text("--artifact");
  open_options.threads = static_cast<int>(args.Integer("--threads", 0, 0, 4096));
  open_options.cpu_level = args.Text("--cpu-level");
  if (args.exit >= 0) return args.exit;
  if (args.Has("--prompt") == args.Has("--prompt-file")) {
    PrintError("weft generate needs either --prompt TEXT or --prompt-file FILE\nhint: weft generate --help");
    return 2;
  }
  std::string prompt = args.Text("--prompt");
  if (args.Has("--prompt-file")) {
    absl::StatusOr<std::string> text = ReadFile(args.Text("--prompt-file"), 64 << 20);
    if (!text.ok()) return Fail(text.status());
    prompt = *std::move(text);
  }

  absl::StatusOr<OpenedModel> opened = OpenModel(args.positional[0], open_options, Notice);
  if (!opened.ok()) return Fail(opened.status());
  absl::StatusOr<std::unique_ptr<SessionModel>> model = SessionModel::Create(opened->ranks->session(0));
  if (!model.ok()) return Fail(model.status());
  std::vector<int32_t> ids = EncodePrompt(opened->tokenizer, prompt);
  bool json = args.Has("--json"), echoed = json || args.Has("--no-echo");
  auto on_text = [&](const std::string &text) {
    if (!echoed) std::fwrite(prompt.data(), 1, prompt.size(), stdout), echoed = true;
    if (!json) std::fwrite(text.data(), 1, text.size(), stdout), std::fflush(stdout);
    return true;
  };
  absl::StatusOr<GenerateResult> result = Generate(**model, opened->tokenizer, ids, options, on_text);
  if (!result.ok()) return Fail(result.status());
  on_text("");
  if (args.Has("--logprobs"))
    if (absl::Status status = WriteFileAtomically(args.Text("--logprobs"), LogprobsText(ids.size(), *result));
        !status.ok())
      return Fail(status);
  if (json)
    std::fputs(JsonText(prompt, *result).c_str(), stdout);
  else
    std::fputs("\n", stdout);
  std::fflush(stdout);
  if (!json && isatty(STDERR_FILENO))
    Notice(absl::StrFormat("(%s; prompt of %d tokens in %.0f ms, %d tokens, %s tokens/s; %s)",
                           opened->checkpoint, ids.size(), result->prompt_s * 1e3, result->tokens.size(),
                           CountText(result->tokens_s > 0 ? result->tokens.size() / result->tokens_s : 0),
                           StopReasonName(result->reason)));
  return 0;
}

} // namespace weft
