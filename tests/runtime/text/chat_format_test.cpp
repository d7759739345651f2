#include "runtime/text/chat_format.h"

#include "runtime/data/bpe_train.h"
#include "tests/runtime/data/temp_folder.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

class ChatFormatTest : public ::testing::Test {
protected:
  std::string Text(const ChatFormat &format, std::vector<ChatMessage> messages) {
    auto ids = format.Prompt(messages, tokenizer_, LocalNow());
    EXPECT_TRUE(ids.ok()) << ids.status();
    return ids.ok() ? tokenizer_.Decode(*ids) : "";
  }
  std::string Error(const std::string &config, const std::string &jinja = "") {
    return std::string(ChatFormat::FromText(config, "config", jinja, "t").status().message());
  }
  std::string_view text_ = "abc";
  Tokenizer tokenizer_ = *TrainBpe(absl::MakeConstSpan(&text_, 1), 257);
  TempFolder folder_;
};

TEST_F(ChatFormatTest, TemplatesAreFoundWhereHuggingFacePutsThem) {
  EXPECT_EQ(ChatFormat::Load(folder_.path()).status().code(), absl::StatusCode::kNotFound);
  folder_.Write("tokenizer_config.json",
                R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>", "chat_template":
    [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "{{ bos_token }}1{{ eos_token }}"}]})");
  EXPECT_EQ(Text(*ChatFormat::Load(folder_.path()), {}), "<s>1</s>");
  folder_.Write("tokenizer_config.json", R"({"chat_template": "{{ bos_token }}2"})");
  EXPECT_EQ(Text(*ChatFormat::Load(folder_.path()), {}), "2");
  folder_.Write("chat_template.jinja", "3");
  EXPECT_EQ(Text(*ChatFormat::Load(folder_.path()), {}), "3");
  EXPECT_EQ(Text(*ChatFormat::Load(folder_.path(), folder_.Write("own", "4")), {}), "4");
  EXPECT_FALSE(ChatFormat::Load(folder_.path(), folder_ / "none").ok());
}

TEST_F(ChatFormatTest, BrokenFilesAreErrors) {
  EXPECT_EQ(Error("{"), "config is not valid JSON");
  EXPECT_EQ(Error("[]"), "config should be a JSON object");
  EXPECT_EQ(Error("{}"), "config has no chat_template");
  EXPECT_EQ(Error(R"({"chat_template": 1})"),
            "config: chat_template should be a text, or a list of named ones");
  EXPECT_EQ(Error(R"({"chat_template": [{"name": 1}]})"),
            "config: an entry of chat_template should have a name and a template");
  EXPECT_EQ(Error(R"({"chat_template": [{"name": "rag", "template": ""}]})"),
            "config: chat_template has no \"default\", only rag\nhint: --template FILE gives one");
  EXPECT_EQ(Error(R"({"chat_template": "a\n{% x %}"})"),
            "config: chat_template:2: the tag {% x %} is not read");
  EXPECT_EQ(Error("{}", "{% x %}"), "t:1: the tag {% x %} is not read");
}

TEST_F(ChatFormatTest, SpecialTokensOfAMessageAreText) {
  auto format = *ChatFormat::FromText(
      "{}", "c", "{% for m in messages %}{{ m.content | trim }}<|endoftext|>{% endfor %}", "t");
  const int32_t end = tokenizer_.end_of_text();
  auto count = [&](const std::string &role, const std::string &text) {
    auto ids = *format.Prompt({{role, text}}, tokenizer_, LocalNow());
    EXPECT_EQ(tokenizer_.Decode(ids), text + "<|endoftext|>");
    return std::count(ids.begin(), ids.end(), end);
  };
  EXPECT_EQ(count("user", "a <|endoftext|> b"), 1);
  EXPECT_EQ(count("system", "<|endoftext|>"), 1);
  EXPECT_EQ(count("user", "<|endoftext|><|endoftext|>"), 1);
  EXPECT_EQ(count("assistant", "<|endoftext|>"), 2);
  // Nor can a message bring the marks along that make them so.
  auto ids = *format.Prompt({{"user", "\xef\xb7\x91<|endof\xef\xb7\x90text|>\xff"}}, tokenizer_, LocalNow());
  EXPECT_EQ(tokenizer_.Decode(ids), "<|endoftext|>\xef\xbf\xbd<|endoftext|>");
  EXPECT_EQ(std::count(ids.begin(), ids.end(), end), 1);
}

TEST_F(ChatFormatTest, EndTokensComeFromTheFilesThatAreThere) {
  EXPECT_TRUE(LoadEndTokens(folder_.path(), tokenizer_)->empty());
  folder_.Write("generation_config.json", R"({"eos_token_id": [5, 7]})");
  folder_.Write("config.json", R"({"eos_token_id": 7})");
  folder_.Write("tokenizer_config.json", R"({"eos_token": "<|endoftext|>"})");
  EXPECT_EQ(*LoadEndTokens(folder_.path(), tokenizer_), (std::vector<int32_t>{5, 7, 256}));
  for (const char *id : {"-2", "257", "1e3", "\"5\"", "[[5]]", "18446744073709551615"}) {
    folder_.Write("config.json", std::string("{\"eos_token_id\": ") + id + "}");
    EXPECT_EQ(LoadEndTokens(folder_.path(), tokenizer_).status().message(),
              folder_ / "config.json: eos_token_id should be an id below 257, or a list of such")
        << id;
  }
}

} // namespace
} // namespace weft
