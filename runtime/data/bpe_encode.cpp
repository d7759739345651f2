#include "runtime/data/bpe_state.h"
#include "runtime/data/normalize.h"
#include "runtime/data/text_parts.h"

namespace weft {

// Takes scratch of the tokenizer's, and gives it back.
class Tokenizer::Borrowed {
public:
  explicit Borrowed(const State &state) : state_(state) {
    std::lock_guard<std::mutex> lock(state.mutex);
    if (!state.scratch.empty()) {
      scratch_ = std::move(state.scratch.back());
      state.scratch.pop_back();
    }
  }
  ~Borrowed() {
    if (scratch_ && scratch_->normal.capacity() > 1 << 24) scratch_->normal = {}; // a long document's
    std::lock_guard<std::mutex> lock(state_.mutex);
    if (scratch_) state_.scratch.push_back(std::move(scratch_));
  }
  Borrowed(const Borrowed &) = delete;
  Scratch &operator*() {
    if (!scratch_) scratch_ = std::make_unique<Scratch>();
    return *scratch_;
  }

private:
  const State &state_;
  std::unique_ptr<Scratch> scratch_;
};

size_t Tokenizer::State::EncodeWord(std::string_view word, int32_t *ids) const {
  if (parts.ignore_merges)
    if (const auto whole = whole_words.find(word); whole != whole_words.end()) {
      ids[0] = whole->second;
      return 1;
    }
  for (size_t i = 0; i < word.size(); ++i) ids[i] = byte_ids[static_cast<uint8_t>(word[i])];
  return MergeShort(table, ids, word.size());
}

void Tokenizer::State::EncodeWords(std::string_view text, Scratch &scratch, std::vector<int32_t> &out) const {
  static_assert(kShortWord <= WordCache::kMaxWordBytes);
  WordCache &cache = scratch.cache;
  int32_t *next = scratch.ids.data();
  const auto flush = [&] {
    out.insert(out.end(), scratch.ids.data(), next);
    next = scratch.ids.data();
  };
  WordCutter cutter(parts.pre_tokenizer, text);
  size_t at = 0;
  for (auto ends = cutter.Next(); !ends.empty(); ends = cutter.Next()) {
    for (const size_t end : ends) {
      const std::string_view word(text.data() + at, end - at);
      const size_t readable = text.size() - at;
      at = end;
      if (word.size() <= kShortWord) {
        const WordKey key = WordKey::Of(word, readable);
        if (cache.Lookup(word, key, next)) continue;
        const size_t count = EncodeWord(word, next);
        cache.Insert(word, key, next, count);
        next += count;
        continue;
      }
      flush();
      const auto whole = parts.ignore_merges ? whole_words.find(word) : whole_words.end();
      if (whole != whole_words.end()) {
        out.push_back(whole->second);
        continue;
      }
      MergeLong(table, byte_ids, word, out);
    }
    flush();
  }
}

void Tokenizer::State::EncodeNormal(std::string_view text, bool with_specials, Scratch &scratch,
                                    std::vector<int32_t> &out) const {
  if (parts.nfc && NormalizeNfc(text, scratch.normal)) text = scratch.normal;
  if (with_specials ? normal_matcher.empty() : !normal_matcher.has_plain())
    return EncodeWords(text, scratch, out);
  normal_matcher.Split(
      text, !with_specials, [&](std::string_view piece) { EncodeWords(piece, scratch, out); },
      [&](int32_t id) { out.push_back(id); });
}

void Tokenizer::State::EncodeDocument(std::string_view text, bool with_specials, Scratch &scratch,
                                      std::vector<int32_t> &out) const {
  if (with_specials ? raw_matcher.empty() : !raw_matcher.has_plain())
    return EncodeNormal(text, with_specials, scratch, out);
  raw_matcher.Split(
      text, !with_specials, [&](std::string_view piece) { EncodeNormal(piece, with_specials, scratch, out); },
      [&](int32_t id) { out.push_back(id); });
}

std::vector<int32_t> Tokenizer::EncodeAs(std::string_view text, bool with_specials) const {
  std::vector<int32_t> out;
  out.reserve(text.size() / 4 + 16);
  Borrowed scratch(*state_);
  state_->EncodeDocument(text, with_specials, *scratch, out);
  return out;
}

std::vector<int32_t> Tokenizer::Encode(std::string_view text) const { return EncodeAs(text, false); }
std::vector<int32_t> Tokenizer::EncodeWithSpecials(std::string_view text) const {
  return EncodeAs(text, true);
}

std::vector<std::vector<int32_t>> Tokenizer::EncodeAll(absl::Span<const std::string_view> documents,
                                                       int threads) const {
  const bool cuts = state_->parts.pre_tokenizer.CutsAfterWords() && !state_->FindsAdded(false);
  const std::vector<TextPart> parts = CutDocuments(documents, cuts);
  std::vector<std::vector<int32_t>> ids(parts.size());
  OnThreads(threads, parts.size(), [&](auto next_part) {
    Borrowed scratch(*state_);
    for (size_t i; next_part(i);) {
      ids[i].reserve(parts[i].text.size() / 4 + 16);
      state_->EncodeDocument(parts[i].text, false, *scratch, ids[i]);
    }
  });
  std::vector<std::vector<int32_t>> out(documents.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    std::vector<int32_t> &document = out[parts[i].document];
    if (document.empty())
      document = std::move(ids[i]);
    else
      document.insert(document.end(), ids[i].begin(), ids[i].end());
    ids[i] = {};
  }
  return out;
}

} // namespace weft
