#include "runtime/data/bpe.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "runtime/data/bpe_state.h"
#include "runtime/data/normalize.h"
#include "runtime/data/str_cat.h"
#include "runtime/data/unicode.h"

namespace weft {

absl::Status Tokenizer::State::PlaceAdded(const TokenizerParts &p) {
  const auto vocab = static_cast<int64_t>(p.tokens.size());
  is_added.assign(vocab, false);
  is_special.assign(vocab, false);
  for (const AddedToken &a : p.added) {
    if (a.id < 0 || a.id >= vocab)
      return absl::InvalidArgumentError(
          StrCat("added token \"", a.text, "\" has id ", a.id, " outside [0, ", vocab, ")"));
    if (a.text.empty()) return absl::InvalidArgumentError(StrCat("added token ", a.id, " has no text"));
    if (a.text.size() > kMaxAddedToken)
      return absl::InvalidArgumentError(StrCat("added token ", a.id, " has ", a.text.size(),
                                               " bytes when at most ", kMaxAddedToken, " are read"));
    if (is_added[a.id]) return absl::InvalidArgumentError(StrCat("two added tokens have id ", a.id));
    if (p.tokens[a.id] != a.text)
      return absl::InvalidArgumentError(
          StrCat("added token \"", a.text, "\" has id ", a.id, ", which is another token's"));
    is_added[a.id] = true;
    is_special[a.id] = a.special;
  }
  return absl::OkStatus();
}

void Tokenizer::State::Finish() {
  const TokenizerParts &p = parts;
  bytes.assign(p.tokens.begin(), p.tokens.end());
  for (std::string_view name : {kEndOfText, std::string_view("<|end_of_text|>"), std::string_view("</s>"),
                                std::string_view("<eos>"), std::string_view("<｜end▁of▁sentence｜>")})
    for (const AddedToken &a : p.added)
      if (end_of_text < 0 && a.special && a.text == name) end_of_text = a.id;

  std::vector<const AddedToken *> raw, normal;
  for (bool special : {true, false}) // of equal normal forms a special one's counts
    for (const AddedToken &a : p.added) {
      if (a.special != special) continue;
      (a.normalized ? normal : raw).push_back(&a);
      std::string &text = (a.normalized ? normal_texts : raw_texts).emplace_back(a.text);
      std::string form;
      if (a.normalized && p.nfc && NormalizeNfc(text, form)) text = std::move(form);
    }
  raw_matcher = AddedTokenMatcher(raw, raw_texts);
  normal_matcher = AddedTokenMatcher(normal, normal_texts);

  if (p.ignore_merges)
    for (size_t id = 0; id < bytes.size(); ++id)
      if (!is_added[id]) whole_words.emplace(bytes[id], static_cast<int32_t>(id));

  std::string all = "weft-bpe-1 ";
  for (const SplitStep &step : p.pre_tokenizer.steps()) all += StrCat(step.regex, " ");
  all += StrCat(p.ignore_merges ? 1 : 0, p.nfc ? " nfc" : "");
  for (const std::string &t : p.tokens) all += StrCat("\n", t.size(), " ", t);
  for (const auto &m : p.merges) all += StrCat("\nm ", m.left, " ", m.right);
  for (const AddedToken &a : p.added)
    all += StrCat("\ns ", a.id, a.special ? "" : " plain", a.normalized ? " normalized" : "",
                  a.single_word ? " word" : "", a.lstrip ? " lstrip" : "", a.rstrip ? " rstrip" : "");
  hash = XXH3_64bits(all.data(), all.size());
}

absl::StatusOr<Tokenizer> Tokenizer::Make(TokenizerParts parts) {
  auto state = std::make_shared<State>();
  const int64_t vocab = static_cast<int64_t>(parts.tokens.size());
  if (vocab > kMaxVocab)
    return absl::InvalidArgumentError(
        StrCat("the vocabulary has ", vocab, " tokens when at most ", kMaxVocab, " are read"));
  auto known = [&](int32_t id) { return id >= 0 && id < vocab; };

  if (absl::Status s = state->PlaceAdded(parts); !s.ok()) return s;

  std::fill(std::begin(state->byte_ids), std::end(state->byte_ids), -1);
  for (int64_t id = 0; id < vocab; ++id) {
    const std::string &bytes = parts.tokens[id];
    if (bytes.empty()) return absl::InvalidArgumentError(StrCat("token ", id, " is empty"));
    if (bytes.size() == 1 && !state->is_added[id]) {
      int32_t &byte_id = state->byte_ids[static_cast<uint8_t>(bytes[0])];
      if (byte_id >= 0)
        return absl::InvalidArgumentError(StrCat("tokens ", byte_id, " and ", id, " are the same byte"));
      byte_id = static_cast<int32_t>(id);
    }
  }
  for (int b = 0; b < 256; ++b)
    if (state->byte_ids[b] < 0)
      return absl::InvalidArgumentError(
          absl::StrFormat("byte 0x%02x has no token, so text that holds it could not be encoded", b));

  if (parts.merges.size() > kMaxMerges)
    return absl::InvalidArgumentError(
        StrCat("there are ", parts.merges.size(), " merges when at most ", kMaxMerges, " are read"));
  state->table.Reserve(parts.merges.size());
  for (size_t rank = 0; rank < parts.merges.size(); ++rank) {
    const TokenizerParts::Merge &m = parts.merges[rank];
    if (!known(m.left) || !known(m.right) || !known(m.result))
      return absl::InvalidArgumentError(StrCat("merge ", rank, " names token ",
                                               !known(m.left)    ? m.left
                                               : !known(m.right) ? m.right
                                                                 : m.result,
                                               " outside [0, ", vocab, ")"));
    if (parts.tokens[m.result] != parts.tokens[m.left] + parts.tokens[m.right])
      return absl::InvalidArgumentError(StrCat("merge ", rank, " of tokens ", m.left, " and ", m.right,
                                               " gives token ", m.result, ", which is not their bytes"));
    if (!state->table.Insert(m.left, m.right, static_cast<int32_t>(rank), m.result))
      return absl::InvalidArgumentError(
          StrCat("merge ", rank, " of tokens ", m.left, " and ", m.right, " is listed before"));
  }
  for (const auto *ids : {&parts.prefix, &parts.suffix})
    for (int32_t id : *ids)
      if (!known(id))
        return absl::InvalidArgumentError(
            StrCat("the template names token ", id, " outside [0, ", vocab, ")"));

  state->parts = std::move(parts);
  state->Finish();
  return Tokenizer(std::move(state));
}

std::string Tokenizer::Decode(absl::Span<const int32_t> ids, bool skip_specials) const {
  std::string out;
  for (int32_t id : ids) {
    if (id < 0 || id >= vocab_size())
      AppendUtf8(0xfffd, out);
    else if (!skip_specials || !state_->is_special[id])
      out += state_->bytes[id];
  }
  return out;
}

std::string_view Tokenizer::TokenBytes(int32_t id) const {
  return id >= 0 && id < vocab_size() ? state_->bytes[id] : std::string_view();
}

int Tokenizer::vocab_size() const { return static_cast<int>(state_->bytes.size()); }
int Tokenizer::end_of_text() const { return state_->end_of_text; }
bool Tokenizer::IsSpecial(int32_t id) const { return id >= 0 && id < vocab_size() && state_->is_special[id]; }
int32_t Tokenizer::AddedId(std::string_view text) const {
  for (const AddedToken &a : state_->parts.added)
    if (a.text == text) return a.id;
  return -1;
}
const PreTokenizer &Tokenizer::pre_tokenizer() const { return state_->parts.pre_tokenizer; }
bool Tokenizer::nfc() const { return state_->parts.nfc; }
bool Tokenizer::ignore_merges() const { return state_->parts.ignore_merges; }
absl::Span<const AddedToken> Tokenizer::added_tokens() const { return state_->parts.added; }
absl::Span<const TokenizerParts::Merge> Tokenizer::merges() const { return state_->parts.merges; }
absl::Span<const int32_t> Tokenizer::prefix() const { return state_->parts.prefix; }
absl::Span<const int32_t> Tokenizer::suffix() const { return state_->parts.suffix; }
uint64_t Tokenizer::hash() const { return state_->hash; }

} // namespace weft
