#include "frontends/cli/commands.h"
#include "frontends/cli/report.h"
#include "runtime/data/bpe_train.h"
#include "runtime/data/corpus.h"

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>

namespace weft {
namespace {

std::string ReadStdin() {
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

int TrainTokenizer(const Arguments &arguments) {
  static const CommandSpec spec = {
      "tokenizer train",
      "FILE…",
      "Learns a byte-level BPE vocabulary from text or HTML files (or patterns).",
      {{"--vocab", "N", "tokens, the 256 bytes and <|endoftext|> included", "4096"},
       {"-o", "FILE", "where the tokenizer goes", "tokenizer.json"}},
      "",
      1,
      SIZE_MAX};
  Args args(spec, arguments);
  int64_t vocab = args.Integer("--vocab", 4096, 257, 1 << 24);
  if (args.exit >= 0) return args.exit;
  absl::StatusOr<std::vector<Document>> documents = LoadCorpus(args.positional);
  if (!documents.ok()) return Fail(documents.status());
  std::vector<std::string_view> texts;
  double bytes = 0;
  for (const Document &document : *documents)
    texts.push_back(document.text), bytes += static_cast<double>(document.text.size());
  auto begin = std::chrono::steady_clock::now();
  absl::StatusOr<Tokenizer> tokenizer = TrainBpe(texts, static_cast<int>(vocab));
  if (!tokenizer.ok()) return Fail(tokenizer.status());
  std::string path = args.Text("-o", "tokenizer.json");
  if (absl::Status status = tokenizer->Save(path); !status.ok()) return Fail(status);
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  Notice(absl::StrFormat("%s: %d tokens from %s of text in %.1f s", path, tokenizer->vocab_size(),
                         BytesText(bytes), seconds));
  if (tokenizer->vocab_size() < vocab)
    Notice(absl::StrCat("the text has words for ", tokenizer->vocab_size(), " tokens only, not ", vocab));
  return 0;
}

int Encode(const Arguments &arguments) {
  static const CommandSpec spec = {
      "tokenizer encode",
      "[TEXT]",
      "Prints the ids of TEXT, or of what stands on stdin.",
      {{"--tokenizer", "FILE", "a tokenizer.json", "tokenizer.json"},
       {"--specials", "", "names of special tokens, such as <|endoftext|>, become their ids"},
       {"--show", "", "a line a token: id and text"}},
      "",
      0,
      1};
  Args args(spec, arguments);
  if (args.exit >= 0) return args.exit;
  absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Load(args.Text("--tokenizer", "tokenizer.json"));
  if (!tokenizer.ok()) return Fail(tokenizer.status());
  std::string text = args.positional.empty() ? ReadStdin() : args.positional[0];
  std::vector<int32_t> ids =
      args.Has("--specials") ? tokenizer->EncodeWithSpecials(text) : tokenizer->Encode(text);
  if (args.Has("--show")) {
    for (int32_t id : ids)
      std::printf("%7d  %s\n", id, absl::CEscape(std::string(tokenizer->TokenBytes(id))).c_str());
  } else {
    std::printf("%s\n", absl::StrJoin(ids, " ").c_str());
  }
  return 0;
}

int Decode(const Arguments &arguments) {
  static const CommandSpec spec = {
      "tokenizer decode",
      "[ID…]",
      "Prints the bytes of the ids, or of those on stdin, as they are: no newline is added.",
      {{"--tokenizer", "FILE", "a tokenizer.json", "tokenizer.json"},
       {"--skip-specials", "", "leave special tokens out"}},
      "",
      0,
      SIZE_MAX};
  Args args(spec, arguments);
  if (args.exit >= 0) return args.exit;
  absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Load(args.Text("--tokenizer", "tokenizer.json"));
  if (!tokenizer.ok()) return Fail(tokenizer.status());
  std::vector<int32_t> ids;
  std::string input = args.positional.empty() ? ReadStdin() : absl::StrJoin(args.positional, " ");
  for (absl::string_view word : absl::StrSplit(input, absl::ByAnyChar(" \t\r\n,[]"), absl::SkipEmpty())) {
    int32_t id = 0;
    if (!absl::SimpleAtoi(word, &id) || id < 0 || id >= tokenizer->vocab_size())
      return Fail(absl::InvalidArgumentError(absl::StrCat(
          "\"", word, "\" is no id: ids are whole numbers from 0 to ", tokenizer->vocab_size() - 1)));
    ids.push_back(id);
  }
  std::string text = tokenizer->Decode(ids, args.Has("--skip-specials"));
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

} // namespace

int TokenizerCommand(const Arguments &arguments) {
  static const char usage[] = "usage: weft tokenizer train FILE… [--vocab N] [-o tokenizer.json]\n"
                              "       weft tokenizer encode [TEXT] [--tokenizer FILE]\n"
                              "       weft tokenizer decode [ID…] [--tokenizer FILE]\n";
  std::string name = arguments.empty() ? "" : arguments[0];
  Arguments rest(arguments.begin() + !arguments.empty(), arguments.end());
  if (name == "train") return TrainTokenizer(rest);
  if (name == "encode") return Encode(rest);
  if (name == "decode") return Decode(rest);
  if (name == "--help" || name == "-h") {
    std::fputs(usage, stdout);
    return 0;
  }
  PrintError(absl::StrCat(name.empty() ? "weft tokenizer needs train, encode or decode"
                                       : absl::StrCat("unknown command tokenizer ", name),
                          "\nhint: weft tokenizer --help"));
  return 2;
}

} // namespace weft
