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

std::string Json(const SplitStep &step) {
  if (step.kind == SplitStep::Kind::kDigits)
    return StrCat(R"({"type": "Digits", "individual_digits": )", step.regex.ends_with('+') ? "false" : "true",
                  "}");
  return StrCat(R"({"type": "Split", "pattern": {"Regex": )", Quoted(step.regex),
                R"(}, "behavior": "Isolated", "invert": false})");
}

std::string Json(const PreTokenizer &pre_tokenizer) {
  absl::Span<const SplitStep> steps = pre_tokenizer.steps();
  const bool use_regex = !steps.empty() && steps.back().kind == SplitStep::Kind::kByteLevel;
  if (use_regex) steps.remove_suffix(1);
  if (steps.empty()) return ByteLevel(false, use_regex);
  std::string text = "{\"type\": \"Sequence\", \"pretokenizers\": [\n   ";
  for (const SplitStep &step : steps) text += Json(step) + ",\n   ";
  return text + ByteLevel(false, use_regex) + "\n  ]}";
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
  const auto flag = [](bool value) { return value ? "true" : "false"; };
  std::vector<const AddedToken *> added_at(vocab_size(), nullptr);
  for (const AddedToken &a : added_tokens()) {
    added_at[a.id] = &a;
    added.Add(StrCat("{\"id\": ", a.id, ", \"content\": ", Quoted(a.text), ", \"single_word\": ",
                     flag(a.single_word), ", \"lstrip\": ", flag(a.lstrip), ", \"rstrip\": ", flag(a.rstrip),
                     ", \"normalized\": ", flag(a.normalized), ", \"special\": ", flag(a.special), "}"));
  }
  for (int32_t id = 0; id < vocab_size(); ++id)
    if (!added_at[id] || added_at[id]->in_vocab)
      vocab.Add(StrCat(Quoted(added_at[id] ? added_at[id]->text : ToByteAlphabet(TokenBytes(id))), ": ", id));
  for (const TokenizerParts::Merge &m : this->merges())
    merges.Add(Quoted(ToByteAlphabet(TokenBytes(m.left)) + " " + ToByteAlphabet(TokenBytes(m.right))));

  return StrCat(
      "{\n \"version\": \"1.0\",\n \"truncation\": null,\n \"padding\": null,\n \"added_tokens\": [",
      added.Close(']'), ",\n \"normalizer\": ", nfc() ? "{\"type\": \"NFC\"}" : "null",
      ",\n \"pre_tokenizer\": ", Json(pre_tokenizer()), ",\n \"post_processor\": ", PostProcessor(*this),
      ",\n \"decoder\": ", ByteLevel(true, true),
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
