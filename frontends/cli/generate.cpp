#include "frontends/cli/ask_options.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/report.h"
#include "runtime/data/file_io.h"
#include "runtime/generate/generator.h"
#include "runtime/generate/open_model.h"
#include "runtime/generate/session_model.h"
#include "runtime/text/chat_format.h"
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

// The ids of a user's message in the checkpoint's chat template; an answer ends where the checkpoint says.
absl::StatusOr<std::vector<int32_t>> EncodeMessage(const OpenedModel &opened, const Args &args,
                                                   const std::string &message, GenerateOptions &options) {
  absl::StatusOr<ChatFormat> format = ChatFormat::Load(opened.checkpoint, args.Text("--template"));
  if (absl::IsNotFound(format.status()) && !args.Has("--template"))
    return absl::NotFoundError(
        absl::StrCat(opened.checkpoint, " has no chat template\nhint: --template FILE gives one"));
  if (!format.ok()) return format.status();
  absl::StatusOr<std::vector<int32_t>> ends = LoadEndTokens(opened.checkpoint, opened.tokenizer);
  if (!ends.ok()) return ends.status();
  options.end_tokens = *std::move(ends);
  std::vector<ChatMessage> messages = {{"user", message}};
  if (args.Has("--system")) messages.insert(messages.begin(), {"system", args.Text("--system")});
  return format->Prompt(messages, opened.tokenizer, LocalNow());
}

} // namespace

int GenerateCommand(const Arguments &arguments) {
  static const CommandSpec spec = {
      "generate",
      "RUN|CHECKPOINT",
      "Continues a text with a trained model: the newest good checkpoint of a run, or one that is named.",
      WithAskOptions(
          {{"--prompt", "TEXT", "the text to continue; tokens such as <|endoftext|> count as tokens"},
           {"--prompt-file", "FILE", "the same from a file"},
           {"--chat", "",
            "the prompt is a user's message, written as the checkpoint's chat template says; shows the "
            "answer alone"},
           {"--system", "TEXT", "system prompt, with --chat"},
           {"--template", "FILE", "chat template, with --chat", "the checkpoint's"},
           {"--ignore-end", "", "go on after the end-of-text token"},
           {"--json", "", "one JSON object instead of the text as it comes"},
           {"--logprobs", "FILE",
            "writes a line a token: position, id, log-probability in hexadecimal, bit for bit"},
           {"--no-echo", "", "leave the prompt out of the output"}}),
      "",
      1,
      1};
  Args args(spec, arguments);
  GenerateOptions options;
  OpenModelOptions open_options;
  ReadAskOptions(args, options, open_options);
  options.ignore_end = args.Has("--ignore-end");
  if (args.exit >= 0) return args.exit;
  if (args.Has("--prompt") == args.Has("--prompt-file")) {
    PrintError("weft generate needs either --prompt TEXT or --prompt-file FILE\nhint: weft generate --help");
    return 2;
  }
  for (const char *option : {"--system", "--template"})
    if (args.Has(option) && !args.Has("--chat")) {
      PrintError(absl::StrCat(option, " needs --chat\nhint: weft generate --help"));
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
  absl::StatusOr<std::vector<int32_t>> encoded = args.Has("--chat")
                                                     ? EncodeMessage(*opened, args, prompt, options)
                                                     : EncodePrompt(opened->tokenizer, prompt);
  if (!encoded.ok()) return Fail(encoded.status());
  const std::vector<int32_t> &ids = *encoded;
  bool json = args.Has("--json"), echoed = json || args.Has("--no-echo") || args.Has("--chat");
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
