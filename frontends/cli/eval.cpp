#include "frontends/cli/commands.h"
#include "frontends/cli/report.h"
#include "runtime/data/corpus.h"
#include "runtime/data/file_io.h"
#include "runtime/data/prepare.h"
#include "runtime/generate/open_model.h"
#include "runtime/train/trainer.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <unistd.h>

namespace weft {
namespace {

namespace fs = std::filesystem;

struct EvalText {
  TokenFile tokens;
  int64_t documents = 0, bytes = 0;
};

// What `write` makes as a token file, which stays open after its folder is gone.
absl::StatusOr<TokenFile> Temporary(const std::function<absl::Status(const std::string &path)> &write) {
  std::string folder = (fs::temp_directory_path() / "weft-eval-XXXXXX").string();
  if (!mkdtemp(folder.data())) return FileError("create", folder, errno);
  std::string path = folder + "/eval.tokens";
  absl::Status written = write(path);
  absl::StatusOr<TokenFile> file = written.ok() ? TokenFile::Open(path) : written;
  std::error_code error;
  fs::remove_all(folder, error);
  return file;
}

absl::StatusOr<EvalText> Tokenise(const std::vector<std::string> &patterns, const Tokenizer &tokenizer,
                                  int threads) {
  absl::StatusOr<std::vector<Document>> documents = LoadCorpus(patterns);
  if (!documents.ok()) return documents.status();
  std::vector<std::string_view> texts;
  int64_t bytes = 0;
  for (const Document &document : *documents) {
    texts.push_back(document.text);
    bytes += static_cast<int64_t>(document.text.size());
  }
  absl::StatusOr<TokenFile> file =
      Temporary([&](const std::string &path) { return WriteTokenFile(path, tokenizer, texts, threads); });
  if (!file.ok()) return file.status();
  return EvalText{*std::move(file), static_cast<int64_t>(texts.size()), bytes};
}

// A document a line, as `weft tokenizer encode` prints it; with the tokenizer's tokens before and after it.
absl::StatusOr<EvalText> ReadIds(const std::string &path, const Tokenizer &tokenizer) {
  absl::StatusOr<std::string> text = ReadFile(path, uint64_t{1} << 32);
  if (!text.ok()) return text.status();
  std::vector<std::vector<int32_t>> documents;
  int64_t bytes = 0, number = 0;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    ++number;
    std::vector<int32_t> ids(tokenizer.prefix().begin(), tokenizer.prefix().end());
    size_t prefix = ids.size();
    for (absl::string_view word : absl::StrSplit(line, absl::ByAnyChar(" \t\r,[]"), absl::SkipEmpty())) {
      int32_t id = 0;
      if (!absl::SimpleAtoi(word, &id) || id < 0 || id >= tokenizer.vocab_size())
        return absl::InvalidArgumentError(absl::StrCat(path, ":", number, ": \"", word.substr(0, 40),
                                                       "\" is no id: ids are whole numbers from 0 to ",
                                                       tokenizer.vocab_size() - 1));
      ids.push_back(id);
    }
    if (ids.size() == prefix) continue;
    bytes += static_cast<int64_t>(tokenizer.Decode(ids, false).size());
    ids.push_back(tokenizer.end_of_text());
    documents.push_back(std::move(ids));
  }
  if (documents.empty())
    return absl::InvalidArgumentError(
        absl::StrCat(path, " has no ids\nhint: weft tokenizer encode prints a line of them"));
  absl::StatusOr<TokenFile> file = Temporary([&](const std::string &to) -> absl::Status {
    absl::StatusOr<TokenFileWriter> writer =
        TokenFileWriter::Create(to, tokenizer.vocab_size(), tokenizer.hash());
    if (!writer.ok()) return writer.status();
    for (const std::vector<int32_t> &ids : documents)
      if (absl::Status status = writer->AddDocument(ids); !status.ok()) return status;
    return writer->Finish();
  });
  if (!file.ok()) return file.status();
  return EvalText{*std::move(file), static_cast<int64_t>(documents.size()), bytes};
}

// A line a target: its document and its position there, both counted from 0, its id and its log-probability
// with all bits.
std::string LogprobsText(const TokenFile &tokens, const std::vector<std::vector<float>> &logprobs) {
  std::string out;
  int64_t at = 1; // the token that the value at hand is of
  for (const std::vector<float> &batch : logprobs)
    for (size_t i = 0; i < batch.size() && at < tokens.num_tokens(); ++i, ++at)
      if (int64_t document = tokens.DocumentOf(at); at > tokens.document_begin(document))
        absl::StrAppendFormat(&out, "%d %d %d %a\n", document, at - tokens.document_begin(document),
                              tokens.token(at), batch[i]);
  return out;
}

// What stands before and after each document, as the tokenizer's file says.
std::string Boundaries(const Tokenizer &tokenizer) {
  std::string before;
  for (int32_t id : tokenizer.prefix()) absl::StrAppend(&before, std::string(tokenizer.TokenBytes(id)));
  return absl::StrCat(before.empty() ? "nothing" : before, " before and ",
                      std::string(tokenizer.TokenBytes(tokenizer.end_of_text())), " after each document");
}

} // namespace

int EvalCommand(const Arguments &arguments) {
  static const CommandSpec spec = {
      "eval",
      "RUN|CHECKPOINT",
      "Loss and perplexity of a trained model on a text, each file a document, in rows of the model's "
      "length.",
      {{"--data", "FILE", "text or HTML file, or a pattern; may be given several times", "", true},
       {"--ids", "FILE",
        "token ids instead of text: a document a line, as weft tokenizer encode prints them"},
       {"--logprobs", "FILE",
        "writes a line a target: document, position, id, log-probability in hexadecimal, bit for bit"},
       {"--batches", "N", "most micro-batches to evaluate; 0 = all", "0"},
       {"--json", "", "one JSON object"},
       {"--threads", "N", "threads; 0 = all processors", "0"},
       {"--cpu-level", "LEVEL", "avx2, avx512, avx512bf16 or amx", "the best of the machine"},
       {"--artifact", "F.weft", "the compiled model", "that of the run, compiled if need be"}},
      "",
      1,
      1};
  Args args(spec, arguments);
  int64_t batches = args.Integer("--batches", 0, 0);
  OpenModelOptions options;
  options.artifact = args.Text("--artifact");
  options.threads = static_cast<int>(args.Integer("--threads", 0, 0, 4096));
  options.cpu_level = args.Text("--cpu-level");
  if (args.exit >= 0) return args.exit;
  if (args.Has("--data") == args.Has("--ids")) {
    PrintError("weft eval needs either --data FILE or --ids FILE\nhint: weft eval --help");
    return 2;
  }
  absl::StatusOr<OpenedModel> opened = OpenModel(args.positional[0], options, Notice);
  if (!opened.ok()) return Fail(opened.status());
  absl::StatusOr<EvalText> text = args.Has("--ids")
                                      ? ReadIds(args.Text("--ids"), opened->tokenizer)
                                      : Tokenise(args.All("--data"), opened->tokenizer, options.threads);
  if (!text.ok()) return Fail(text.status());
  absl::StatusOr<std::pair<int64_t, int64_t>> shape = TokensShape(opened->ranks->session(0), "eval_step");
  if (!shape.ok()) return Fail(shape.status());
  absl::StatusOr<EvalLoader> loader = EvalLoader::Make(text->tokens, shape->first, shape->second);
  if (!loader.ok()) return Fail(loader.status());
  std::vector<std::vector<float>> logprobs;
  absl::StatusOr<EvalMetrics> result =
      Evaluate(*opened->ranks, *loader, batches, args.Has("--logprobs") ? &logprobs : nullptr);
  if (!result.ok()) return Fail(result.status());
  if (args.Has("--logprobs"))
    if (absl::Status status =
            WriteFileAtomically(args.Text("--logprobs"), LogprobsText(text->tokens, logprobs));
        !status.ok())
      return Fail(status);

  double per_byte =
      result->loss * static_cast<double>(result->targets) / std::log(2.0) / static_cast<double>(text->bytes);
  bool whole = result->targets == loader->NumTargets();
  if (args.Has("--json")) {
    nlohmann::json root = {{"checkpoint", opened->checkpoint},
                           {"step", opened->state.step},
                           {"loss", result->loss},
                           {"perplexity", std::exp(result->loss)},
                           {"targets", result->targets},
                           {"tokens", text->tokens.num_tokens()},
                           {"documents", text->documents},
                           {"bytes", text->bytes},
                           {"row_tokens", shape->second},
                           {"boundaries", Boundaries(opened->tokenizer)}};
    if (whole) root["bits_per_byte"] = per_byte;
    std::printf("%s\n", root.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return 0;
  }
  std::printf("%s\n", opened->checkpoint.c_str());
  std::printf("loss        %.6f nats a token\nperplexity  %.4f\n", result->loss, std::exp(result->loss));
  if (whole) std::printf("            %.4f bits a byte\n", per_byte);
  std::printf("targets     %lld of %lld tokens in %lld documents, rows of %lld tokens\n",
              static_cast<long long>(result->targets), static_cast<long long>(text->tokens.num_tokens()),
              static_cast<long long>(text->documents), static_cast<long long>(shape->second));
  std::printf("boundaries  %s\n", Boundaries(opened->tokenizer).c_str());
  return 0;
}

} // namespace weft
