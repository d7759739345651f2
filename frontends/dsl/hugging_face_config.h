// A Hugging Face config.json as a model's Config::from_hugging_face reads it, and what else a folder's
// weights need to be known as the model's.
#pragma once
#include "frontends/dsl/builder.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft {

// An object of the file. Every error is a ModelError that names the key, what was found and what was
// expected. A key whose value is null counts as absent, as in transformers.
class HuggingFaceConfig {
public:
  // Not JSON, not an object, a key twice, too deep, or more than 16 MiB: ModelError.
  static HuggingFaceConfig parse(std::string_view text);
  HuggingFaceConfig(HuggingFaceConfig &&other) noexcept : node_(other.node_) { other.node_ = nullptr; }
  ~HuggingFaceConfig();

  bool has(const std::string &key) const;
  // Required without a fallback. Integers lie in [0, 2^31): sizes, counts and ids.
  i64 integer(const std::string &key) const;
  i64 integer(const std::string &key, i64 fallback) const;
  double number(const std::string &key) const; // finite
  double number(const std::string &key, double fallback) const;
  bool flag(const std::string &key, bool fallback) const;
  std::string text(const std::string &key, const std::string &fallback) const;
  std::vector<std::string> texts(const std::string &key) const; // a list; absent: none
  // The object at `key`, empty when absent.
  HuggingFaceConfig object(const std::string &key) const;

  // "hidden_act is "gelu" when only "silu" is supported": `instead` follows "when". Says what is absent, too.
  [[noreturn]] void refuse(const std::string &key, const std::string &instead) const;
  // Refuses any value but absent, null, false, 0, an empty list or object.
  void require_off(const std::string &key, const std::string &instead) const;

  // Marks keys as read: they change nothing that Weft computes.
  void skip(const std::vector<std::string> &keys) const;
  // Keys that nothing has read, in the file's order.
  std::vector<std::string> unread() const;

private:
  struct Node; // owned; <memory> would be a quarter of what a model file includes
  explicit HuggingFaceConfig(Node *node) : node_(node) {}
  Node *node_;
};

// Of the tensors in a folder, beside those that the model's parameters are named after.
struct WeightMap {
  // Patterns (* = any text) of tensors that the model has no use for: "model.layers.*.rotary_emb.inv_freq".
  std::vector<std::string> ignored;
  // {second, first}: where the folder has `second` although the model has no parameter of that name, it must
  // hold the same numbers as `first`: {"lm_head.weight", "model.embed_tokens.weight"} of a tied head.
  std::vector<std::pair<std::string, std::string>> equal;
  // {field, pattern}: where the folder has no tensor of the pattern, the field of the Config is 0 whatever
  // config.json says: {"mtp_layers", "model.layers.61.*"}, which transformers leaves out.
  std::vector<std::pair<std::string, std::string>> optional;
};

} // namespace weft
