// Reads tokenizer.json, strictly; bpe_json_writer.cpp writes it.
//
// Read: model BPE without dropout, unknown token, affixes or byte fallback; normalizer none or NFC;
// pre-tokenizer of Splits on a regex (isolated), Digits and a ByteLevel at the end; decoder ByteLevel;
// post-processor none, ByteLevel, or a template that puts special tokens around the text; added tokens of all
// kinds. Anything else would give other ids than `tokenizers` does, so it is an error that names the field.
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "nlohmann/json.hpp"
#include "runtime/data/bpe.h"
#include "runtime/data/byte_alphabet.h"
#include "runtime/data/file_io.h"
#include "runtime/data/json_depth.h"
#include "runtime/data/normalize.h"
#include "runtime/data/str_cat.h"

namespace weft {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxFileBytes = 256 << 20;

template <typename... Args> absl::Status Bad(const Args &...args) {
  return absl::InvalidArgumentError(StrCat(args...));
}

// A value as an error shows it: short, whatever the file holds.
std::string Show(const json &value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

// The member `name`, or null where it is absent.
const json &Member(const json &object, const char *name) {
  static const json null;
  const auto it = object.find(name);
  return it == object.end() ? null : *it;
}

bool IsOff(const json &v) { return v.is_null() || v == json(false) || v == json(""); }

absl::StatusOr<int32_t> ReadId(const json &value, std::string_view what) {
  if (!value.is_number_integer())
    return Bad("the id of ", what, " is ", Show(value), " when it should be a whole number");
  const bool fits = value.is_number_unsigned()
                        ? value.get<uint64_t>() < uint64_t{Tokenizer::kMaxVocab}
                        : value.get<int64_t>() >= 0 && value.get<int64_t>() < Tokenizer::kMaxVocab;
  if (!fits) return Bad("the id of ", what, " is ", Show(value), " outside [0, ", Tokenizer::kMaxVocab, ")");
  return static_cast<int32_t>(value.get<int64_t>());
}

// A member that is true or false; absent means `otherwise`.
absl::StatusOr<bool> ReadFlag(const json &object, const char *name, bool otherwise, std::string_view what) {
  const json &value = Member(object, name);
  if (value.is_null()) return otherwise;
  if (!value.is_boolean())
    return Bad(what, " has ", name, " ", Show(value), " when it should be true or false");
  return value.get<bool>();
}

absl::Status ReadNormalizer(const json &normalizer, TokenizerParts &parts) {
  if (normalizer.is_null()) return absl::OkStatus();
  if (!normalizer.is_object()) return Bad("normalizer is ", Show(normalizer), " when it should be an object");
  const json &type = Member(normalizer, "type");
  if (type == "Sequence" && Member(normalizer, "normalizers").is_array()) {
    for (const json &step : Member(normalizer, "normalizers"))
      if (absl::Status s = ReadNormalizer(step, parts); !s.ok()) return s;
    return absl::OkStatus();
  }
  if (type != "NFC") return Bad("normalizer has type ", Show(type), " when only NFC is read");
  if (!HasNfc()) return Bad("normalizer is NFC, which the ICU library of this machine cannot do");
  parts.nfc = true;
  return absl::OkStatus();
}

absl::Status ReadSplit(const json &step, std::vector<SplitStep> &steps) {
  if (Member(step, "behavior") != "Isolated" || !IsOff(Member(step, "invert")))
    return Bad("pre_tokenizer has ", Show(step),
               " when only a Split that is isolated and not inverted is read");
  const json &pattern = Member(step, "pattern");
  const json &regex = pattern.is_object() ? Member(pattern, "Regex") : Member(json::object(), "Regex");
  if (!regex.is_string())
    return Bad("pre_tokenizer's Split has pattern ", Show(pattern), " when it should be a Regex");
  steps.push_back({SplitStep::Kind::kSplit, regex.get<std::string>()});
  return absl::OkStatus();
}

// Adds the steps that `step` is to `steps`; `has_bytes` says whether a ByteLevel was among them, which ends
// them.
absl::Status ReadPreTokenizer(const json &step, std::vector<SplitStep> &steps, bool &has_bytes) {
  if (!step.is_object()) return Bad("pre_tokenizer is ", Show(step), " when it should be an object");
  if (has_bytes) return Bad("pre_tokenizer goes on with ", Show(step), " after its ByteLevel");
  const json &type = Member(step, "type");
  if (type == "Sequence" && Member(step, "pretokenizers").is_array()) {
    for (const json &s : Member(step, "pretokenizers"))
      if (absl::Status status = ReadPreTokenizer(s, steps, has_bytes); !status.ok()) return status;
    return absl::OkStatus();
  }
  if (type == "Split") return ReadSplit(step, steps);
  if (type == "Digits") {
    absl::StatusOr<bool> each = ReadFlag(step, "individual_digits", false, "pre_tokenizer Digits");
    if (!each.ok()) return each.status();
    steps.push_back({SplitStep::Kind::kDigits, *each ? R"(\p{N})" : R"(\p{N}+)"});
    return absl::OkStatus();
  }
  if (type != "ByteLevel")
    return Bad("pre_tokenizer has type ", Show(type), " when Sequence, Split, Digits and ByteLevel are read");
  absl::StatusOr<bool> space = ReadFlag(step, "add_prefix_space", true, "pre_tokenizer ByteLevel");
  absl::StatusOr<bool> regex = ReadFlag(step, "use_regex", true, "pre_tokenizer ByteLevel");
  for (const absl::Status &s : {space.status(), regex.status()})
    if (!s.ok()) return s;
  if (*space) return Bad("pre_tokenizer ByteLevel has add_prefix_space true when only false is read");
  if (*regex) steps.push_back(PreTokenizer(Split::kGpt2).steps()[0]);
  has_bytes = true;
  return absl::OkStatus();
}

absl::Status CheckModelOptions(const json &model) {
  if (Member(model, "type") != "BPE")
    return Bad("model has type ", Show(Member(model, "type")), " when it should be \"BPE\"");
  for (const char *name : {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                           "fuse_unk", "byte_fallback"})
    if (!IsOff(Member(model, name)) && !(Member(model, name).is_number() && Member(model, name) == 0))
      return Bad("model has ", name, " ", Show(Member(model, name)),
                 " when only a byte-level model without it is read");
  return absl::OkStatus();
}

// Places `bytes` at `id` of `tokens`, which grows as needed; `filled` says which ids are taken.
absl::Status Place(int32_t id, std::string bytes, std::string_view what, std::vector<std::string> &tokens) {
  if (static_cast<size_t>(id) >= tokens.size()) tokens.resize(id + 1);
  if (!tokens[id].empty()) return Bad("token ", what, " has id ", id, ", which another token has too");
  tokens[id] = std::move(bytes);
  return absl::OkStatus();
}

absl::Status ReadTokens(const json &root, const json &vocab, TokenizerParts &parts) {
  if (!vocab.is_object()) return Bad("model.vocab is ", Show(vocab), " when it should be an object of ids");
  const json &added = Member(root, "added_tokens");
  if (!added.is_null() && !added.is_array())
    return Bad("added_tokens is ", Show(added), " when it should be a list");

  absl::flat_hash_map<std::string_view, int32_t> added_ids;
  for (const json &token : added) {
    if (!token.is_object() || !Member(token, "content").is_string())
      return Bad("an added token is ", Show(token), " when it should be an object with an id and a content");
    const std::string &text = Member(token, "content").get_ref<const std::string &>();
    absl::StatusOr<int32_t> id = ReadId(Member(token, "id"), StrCat("added token \"", text, "\""));
    if (!id.ok()) return id.status();
    AddedToken read{text, *id};
    const std::pair<const char *, bool *> flags[] = {{"special", &read.special},
                                                     {"normalized", &read.normalized},
                                                     {"single_word", &read.single_word},
                                                     {"lstrip", &read.lstrip},
                                                     {"rstrip", &read.rstrip}};
    for (const auto &[name, flag] : flags) {
      absl::StatusOr<bool> value = ReadFlag(token, name, false, StrCat("added token \"", text, "\""));
      if (!value.ok()) return value.status();
      *flag = *value;
    }
    if (!added_ids.emplace(text, *id).second) return Bad("added token \"", text, "\" is listed twice");
    read.in_vocab = vocab.contains(text);
    parts.added.push_back(std::move(read));
  }

  // The ids have to be 0 … n-1, so the largest allowed is known before anything is sized by an id.
  const size_t most = vocab.size() + added_ids.size();
  std::string bytes;
  for (const auto &[text, value] : vocab.items()) {
    absl::StatusOr<int32_t> id = ReadId(value, StrCat("token ", Show(text)));
    if (!id.ok()) return id.status();
    if (static_cast<size_t>(*id) >= most)
      return Bad("token ", Show(text), " has id ", *id, " when there are only ", most,
                 " tokens: ids may leave no hole");
    if (const auto it = added_ids.find(text); it != added_ids.end()) {
      if (it->second != *id)
        return Bad("added token ", Show(text), " has id ", it->second, " but id ", *id, " in model.vocab");
      continue; // placed below
    }
    if (!FromByteAlphabet(text, bytes))
      return Bad("token ", Show(text), " with id ", *id, " is not written in the byte-level alphabet");
    if (bytes.empty()) return Bad("token ", *id, " is empty");
    if (absl::Status s = Place(*id, bytes, Show(text), parts.tokens); !s.ok()) return s;
  }
  for (const AddedToken &s : parts.added) {
    if (static_cast<size_t>(s.id) >= most)
      return Bad("added token \"", s.text, "\" has id ", s.id, " when there are only ", most,
                 " tokens: ids may leave no hole");
    if (s.text.empty()) return Bad("added token ", s.id, " is empty");
    if (absl::Status status = Place(s.id, s.text, StrCat("\"", s.text, "\""), parts.tokens); !status.ok())
      return status;
  }
  for (size_t id = 0; id < parts.tokens.size(); ++id)
    if (parts.tokens[id].empty())
      return Bad("no token has id ", id, " though there are ", parts.tokens.size(),
                 " ids: they may leave no hole");
  return absl::OkStatus();
}

absl::Status ReadMerges(const json &merges, const json &vocab, TokenizerParts &parts) {
  if (!merges.is_array()) return Bad("model.merges is ", Show(merges), " when it should be a list");
  std::vector<bool> special(parts.tokens.size(), false);
  for (const AddedToken &a : parts.added) special[a.id] = a.special;
  absl::flat_hash_map<std::string_view, int32_t> ids; // by the spelling of model.vocab
  for (const auto &[text, value] : vocab.items())
    if (const int32_t id = value.get<int32_t>(); !special[id]) ids.emplace(text, id);

  parts.merges.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const json &merge = merges[rank];
    std::string_view names[2];
    if (merge.is_string()) { // "a b", as files before 2024 have it
      const std::string_view text = merge.get_ref<const std::string &>();
      const size_t space = text.find(' ');
      if (space == text.npos || text.find(' ', space + 1) != text.npos)
        return Bad("merge ", rank, " is ", Show(merge), " when it should be two tokens with a space between");
      names[0] = text.substr(0, space), names[1] = text.substr(space + 1);
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      for (int i = 0; i < 2; ++i) names[i] = merge[i].get_ref<const std::string &>();
    } else {
      return Bad("merge ", rank, " is ", Show(merge), " when it should be two tokens");
    }
    const std::string result = StrCat(names[0], names[1]);
    int32_t found[3];
    for (int i = 0; i < 3; ++i) {
      const auto it = ids.find(i < 2 ? names[i] : std::string_view(result));
      if (it == ids.end())
        return Bad("merge ", rank, i < 2 ? " names " : " gives ",
                   Show(std::string(i < 2 ? names[i] : result)), ", which is not in model.vocab, or special");
      found[i] = it->second;
    }
    parts.merges.push_back({found[0], found[1], found[2]});
  }
  return absl::OkStatus();
}

// The ids that a TemplateProcessing puts around a single text.
absl::Status ReadTemplate(const json &post, TokenizerParts &parts) {
  const json &single = Member(post, "single");
  if (!single.is_array()) return Bad("post_processor has single ", Show(single), " when it should be a list");
  absl::flat_hash_map<std::string_view, int32_t> ids;
  for (const AddedToken &a : parts.added) ids.emplace(a.text, a.id);
  bool seen = false;
  for (const json &piece : single) {
    if (piece.is_object() && piece.contains("Sequence")) {
      if (std::exchange(seen, true)) return Bad("post_processor takes the text twice");
      continue;
    }
    const json &special = piece.is_object() ? Member(piece, "SpecialToken") : piece;
    const json &name = special.is_object() ? Member(special, "id") : special;
    const auto id = name.is_string() ? ids.find(name.get_ref<const std::string &>()) : ids.end();
    if (id == ids.end()) return Bad("post_processor names ", Show(name), ", which is no added token");
    (seen ? parts.suffix : parts.prefix).push_back(id->second);
  }
  return seen ? absl::OkStatus() : Bad("post_processor leaves the text out");
}

absl::Status ReadPostProcessor(const json &post, TokenizerParts &parts) {
  if (post.is_null()) return absl::OkStatus();
  if (!post.is_object()) return Bad("post_processor is ", Show(post), " when it should be an object");
  const json &type = Member(post, "type");
  if (type == "ByteLevel") return absl::OkStatus(); // only changes offsets
  if (type == "TemplateProcessing") return ReadTemplate(post, parts);
  if (type == "Sequence" && Member(post, "processors").is_array()) {
    for (const json &step : Member(post, "processors"))
      if (absl::Status s = ReadPostProcessor(step, parts); !s.ok()) return s;
    return absl::OkStatus();
  }
  return Bad("post_processor has type ", Show(type), " when ByteLevel and TemplateProcessing are read");
}

absl::StatusOr<Tokenizer> FromTree(const json &root) {
  if (!root.is_object()) return Bad("it is ", Show(root), " when it should be an object");
  if (Member(root, "version") != "1.0")
    return Bad("version is ", Show(Member(root, "version")), " when it should be \"1.0\"");
  for (const char *name : {"truncation", "padding"})
    if (!Member(root, name).is_null())
      return Bad(name, " is ", Show(Member(root, name)), " when only null is read");
  const json &model = Member(root, "model");
  if (!model.is_object()) return Bad("model is ", Show(model), " when it should be an object");
  if (absl::Status s = CheckModelOptions(model); !s.ok()) return s;
  const json &decoder = Member(root, "decoder");
  if (!decoder.is_object() || Member(decoder, "type") != "ByteLevel")
    return Bad("decoder is ", Show(decoder), " when it should be a ByteLevel");

  TokenizerParts parts;
  parts.ignore_merges = Member(model, "ignore_merges") == json(true);
  if (absl::Status s = ReadNormalizer(Member(root, "normalizer"), parts); !s.ok()) return s;
  std::vector<SplitStep> steps;
  bool has_bytes = false;
  if (absl::Status s = ReadPreTokenizer(Member(root, "pre_tokenizer"), steps, has_bytes); !s.ok()) return s;
  if (!has_bytes)
    return Bad("pre_tokenizer ", Show(Member(root, "pre_tokenizer")),
               " has no ByteLevel, and only models of bytes are read");
  absl::StatusOr<PreTokenizer> pre_tokenizer = PreTokenizer::Make(std::move(steps));
  if (!pre_tokenizer.ok()) return Bad("pre_tokenizer: ", std::string(pre_tokenizer.status().message()));
  parts.pre_tokenizer = std::move(*pre_tokenizer);
  if (absl::Status s = ReadTokens(root, Member(model, "vocab"), parts); !s.ok()) return s;
  if (absl::Status s = ReadMerges(Member(model, "merges"), Member(model, "vocab"), parts); !s.ok()) return s;
  if (absl::Status s = ReadPostProcessor(Member(root, "post_processor"), parts); !s.ok()) return s;
  return Tokenizer::Make(std::move(parts));
}

} // namespace

absl::StatusOr<Tokenizer> Tokenizer::FromJson(std::string_view text) {
  if (JsonNestsDeeper(text))
    return Bad("arrays and objects nest deeper than ", kMaxJsonDepth,
               " levels, which no tokenizer.json does");
  json root;
  try {
    root = json::parse(text);
  } catch (const json::exception &e) { // "[json.exception.parse_error.101] parse error at line …"
    std::string_view what = e.what();
    if (const size_t end = what.find("] "); end != what.npos) what.remove_prefix(end + 2);
    return Bad("not valid JSON: ", what);
  }
  return FromTree(root);
}

absl::StatusOr<Tokenizer> Tokenizer::Load(const std::string &path) {
  absl::StatusOr<std::string> text = ReadFile(path, kMaxFileBytes);
  if (!text.ok()) return text.status();
  absl::StatusOr<Tokenizer> tokenizer = FromJson(*text);
  if (!tokenizer.ok())
    return absl::Status(tokenizer.status().code(),
                        StrCat("tokenizer ", path, ": ", tokenizer.status().message()));
  return tokenizer;
}

} // namespace weft
