// The reader of tokenizer.json. What was accepted has to encode, decode to the same bytes, and be the same
// again when written and read.
#include "runtime/data/bpe.h"
#include "runtime/data/bpe_train.h"
#include "tests/fuzz/fuzz_target.h"

namespace weft::fuzz {

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  const std::string_view text = "the cat sat on the mat; the rat \xc3\xa4t 12 345 the hat.\n\nthat\n";
  for (Split split : {Split::kLlama3, Split::kGpt2}) {
    auto trained = TrainBpe({text}, 268);
    Require(trained.ok(), "a seed is trained");
    TokenizerParts parts;
    parts.split = split;
    parts.ignore_merges = split == Split::kGpt2;
    for (int id = 0; id < trained->vocab_size(); ++id) parts.tokens.emplace_back(trained->TokenBytes(id));
    parts.merges.assign(trained->merges().begin(), trained->merges().end());
    parts.specials.assign(trained->specials().begin(), trained->specials().end());
    if (split == Split::kGpt2) parts.prefix = {trained->end_of_text()};
    auto tokenizer = Tokenizer::Make(std::move(parts));
    Require(tokenizer.ok(), "a seed is a tokenizer");
    seeds.push_back(tokenizer->ToJson());
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
          "\xc4\xa0"};
}

} // namespace weft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace weft;
  auto read = Tokenizer::FromJson({reinterpret_cast<const char *>(data), size});
  fuzz::Outcome(std::string(read.status().message()));
  if (!read.ok()) return 0;
  std::string text = "the cat sat <|endoftext|> \xff\xc3\xa4\r\n  12345 " + std::string(100, 't');
  fuzz::Require(read->Decode(read->Encode(text)) == text, "decoding gives back what was encoded");
  fuzz::Require(read->Decode(read->EncodeWithSpecials(text)) == text, "and so with special tokens");
  auto again = Tokenizer::FromJson(read->ToJson());
  fuzz::Require(again.ok(), "what was written is read");
  fuzz::Require(again->hash() == read->hash(), "what was written is the same tokenizer");
  return 0;
}
