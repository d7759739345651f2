// The reader of tokenizer.json. What was accepted has to encode, decode to the same bytes, and be the same
// again when written and read; its merges, in whatever order, have to give a long word the ids that a slow
// merge gives.
#include "runtime/data/bpe.h"
#include "runtime/data/bpe_merge.h"
#include "runtime/data/bpe_train.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/runtime/data/slow_merge.h"

namespace weft::fuzz {

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  const std::string_view text = "the cat sat on the mat; the rat \xc3\xa4t 12 345 the hat.\n\nthat\n";
  for (Split split : {Split::kLlama3, Split::kGpt2, Split::kQwen2, Split::kDeepSeek3}) {
    auto trained = TrainBpe({text}, 268);
    Require(trained.ok(), "a seed is trained");
    TokenizerParts parts;
    parts.pre_tokenizer = PreTokenizer(split);
    parts.ignore_merges = split == Split::kGpt2;
    parts.nfc = split == Split::kQwen2;
    for (int id = 0; id < trained->vocab_size(); ++id) parts.tokens.emplace_back(trained->TokenBytes(id));
    parts.merges.assign(trained->merges().begin(), trained->merges().end());
    parts.added.assign(trained->added_tokens().begin(), trained->added_tokens().end());
    if (split == Split::kGpt2) parts.prefix = {trained->end_of_text()};
    if (split == Split::kQwen2 || split == Split::kDeepSeek3) {
      const auto id = static_cast<int32_t>(parts.tokens.size());
      parts.added.push_back({.text = "<think>", .id = id, .special = false, .in_vocab = false});
      parts.added.push_back(
          {.text = "e\xcc\x81x", .id = id + 1, .special = false, .normalized = true, .single_word = true});
      parts.added.push_back({.text = "<pad>", .id = id + 2, .lstrip = true, .rstrip = true});
      for (int i = 0; i < 3; ++i) parts.tokens.push_back(parts.added[parts.added.size() - 3 + i].text);
    }
    auto tokenizer = Tokenizer::Make(std::move(parts));
    Require(tokenizer.ok(), "a seed is a tokenizer");
    seeds.push_back(tokenizer->ToJson());
  }
  // Regexes without a scanner, and a step of digits.
  for (const char *regex :
       {R"([^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s+(?!\\S)|\\s)",
        R"((?i:'re|[a-c]+?)|[\\p{Lu}&&[^A-M]]{2,5}|(?=\\w+$)\\W*x|^(t|th)+.|\\x41)"}) {
    std::string seed = seeds[0];
    const size_t begin = seed.find("\"Regex\": \"") + 10, end = seed.find("\"}, \"behavior\"");
    seed.replace(begin, end - begin, regex);
    seed.insert(seed.find("{\"type\": \"Split\""), "{\"type\": \"Digits\", \"individual_digits\": true}, ");
    Require(Tokenizer::FromJson(seed).ok(), "a seed is a tokenizer");
    seeds.push_back(seed);
  }
  return seeds;
}

std::vector<std::string> Words() {
  return {"{",
          "}",
          "[",
          "]",
          "\"",
          ": ",
          ", ",
          "null",
          "true",
          "false",
          "-1",
          "256",
          "16777216",
          "4294967296",
          "1e5",
          "\\u0120",
          "\"type\": ",
          "\"Split\"",
          "\"BPE\"",
          "\"merges\"",
          "\"vocab\"",
          "\"id\": ",
          "\"Sequence\"",
          "\"processors\": [",
          "\"content\": ",
          "\"added_tokens\": [",
          "\"TemplateProcessing\"",
          "\"Digits\"",
          "\"normalizer\": {\"type\": \"NFC\"}",
          "\"Regex\": ",
          "\"lstrip\": true",
          "\"normalized\": true",
          "\"single_word\": true",
          "\"special\": false",
          "\\\\p{L}",
          "(?=",
          "(?i:",
          "++",
          "{1,3}",
          "[^",
          "&&",
          "\xc4\xa0"};
}

// `word` in windows so small that it takes many.
void RequireMergesAsSlowly(const Tokenizer &tokenizer, std::string_view word) {
  std::vector<bool> added(tokenizer.vocab_size());
  for (const AddedToken &a : tokenizer.added_tokens()) added[a.id] = true;
  int32_t byte_ids[256];
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id)
    if (const auto bytes = tokenizer.TokenBytes(id); bytes.size() == 1 && !added[id])
      byte_ids[static_cast<uint8_t>(bytes[0])] = id;
  MergeTable table;
  table.Reserve(tokenizer.merges().size());
  int32_t rank = 0;
  for (const auto &m : tokenizer.merges())
    Require(table.Insert(m.left, m.right, rank++, m.result), "a pair is listed once");
  const std::vector<int32_t> slow = SlowMerge(tokenizer.merges(), byte_ids, word);
  for (size_t window : {2, 7, 32}) {
    std::vector<int32_t> ids;
    MergeLong(table, byte_ids, word, ids, window);
    Require(ids == slow, "a long word has the ids of a slow merge");
  }
}

} // namespace weft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace weft;
  auto read = Tokenizer::FromJson({reinterpret_cast<const char *>(data), size});
  fuzz::Outcome(std::string(read.status().message()));
  if (!read.ok()) return 0;
  std::string text =
      "the cat sat <|endoftext|> e\xcc\x81x<think> <pad>\xff\xc3\xa4\r\n  12345 " + std::string(100, 't');
  bool exact = !read->nfc();
  for (const AddedToken &a : read->added_tokens()) exact &= !a.lstrip && !a.rstrip;
  std::vector<int32_t> ids = read->Encode(text), with_specials = read->EncodeWithSpecials(text);
  fuzz::Require(!exact || read->Decode(ids) == text, "decoding gives back what was encoded");
  fuzz::Require(!exact || read->Decode(with_specials) == text, "and so with special tokens");
  for (int32_t id : ids) fuzz::Require(!read->IsSpecial(id), "a document has no special tokens");
  auto again = Tokenizer::FromJson(read->ToJson());
  fuzz::Require(again.ok(), "what was written is read");
  fuzz::Require(again->hash() == read->hash(), "what was written is the same tokenizer");
  fuzz::Require(again->Encode(text) == ids && again->EncodeWithSpecials(text) == with_specials,
                "and gives the same ids");
  const std::string_view end(reinterpret_cast<const char *>(data), size);
  fuzz::RequireMergesAsSlowly(*read, "thecatsatonthematthehattttttttttttthathethethaththaatheat");
  fuzz::RequireMergesAsSlowly(*read, end.substr(size - std::min<size_t>(size, 100)));
  return 0;
}
