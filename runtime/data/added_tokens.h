// Tokens that are found in a text as they are, before it is cut into words: <|endoftext|>, <think>, …
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

struct AddedToken {
  std::string text;
  int32_t id;
  bool special = true; // may be left out when decoding, and a document's text never makes it
  bool normalized =
      false; // looked for, in its normal form, in the normalised text; else in the text as it is
  bool single_word = false; // not where a letter or digit touches it
  bool lstrip = false;      // takes the blanks before it along
  bool rstrip = false;      // and those after it
  bool in_vocab = true;     // tokenizer.json lists it in model.vocab too
};

// Finds some added tokens: the leftmost, and of those the longest, as `tokenizers` does.
class AddedTokenMatcher {
public:
  AddedTokenMatcher() = default;
  // `texts[i]` is what tokens[i] is looked for as. What both refer to has to outlive this.
  AddedTokenMatcher(std::vector<const AddedToken *> tokens, const std::vector<std::string> &texts);

  bool empty() const { return entries_.empty(); }
  bool has_plain() const { return has_plain_; } // one that is not special

  // Calls on_text with what lies between tokens, never empty, and on_id with each token, in order. With
  // `plain_only` special tokens are passed over: text, but text in which nothing else is found.
  template <typename OnText, typename OnId>
  void Split(std::string_view text, bool plain_only, OnText on_text, OnId on_id) const {
    size_t done = 0;
    Found f;
    for (size_t from = 0; Find(text, from, f); from = f.end) {
      if (plain_only && f.token->special) continue;
      size_t begin = f.begin, end = f.end;
      if (!Widen(text, *f.token, done, begin, end)) continue;
      if (done < begin) on_text(text.substr(done, begin - done));
      on_id(f.token->id);
      done = end;
    }
    if (done < text.size()) on_text(text.substr(done));
  }

private:
  struct Entry {
    std::string_view text;
    const AddedToken *token;
  };
  struct Found {
    const AddedToken *token;
    size_t begin, end;
  };
  bool Find(std::string_view text, size_t from, Found &found) const;
  // Takes blanks along, down to `done`; false where the token may not stand.
  static bool Widen(std::string_view text, const AddedToken &token, size_t done, size_t &begin, size_t &end);

  std::vector<Entry> entries_; // sorted by text, each once
  bool starts_[256] = {};      // by first byte
  int only_start_ = -1;        // the first byte, where all have the same
  bool has_plain_ = false;
};

} // namespace weft
