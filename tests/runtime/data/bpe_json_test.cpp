#include <gtest/gtest.h>

#include "nlohmann/json.hpp"
#include "runtime/data/bpe.h"
#include "runtime/data/bpe_train.h"
#include "tests/runtime/data/temp_folder.h"

namespace weft {
namespace {

using nlohmann::json;

const std::string &GoldenText() {
  static const std::string text = Slurp("tests/runtime/data/goldens/tokenizer.json");
  return text;
}

// The error of the golden file with the value at `pointer` (RFC 6901) replaced by the JSON `value`, or
// removed where that is empty.
std::string ErrorOf(const char *pointer, const std::string &value) {
  static const json golden = json::parse(GoldenText());
  const std::string op = value.empty() ? R"("remove")" : R"("add", "value": )" + value;
  const json patch = json::parse(R"([{"path": ")" + std::string(pointer) + R"(", "op": )" + op + "}]");
  return std::string(Tokenizer::FromJson(golden.patch(patch).dump()).status().message());
}

TEST(TokenizerJson, ComesBackAsItWasWritten) {
  TempFolder folder;
  const Tokenizer first = Tokenizer::FromJson(GoldenText()).value();
  EXPECT_EQ(first.vocab_size(), 512);
  EXPECT_EQ(first.ToJson(), GoldenText());
  ASSERT_TRUE(first.Save(folder / "tokenizer.json").ok());
  const Tokenizer second = Tokenizer::Load(folder / "tokenizer.json").value();
  EXPECT_EQ(second.hash(), first.hash());
  EXPECT_EQ(second.ToJson(), first.ToJson());
  // Nothing is left beside the file.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(TokenizerJson, ReadsMergesAsPairsToo) {
  json root = json::parse(GoldenText());
  for (json &merge : root["model"]["merges"]) {
    const std::string text = merge;
    merge = {text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1)};
  }
  EXPECT_EQ(Tokenizer::FromJson(root.dump())->ToJson(), GoldenText());
}

TEST(TokenizerJson, ReadsGpt2sRuleAndSpecialTokensOutsideTheVocabulary) {
  json root = json::parse(GoldenText());
  root["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
  root["added_tokens"].push_back({{"id", 512}, {"content", "<s>"}, {"special", true}});
  const Tokenizer t = Tokenizer::FromJson(root.dump()).value();
  EXPECT_EQ(t.pre_tokenizer().steps()[0].kind, SplitStep::Kind::kByteLevel);
  EXPECT_EQ(t.vocab_size(), 513);
  EXPECT_EQ(t.AddedId("<s>"), 512);
  EXPECT_EQ(Tokenizer::FromJson(t.ToJson())->hash(), t.hash());
}

TEST(TokenizerJson, ReadsTheTemplateThatPutsTokensAroundAText) {
  json root = json::parse(GoldenText());
  const json eot = {{"SpecialToken", {{"id", "<|endoftext|>"}, {"type_id", 0}}}};
  root["post_processor"] = {{"type", "TemplateProcessing"},
                            {"single", json::array({eot, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}})}};
  const Tokenizer t = Tokenizer::FromJson(root.dump()).value();
  EXPECT_EQ(std::vector<int32_t>(t.prefix().begin(), t.prefix().end()), (std::vector<int32_t>{256}));
  EXPECT_TRUE(t.suffix().empty());
  EXPECT_EQ(Tokenizer::FromJson(t.ToJson())->prefix().size(), 1u);
}

TEST(TokenizerJson, NamesTheFileThatIsMissingOrBroken) {
  TempFolder folder;
  EXPECT_EQ(Tokenizer::Load(folder / "none.json").status(),
            absl::NotFoundError("cannot read " + (folder / "none.json") + ": No such file or directory"));
  EXPECT_EQ(Tokenizer::Load(folder.path()).status().message(), folder.path() + " is not a regular file");
  const std::string path = folder.Write("half.json", GoldenText().substr(0, GoldenText().size() / 2));
  const absl::Status half = Tokenizer::Load(path).status();
  EXPECT_EQ(half.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      std::string(half.message()).rfind("tokenizer " + path + ": not valid JSON: parse error at line ", 0),
      0u)
      << half;
}

TEST(TokenizerJson, IsNeverReadFromATruncatedFile) {
  const std::string &text = GoldenText();
  for (size_t size = 0; size + 2 < text.size(); size += 1 + size / 7)
    EXPECT_FALSE(Tokenizer::FromJson(text.substr(0, size)).ok()) << size;
}

TEST(TokenizerJson, NamesAFieldOfTheWrongKind) {
  EXPECT_EQ(std::string(Tokenizer::FromJson("[1]").status().message()),
            "it is [1] when it should be an object");
  EXPECT_EQ(ErrorOf("/model", ""), "model is null when it should be an object");
  EXPECT_EQ(ErrorOf("/version", R"("2.0")"), "version is \"2.0\" when it should be \"1.0\"");
  EXPECT_EQ(ErrorOf("/model/type", R"("Unigram")"), "model has type \"Unigram\" when it should be \"BPE\"");
  EXPECT_EQ(ErrorOf("/model/dropout", "0.1"),
            "model has dropout 0.1 when only a byte-level model without it is read");
  EXPECT_EQ(ErrorOf("/model/vocab", "[]"), "model.vocab is [] when it should be an object of ids");
  EXPECT_EQ(ErrorOf("/model/merges", "3"), "model.merges is 3 when it should be a list");
  EXPECT_EQ(ErrorOf("/model/merges/-", "7"), "merge 255 is 7 when it should be two tokens");
  EXPECT_EQ(ErrorOf("/model/merges/-", R"("a b c")"),
            "merge 255 is \"a b c\" when it should be two tokens with a space between");
  EXPECT_EQ(ErrorOf("/added_tokens", R"("x")"), "added_tokens is \"x\" when it should be a list");
  EXPECT_EQ(ErrorOf("/added_tokens/0", "1"),
            "an added token is 1 when it should be an object with an id and a content");
  EXPECT_EQ(ErrorOf("/normalizer", R"({"type": "NFKC"})"),
            "normalizer has type \"NFKC\" when only NFC is read");
  EXPECT_EQ(ErrorOf("/decoder", "null"), "decoder is null when it should be a ByteLevel");
  EXPECT_EQ(ErrorOf("/pre_tokenizer", "null"), "pre_tokenizer is null when it should be an object");
  EXPECT_EQ(ErrorOf("/pre_tokenizer/pretokenizers/0/pattern/Regex", R"("\\bx")"),
            "pre_tokenizer: the regex \\bx has \\b, which is not read at byte 1");
  EXPECT_EQ(ErrorOf("/pre_tokenizer/pretokenizers/1/add_prefix_space", "true"),
            "pre_tokenizer ByteLevel has add_prefix_space true when only false is read");
  EXPECT_EQ(ErrorOf("/post_processor", R"({"type": "BertProcessing"})"),
            "post_processor has type \"BertProcessing\" when ByteLevel and TemplateProcessing are read");
}

TEST(TokenizerJson, NamesIdsThatAreDuplicateMissingOrOutOfRange) {
  EXPECT_EQ(ErrorOf("/model/vocab/a", "98"), "token \"b\" has id 98, which another token has too");
  EXPECT_EQ(ErrorOf("/model/vocab/a", "-1"), "the id of token \"a\" is -1 outside [0, 16777216)");
  EXPECT_EQ(ErrorOf("/model/vocab/a", "18446744073709551615"),
            "the id of token \"a\" is 18446744073709551615 outside [0, 16777216)");
  EXPECT_EQ(ErrorOf("/model/vocab/a", "1.5"),
            "the id of token \"a\" is 1.5 when it should be a whole number");
  EXPECT_EQ(ErrorOf("/model/vocab/a", "16000000"),
            "token \"a\" has id 16000000 when there are only 513 tokens: ids may leave no hole");
  EXPECT_EQ(ErrorOf("/model/vocab/a", ""),
            "no token has id 97 though there are 512 ids: they may leave no hole");
  EXPECT_EQ(ErrorOf("/model/vocab/a b", "512"),
            "token \"a b\" with id 512 is not written in the byte-level alphabet");
  EXPECT_EQ(ErrorOf("/added_tokens/0/id", "255"),
            "added token \"<|endoftext|>\" has id 255 but id 256 in model.vocab");
  EXPECT_EQ(ErrorOf("/added_tokens/-", R"({"id": 256, "content": "<|endoftext|>"})"),
            "added token \"<|endoftext|>\" is listed twice");
  EXPECT_EQ(ErrorOf("/added_tokens/0/lstrip", "1"),
            "added token \"<|endoftext|>\" has lstrip 1 when it should be true or false");
}

TEST(TokenizerJson, NamesMergesOfUnknownTokens) {
  EXPECT_EQ(ErrorOf("/model/merges/0", R"("zzz a")"),
            "merge 0 names \"zzz\", which is not in model.vocab, or special");
  EXPECT_EQ(ErrorOf("/model/merges/0", R"("z z")"),
            "merge 0 gives \"zz\", which is not in model.vocab, or special");
  EXPECT_EQ(ErrorOf("/model/merges/1", json::parse(GoldenText())["model"]["merges"][0].dump())
                .rfind("merge 1 of tokens ", 0),
            0u);
}

TEST(TokenizerJson, SurvivesAnyFlippedByte) {
  std::string text = GoldenText();
  for (size_t i = 0; i < text.size(); i += 13) {
    for (int flip : {0x01, 0x20, 0x80}) {
      text[i] = static_cast<char>(text[i] ^ flip);
      const absl::StatusOr<Tokenizer> t =
          Tokenizer::FromJson(text); // an error or another tokenizer, never a crash
      if (t.ok()) {
        EXPECT_EQ(t->Decode(t->Encode("round trip \xff")), "round trip \xff");
      }
      text[i] = static_cast<char>(text[i] ^ flip);
    }
  }
}

TEST(TokenizerJson, NamesTheEndOfTextForTransformers) {
  const json config = json::parse(Tokenizer::FromJson(GoldenText())->ToConfigJson());
  EXPECT_EQ(config["eos_token"], "<|endoftext|>");
  EXPECT_EQ(config["tokenizer_class"], "PreTrainedTokenizerFast");
}

} // namespace
} // namespace weft
