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

#include "nlohmann/json.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>

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
       {"--split", "RULE", "how text is cut into words: llama3, qwen2, gpt2 or deepseek3", "llama3"},
       {"--special", "TEXT", "a special token besides <|endoftext|>; may be given several times", "", true},
       {"--threads", "N", "0 = one for each processor; the tokenizer is the same for any number", "0"},
       {"-o", "FILE", "where the tokenizer goes", "tokenizer.json"}},
      "",
      1,
      SIZE_MAX};
  Args args(spec, arguments);
  int64_t vocab = args.Integer("--vocab", 4096, 257, 1 << 24);
  int64_t threads = args.Integer("--threads", 0, 0, 4096);
  if (args.exit >= 0) return args.exit;
  const std::map<std::string, Split> rules = {{"llama3", Split::kLlama3},
                                              {"qwen2", Split::kQwen2},
                                              {"gpt2", Split::kGpt2},
                                              {"deepseek3", Split::kDeepSeek3}};
  const auto rule = rules.find(args.Text("--split", "llama3"));
  if (rule == rules.end())
    return Fail(absl::InvalidArgumentError(absl::StrCat(
        "--split is \"", args.Text("--split"), "\" when it should be llama3, qwen2, gpt2 or deepseek3")));
  BpeTrainOptions options;
  options.vocab_size = static_cast<int>(vocab);
  options.threads = static_cast<int>(threads);
  for (const std::string &text : args.All("--special")) options.special_tokens.push_back(text);

  auto begin = std::chrono::steady_clock::now();
  absl::StatusOr<std::vector<std::string>> files = ExpandPatterns(args.positional);
  if (!files.ok()) return Fail(files.status());
  WordCounts words{PreTokenizer(rule->second)};
  absl::StatusOr<uint64_t> bytes = words.AddFiles(*files, options.threads);
  if (!bytes.ok()) return Fail(bytes.status());
  absl::StatusOr<Tokenizer> tokenizer = TrainBpe(words, options);
  if (!tokenizer.ok()) return Fail(tokenizer.status());
  std::string path = args.Text("-o", "tokenizer.json");
  if (absl::Status status = tokenizer->Save(path); !status.ok()) return Fail(status);
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  Notice(absl::StrFormat("%s: %d tokens from %s of text in %.1f s", path, tokenizer->vocab_size(),
                         BytesText(static_cast<double>(*bytes)), seconds));
  if (tokenizer->vocab_size() < vocab)
    Notice(absl::StrCat("the text has words for ", tokenizer->vocab_size(), " tokens only, not ", vocab));
  return 0;
}

// One list of ids for each text of a JSON list.
int EncodeList(const std::string &text,
               const std::function<std::vector<int32_t>(const std::string &)> &encode) {
  nlohmann::json texts = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!texts.is_array() ||
      !std::all_of(texts.begin(), texts.end(), [](const auto &t) { return t.is_string(); }))
    return Fail(absl::InvalidArgumentError("the input is no JSON list of texts, as [\"a\", \"b\"]"));
  nlohmann::json lists = nlohmann::json::array();
  for (const nlohmann::json &t : texts) lists.push_back(encode(t.get_ref<const std::string &>()));
  std::printf("%s\n", lists.dump().c_str());
  return 0;
}

int Encode(const Arguments &arguments) {
  static const CommandSpec spec = {
      "tokenizer encode",
      "[TEXT]",
      "Prints the ids of TEXT, or of what stands on stdin.",
      {{"--tokenizer", "FILE", "a tokenizer.json", "tokenizer.json"},
       {"--specials", "", "names of special tokens, such as <|endoftext|>, become their ids"},
       {"--template", "", "puts what the file says around the text, such as a <bos>"},
       {"--json", "", "stdin is a JSON list of texts; prints a list of ids for each"},
       {"--show", "", "a line a token: id and text"}},
      "",
      0,
      1};
  Args args(spec, arguments);
  if (args.exit >= 0) return args.exit;
  absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Load(args.Text("--tokenizer", "tokenizer.json"));
  if (!tokenizer.ok()) return Fail(tokenizer.status());
  auto encode = [&](const std::string &text) {
    std::vector<int32_t> ids =
        args.Has("--specials") ? tokenizer->EncodeWithSpecials(text) : tokenizer->Encode(text);
    if (args.Has("--template")) {
      ids.insert(ids.begin(), tokenizer->prefix().begin(), tokenizer->prefix().end());
      ids.insert(ids.end(), tokenizer->suffix().begin(), tokenizer->suffix().end());
    }
    return ids;
  };
  std::string text = args.positional.empty() ? ReadStdin() : args.positional[0];
  if (args.Has("--json")) return EncodeList(text, encode);
  std::vector<int32_t> ids = encode(text);
  if (args.Has("--show")) {
    for (int32_t id : ids)
      std::printf("%7d  %s\n", id, absl::CEscape(std::string(tokenizer->TokenBytes(id))).c_str());
  } else {
    std::printf("%s\n", absl::StrJoin(ids, " ").c_str());
  }
  return 0;
}

int Inspect(const Arguments &arguments) {
  static const CommandSpec spec = {"tokenizer inspect",
                                   "FILE",
                                   "Says what a tokenizer.json holds.",
                                   {{"-o", "FILE", "writes it again there, as Weft writes it"}},
                                   "",
                                   1,
                                   1};
  Args args(spec, arguments);
  if (args.exit >= 0) return args.exit;
  absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Load(args.positional[0]);
  if (!tokenizer.ok()) return Fail(tokenizer.status());
  const auto ids = [&](absl::Span<const int32_t> all) {
    std::vector<std::string> names;
    for (int32_t id : all) names.push_back(absl::StrCat(id, " ", std::string(tokenizer->TokenBytes(id))));
    return names.empty() ? std::string("nothing") : absl::StrJoin(names, ", ");
  };
  std::printf("tokens      %d\nmerges      %zu%s\nnormal form %s\n", tokenizer->vocab_size(),
              tokenizer->merges().size(), tokenizer->ignore_merges() ? ", not for words that are tokens" : "",
              tokenizer->nfc() ? "NFC" : "none");
  for (const SplitStep &step : tokenizer->pre_tokenizer().steps())
    std::printf("split by    %s\n", step.regex.c_str());
  std::printf("before text %s\nafter text  %s\nend of text %d\n", ids(tokenizer->prefix()).c_str(),
              ids(tokenizer->suffix()).c_str(), tokenizer->end_of_text());
  for (const AddedToken &a : tokenizer->added_tokens())
    std::printf("added %7d  %s%s%s%s%s%s\n", a.id, absl::CEscape(a.text).c_str(),
                a.special ? "  special" : "", a.normalized ? "  normalized" : "",
                a.single_word ? "  single_word" : "", a.lstrip ? "  lstrip" : "", a.rstrip ? "  rstrip" : "");
  if (!args.Has("-o")) return 0;
  if (absl::Status status = tokenizer->Save(args.Text("-o")); !status.ok()) return Fail(status);
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
  static const char usage[] =
      "usage: weft tokenizer train FILE… [--vocab N] [--split RULE] [-o tokenizer.json]\n"
      "       weft tokenizer encode [TEXT] [--tokenizer FILE]\n"
      "       weft tokenizer decode [ID…] [--tokenizer FILE]\n"
      "       weft tokenizer inspect FILE [-o FILE]\n";
  std::string name = arguments.empty() ? "" : arguments[0];
  Arguments rest(arguments.begin() + !arguments.empty(), arguments.end());
  if (name == "train") return TrainTokenizer(rest);
  if (name == "encode") return Encode(rest);
  if (name == "decode") return Decode(rest);
  if (name == "inspect") return Inspect(rest);
  if (name == "--help" || name == "-h") {
    std::fputs(usage, stdout);
    return 0;
  }
  PrintError(absl::StrCat(name.empty() ? "weft tokenizer needs train, encode, decode or inspect"
                                       : absl::StrCat("unknown command tokenizer ", name),
                          "\nhint: weft tokenizer --help"));
  return 2;
}

} // namespace weft
