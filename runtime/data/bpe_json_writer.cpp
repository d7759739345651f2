// Writes tokenizer.json as the `tokenizers` package lays it out; bpe_json_reader.cpp reads it.
#include "runtime/data/bpe.h"
#include "runtime/data/byte_alphabet.h"
#include "runtime/data/file_io.h"
#include "runtime/data/str_cat.h"
#include "runtime/data/unicode.h"

namespace weft {
namespace {

// A JSON string. Bytes that are not UTF-8, which only a special token made by hand could have, become U+FFFD.
std::string Quoted(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (size_t at = 0, length = 0; at < text.size(); at += length) {
    const uint32_t point = DecodeUtf8(text, at, length);
    if (point == '"' || point == '\\') {
      out += '\\';
      out += static_cast<char>(point);
    } else if (point < 0x20) {
      out += "\\u00";
      out += kHex[point >> 4];
      out += kHex[point & 15];
    } else {
      AppendUtf8(point, out);
    }
  }
  return out + "\"";
}

// The elements of a list or object, separated and indented alike.
class Lines {
public:
  explicit Lines(int indent) : separator_(",\n" + std::string(indent, ' ')) {}
  void Add(std::string_view line) {
    text_ += text_.empty() ? std::string_view(separator_).substr(1) : std::string_view(separator_);
    text_ += line;
  }
  std::string Close(char bracket) const {
    return text_.empty() ? std::string(1, bracket)
                         : text_ + separator_.substr(1, separator_.size() - 2) + bracket;
  }

private:
  std::string separator_, text_;
};

std::string ByteLevel(bool add_prefix_space, bool use_regex) {
  return StrCat(R"({"type": "ByteLevel", "add_prefix_space": )", add_prefix_space ? "true" : "false",
                R"(, "trim_offsets": true, "use_regex": )", use_regex ? "true" : "false", "}");
}

std::string PreTokenizer(Split split) {
  if (split == Split::kGpt2) return ByteLevel(false, true);
  return StrCat(
      "{\"type\": \"Sequence\", \"pretokenizers\": [\n   {\"type\": \"Split\", \"pattern\": {\"Regex\": ",
      Quoted(SplitRegex(split)), "}, \"behavior\": \"Isolated\", \"invert\": false},\n   ",
      ByteLevel(false, false), "\n  ]}");
}

// The template that puts the prefix and suffix around a text, or null where there are none.
std::string PostProcessor(const Tokenizer &t) {
  if (t.prefix().empty() && t.suffix().empty()) return "null";
  const auto sequence = [](char id, int type) {
    return StrCat("{\"Sequence\": {\"id\": \"", std::string(1, id), "\", \"type_id\": ", type, "}}");
  };
  Lines single(3), used(3);
  const auto add = [&](int32_t id) {
    const std::string name = Quoted(t.TokenBytes(id));
    single.Add(StrCat("{\"SpecialToken\": {\"id\": ", name, ", \"type_id\": 0}}"));
    used.Add(StrCat(name, ": {\"id\": ", name, ", \"ids\": [", id, "], \"tokens\": [", name, "]}"));
  };
  for (int32_t id : t.prefix()) add(id);
  single.Add(sequence('A', 0));
  for (int32_t id : t.suffix()) add(id);
  return StrCat("{\"type\": \"TemplateProcessing\", \"single\": [", single.Close(']'), ", \"pair\": [",
                sequence('A', 0), ", ", sequence('B', 1), "], \"special_tokens\": {", used.Close('}'), "}");
}

} // namespace

std::string Tokenizer::ToJson() const {
  Lines added(2), vocab(3), merges(3);
  for (const TokenizerParts::Special &s : specials())
    added.Add(StrCat("{\"id\": ", s.id, ", \"content\": ", Quoted(s.text),
                     ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, "
                     "\"special\": true}"));
  for (int32_t id = 0; id < vocab_size(); ++id)
    vocab.Add(
        StrCat(IsSpecial(id) ? Quoted(TokenBytes(id)) : Quoted(ToByteAlphabet(TokenBytes(id))), ": ", id));
  for (const TokenizerParts::Merge &m : this->merges())
    merges.Add(Quoted(ToByteAlphabet(TokenBytes(m.left)) + " " + ToByteAlphabet(TokenBytes(m.right))));

  return StrCat(
      "{\n \"version\": \"1.0\",\n \"truncation\": null,\n \"padding\": null,\n \"added_tokens\": [",
      added.Close(']'), ",\n \"normalizer\": null,\n \"pre_tokenizer\": ", PreTokenizer(split()),
      ",\n \"post_processor\": ", PostProcessor(*this), ",\n \"decoder\": ", ByteLevel(true, true),
      ",\n \"model\": {\n  \"type\": \"BPE\",\n  \"dropout\": null,\n  \"unk_token\": null,\n"
      "  \"continuing_subword_prefix\": null,\n  \"end_of_word_suffix\": null,\n  \"fuse_unk\": false,\n"
      "  \"byte_fallback\": false,\n  \"ignore_merges\": ",
      ignore_merges() ? "true" : "false", ",\n  \"vocab\": {", vocab.Close('}'), ",\n  \"merges\": [",
      merges.Close(']'), "\n }\n}\n");
}

std::string Tokenizer::ToConfigJson() const {
  Lines fields(1);
  fields.Add("\"tokenizer_class\": \"PreTrainedTokenizerFast\"");
  fields.Add("\"clean_up_tokenization_spaces\": false");
  if (end_of_text() >= 0)
    for (const char *role : {"bos_token", "eos_token", "pad_token"})
      fields.Add(StrCat("\"", role, "\": ", Quoted(TokenBytes(end_of_text()))));
  return StrCat("{", fields.Close('}'), "\n");
}

absl::Status Tokenizer::Save(const std::string &path) const { return WriteFileAtomically(path, ToJson()); }

} // namespace weft
