// Writes tokenizer.json as the `tokenizers` package lays it out; bpe_json_reader.cpp reads it.
#include <utility>

#include "nlohmann/json.hpp"
#include "runtime/data/bpe.h"
#include "runtime/data/byte_alphabet.h"
#include "runtime/data/file_io.h"
#include "runtime/data/str_cat.h"

namespace weft {

using nlohmann::json;
using nlohmann::ordered_json;

std::string Tokenizer::ToJson() const {
  ordered_json added = ordered_json::array(), vocab = ordered_json::object(), merges = ordered_json::array();
  for (const TokenizerParts::Special &s : specials())
    added.push_back({{"id", s.id},
                     {"content", s.text},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  // ordered_json finds a key by search, so the vocabulary is put together as its list of pairs.
  auto &pairs = vocab.get_ref<ordered_json::object_t &>();
  pairs.reserve(vocab_size());
  for (int32_t id = 0; id < vocab_size(); ++id) {
    std::string name = IsSpecial(id) ? std::string(TokenBytes(id)) : ToByteAlphabet(TokenBytes(id));
    static_cast<std::vector<std::pair<const std::string, ordered_json>> &>(pairs).emplace_back(
        std::move(name), id);
  }
  for (const TokenizerParts::Merge &m : this->merges())
    merges.push_back(StrCat(ToByteAlphabet(TokenBytes(m.left)), " ", ToByteAlphabet(TokenBytes(m.right))));

  const bool own_regex = split() == Split::kGpt2;
  const ordered_json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", own_regex}};
  ordered_json pre = byte_level;
  if (!own_regex) {
    const ordered_json split_step = {{"type", "Split"},
                                     {"pattern", {{"Regex", std::string(SplitRegex(split()))}}},
                                     {"behavior", "Isolated"},
                                     {"invert", false}};
    pre = {{"type", "Sequence"}, {"pretokenizers", ordered_json::array({split_step, byte_level})}};
  }

  ordered_json post = nullptr;
  if (!prefix().empty() || !suffix().empty()) {
    ordered_json single = ordered_json::array(), pair, used = ordered_json::object();
    auto add = [&](int32_t id) {
      const std::string name(TokenBytes(id));
      single.push_back({{"SpecialToken", {{"id", name}, {"type_id", 0}}}});
      used[name] = {
          {"id", name}, {"ids", ordered_json::array({id})}, {"tokens", ordered_json::array({name})}};
    };
    for (int32_t id : prefix()) add(id);
    single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
    for (int32_t id : suffix()) add(id);
    pair = ordered_json::array(
        {{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "B"}, {"type_id", 1}}}}});
    post = {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", used}};
  }

  const ordered_json root = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", added},
      {"normalizer", nullptr},
      {"pre_tokenizer", pre},
      {"post_processor", post},
      {"decoder",
       {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}}},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", nullptr},
        {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr},
        {"fuse_unk", false},
        {"byte_fallback", false},
        {"ignore_merges", ignore_merges()},
        {"vocab", std::move(vocab)},
        {"merges", std::move(merges)}}}};
  return root.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string Tokenizer::ToConfigJson() const {
  ordered_json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                         {"clean_up_tokenization_spaces", false}};
  if (end_of_text() >= 0) {
    const std::string name(TokenBytes(end_of_text()));
    for (const char *role : {"bos_token", "eos_token", "pad_token"}) config[role] = name;
  }
  return config.dump(1) + "\n";
}

absl::Status Tokenizer::Save(const std::string &path) const { return WriteFileAtomically(path, ToJson()); }

} // namespace weft
