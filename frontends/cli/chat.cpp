#include "frontends/cli/ask_options.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/line_reader.h"
#include "frontends/cli/report.h"
#include "runtime/generate/chat_session.h"
#include "runtime/generate/session_model.h"
#include "runtime/train/metrics.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

#include <cstdio>
#include <unistd.h>
#include <utility>

namespace weft {
namespace {

constexpr char kHelp[] =
    "/reset          forget the conversation\n"
    "/system TEXT    set the system prompt (nothing: show it; \"\": none); what was said stays\n"
    "/undo           forget the last message and its answer\n"
    "/help           this\n"
    "/exit           leave, as Ctrl-D does\n"
    "A line that ends in \\ goes on in the next; between lines \"\"\" and \"\"\" all is one message.\n"
    "A message that begins with / is written //.  Ctrl-C ends an answer; twice, the program.\n";

class Chat {
public:
  Chat(ChatSession &session, CtrlC &ctrl_c) : session_(session), ctrl_c_(ctrl_c), lines_(ctrl_c) {}

  // The exit status.
  int Run() {
    for (std::string message;;) {
      switch (ReadMessage(message)) {
      case LineReader::Got::end:
        if (terminal_) std::fputs("\n", stdout);
        return 0;
      case LineReader::Got::interrupted:
        if (!Leaves()) continue;
        return 130;
      case LineReader::Got::failed:
        PrintError("cannot read the standard input");
        return 1;
      case LineReader::Got::too_long:
        if (Refuse(absl::StrCat("a line has more than ", LineReader::kMaxBytes, " bytes and was left out")))
          return 1;
        continue;
      case LineReader::Got::line:
        break;
      }
      asked_to_leave_ = false;
      if (message.empty() && session_.has_format()) continue;
      absl::string_view text = message;
      if (absl::StartsWith(text, "//"))
        text.remove_prefix(1);
      else if (absl::StartsWith(text, "/")) {
        if (text == "/exit") return 0;
        if (!Command(std::string(text))) return 1;
        continue;
      }
      if (!Say(std::string(text))) return exit_;
    }
  }

private:
  // Errors end the program where nobody sits before it.
  bool Refuse(const std::string &message) {
    PrintError(message);
    return !terminal_;
  }

  bool Leaves() {
    std::fputs("\n", stdout);
    ctrl_c_.Take();
    if (!terminal_ || std::exchange(asked_to_leave_, true)) return true;
    Notice("(Ctrl-C once more, Ctrl-D or /exit leaves)");
    return false;
  }

  LineReader::Got ReadLine(const char *prompt, std::string &line) {
    if (terminal_) std::fputs(prompt, stdout);
    std::fflush(stdout);
    return lines_.Read(line);
  }

  // One message: a line, lines that end in a backslash and the one after, or what is between two lines of
  // """.
  LineReader::Got ReadMessage(std::string &message) {
    LineReader::Got got = ReadLine("> ", message);
    if (got != LineReader::Got::line) return got;
    const bool quoted = message == "\"\"\"";
    if (quoted) message.clear();
    for (bool first = true; quoted || (!message.empty() && message.back() == '\\'); first = false) {
      if (!quoted) message.back() = '\n';
      std::string line;
      got = ReadLine(". ", line);
      if (got == LineReader::Got::end) break; // what there is counts
      if (got != LineReader::Got::line) return got;
      if (quoted && line == "\"\"\"") break;
      if (message.size() + line.size() > LineReader::kMaxBytes) return LineReader::Got::too_long;
      absl::StrAppend(&message, quoted && !first ? "\n" : "", line);
    }
    return LineReader::Got::line;
  }

  bool Command(const std::string &text) {
    if (text == "/help") {
      std::fputs(kHelp, stdout);
    } else if (text == "/reset") {
      session_.Reset();
      Notice("(the conversation is forgotten)");
    } else if (text == "/undo") {
      Notice(session_.Undo() ? "(the last message and its answer are forgotten)"
                             : "(there is nothing to forget)");
    } else if (text == "/system" || absl::StartsWith(text, "/system ")) {
      absl::string_view prompt = absl::StripAsciiWhitespace(absl::string_view(text).substr(7));
      if (!session_.has_format()) {
        return !Refuse("a model without a chat template has no system prompt");
      } else if (prompt.empty()) {
        Notice(session_.system().empty() ? "(there is no system prompt)" : session_.system());
      } else {
        session_.SetSystem(prompt == "\"\"" ? "" : std::string(prompt));
        Notice(prompt == "\"\"" ? "(no system prompt)" : "(system prompt set)");
      }
    } else {
      return !Refuse(absl::StrCat("unknown command ", text.substr(0, 60),
                                  "\nhint: /help lists the commands; a message may begin with //"));
    }
    return true;
  }

  bool Say(const std::string &message) {
    absl::StatusOr<ChatAnswer> answer = session_.Say(message, [](const std::string &text) {
      std::fwrite(text.data(), 1, text.size(), stdout);
      return std::fflush(stdout) == 0;
    });
    const bool interrupted = ctrl_c_.Take();
    if (!answer.ok()) return !Refuse(std::string(answer.status().message()));
    std::fputs("\n", stdout);
    if (std::fflush(stdout) != 0) return false; // a full disk, or nobody reads any more: main() says so
    Explain(*answer);
    if (interrupted) exit_ = 130;
    return !interrupted || terminal_;
  }

  void Explain(const ChatAnswer &answer) {
    const GenerateResult &result = answer.result;
    if (answer.dropped_turns > 0)
      Notice(absl::StrFormat("(the context was full; oldest turns forgotten: %d)", answer.dropped_turns));
    if (answer.cut) Notice("(the context was full; the beginning of the text is forgotten)");
    if (result.reason == StopReason::max_tokens)
      Notice(absl::StrFormat("(cut off after %d tokens; --max-tokens allows more)", result.tokens.size()));
    if (result.reason == StopReason::context)
      Notice("(cut off: the context is full; the next message makes room, or /reset)");
    if (terminal_ && isatty(STDERR_FILENO))
      Notice(absl::StrFormat("(%d tokens read, %d of them known, in %.0f ms; %d tokens, %s tokens/s)",
                             answer.prompt_tokens, answer.reused_tokens, result.prompt_s * 1e3,
                             result.tokens.size(),
                             CountText(result.tokens_s > 0 ? result.tokens.size() / result.tokens_s : 0)));
  }

  ChatSession &session_;
  CtrlC &ctrl_c_;
  LineReader lines_;
  const bool terminal_ = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
  bool asked_to_leave_ = false;
  int exit_ = 1; // where an answer is the last
};

} // namespace

int ChatCommand(const Arguments &arguments) {
  static const CommandSpec spec = {
      "chat",
      "RUN|CHECKPOINT",
      "Talks with a trained model in the terminal, or with lines from a pipe: a message a line, an answer to "
      "each.",
      WithAskOptions({{"--system", "TEXT", "system prompt"},
                      {"--template", "FILE", "chat template (Jinja)", "the checkpoint's"}}),
      absl::StrCat(
          "In the conversation:\n", kHelp,
          "\nWhere the context is full, the oldest turns are forgotten until half of it is free, and it says "
          "so.\n"
          "A model without a chat template goes on with one text: each line is added to it as it is.\n"),
      1,
      1};
  Args args(spec, arguments);
  GenerateOptions options;
  OpenModelOptions open_options;
  ReadAskOptions(args, options, open_options);
  if (args.exit >= 0) return args.exit;
  absl::StatusOr<OpenedModel> opened = OpenModel(args.positional[0], open_options, Notice);
  if (!opened.ok()) return Fail(opened.status());
  absl::StatusOr<ChatFormat> loaded = ChatFormat::Load(opened->checkpoint, args.Text("--template"));
  const bool completes = absl::IsNotFound(loaded.status()) && !args.Has("--template");
  if (!loaded.ok() && !completes) return Fail(loaded.status());
  if (completes && args.Has("--system"))
    return Fail(absl::FailedPreconditionError(absl::StrCat(
        opened->checkpoint,
        " has no chat template, so that no system prompt can be written\nhint: --template FILE gives one")));
  absl::StatusOr<std::vector<int32_t>> ends = LoadEndTokens(opened->checkpoint, opened->tokenizer);
  if (!ends.ok()) return Fail(ends.status());
  absl::StatusOr<std::unique_ptr<SessionModel>> model = SessionModel::Create(opened->ranks->session(0));
  if (!model.ok()) return Fail(model.status());

  CtrlC ctrl_c;
  options.end_tokens = *std::move(ends);
  options.cancelled = [&ctrl_c] { return ctrl_c.pressed(); };
  ChatSession session(**model, opened->tokenizer,
                      completes ? std::nullopt : std::optional(*std::move(loaded)), options);
  session.SetSystem(args.Text("--system"));
  if (completes)
    Notice(absl::StrCat("(", opened->checkpoint,
                        " has no chat template: it goes on with the text that you write)"));
  if (isatty(STDIN_FILENO)) Notice("(/help says more)");
  return Chat(session, ctrl_c).Run();
}

} // namespace weft
