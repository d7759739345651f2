#include "runtime/data/augment.h"

#include <algorithm>

#include "runtime/data/corpus.h"
#include "runtime/data/philox.h"
#include "runtime/data/str_cat.h"
#include "runtime/data/unicode.h"

namespace weft {
namespace {

// Keys of their own set these draws apart from those of initialisers, shuffling or sampling under the same
// seed.
constexpr uint64_t kFimKey = 0x66696d2066696d20, kSplitKey = 0x73706c6974746f6b;

uint64_t Word(const PhiloxCounter &r, int i) { return static_cast<uint64_t>(r[2 * i + 1]) << 32 | r[2 * i]; }

// 0 to n, each as often.
size_t UpTo(size_t n, uint64_t random) {
  return static_cast<size_t>(
      static_cast<unsigned __int128>(random) * (static_cast<unsigned __int128>(n) + 1) >> 64);
}

bool Happens(double rate, uint32_t random) { return random < rate * 4294967296.0; }

// At or before `at`, where a character starts.
size_t CharStart(std::string_view text, size_t at) {
  for (size_t back = 0; back < 4 && back <= at && at < text.size(); ++back)
    if ((text[at - back] & 0xc0) != 0x80) return at - back;
  return at;
}

// Where the line breaks of a token begin that are its end, after punctuation and symbols; 0 where it is none
// such.
size_t BreaksAfterPunctuation(std::string_view bytes) {
  size_t breaks = bytes.size();
  while (breaks > 0 && (bytes[breaks - 1] == '\n' || bytes[breaks - 1] == '\r')) --breaks;
  if (breaks == bytes.size()) return 0;
  bool any = false;
  for (size_t at = 0, length; at < breaks; at += length) {
    const uint32_t point = DecodeUtf8(bytes, at, length);
    if (point == kInvalidCodePoint || point == '\n' || point == '\r') return 0;
    any |= (CategoryBit(point) & (kPunctuation | kSymbols)) != 0;
  }
  return any ? breaks : 0;
}

} // namespace

absl::StatusOr<Augmenter> Augmenter::Make(Tokenizer tokenizer, const AugmentOptions &options) {
  for (const auto &[name, rate] : {std::pair{"fim", options.fim}, {"split_tokens", options.split_tokens}})
    if (!(rate >= 0 && rate <= 1))
      return absl::InvalidArgumentError(StrCat("data.", name, " is ", rate, " when it should be 0 to 1"));
  Augmenter a(std::move(tokenizer), options);
  const Tokenizer &t = a.tokenizer_;
  static constexpr std::string_view kNames[][3] = {{kFimTokens[0], kFimTokens[1], kFimTokens[2]},
                                                   {"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"},
                                                   {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},
                                                   {"<fim_prefix>", "<fim_suffix>", "<fim_middle>"}};
  for (const auto &names : kNames)
    if (a.begin_ < 0 && t.AddedId(names[0]) >= 0 && t.AddedId(names[1]) >= 0 && t.AddedId(names[2]) >= 0)
      a.begin_ = t.AddedId(names[0]), a.hole_ = t.AddedId(names[1]), a.end_ = t.AddedId(names[2]);
  if (options.fim > 0 && a.begin_ < 0)
    return absl::FailedPreconditionError(StrCat(
        "data.fim is ", options.fim, " when the tokenizer has no tokens for it, such as ", kFimTokens[0],
        ", ", kFimTokens[1], " and ", kFimTokens[2], "; set data.fim = 0 or take another tokenizer"));
  if (options.split_tokens > 0) {
    a.parts_.resize(t.vocab_size());
    for (int32_t id = 0; id < t.vocab_size(); ++id) {
      const std::string_view bytes = t.TokenBytes(id);
      const size_t breaks = t.IsSpecial(id) ? 0 : BreaksAfterPunctuation(bytes);
      if (breaks == 0) continue;
      a.parts_[id] = t.Encode(bytes.substr(0, breaks));
      const std::vector<int32_t> rest = t.Encode(bytes.substr(breaks));
      a.parts_[id].insert(a.parts_[id].end(), rest.begin(), rest.end());
    }
  }
  return a;
}

std::vector<int32_t> Augmenter::WithSplitTokens(std::vector<int32_t> ids, int64_t document) const {
  if (parts_.empty()) return ids;
  std::vector<int32_t> out;
  out.reserve(ids.size() + ids.size() / 16);
  PhiloxCounter draws{};
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i % 4 == 0) draws = Philox(options_.seed ^ kSplitKey, document, i / 4);
    const std::vector<int32_t> &parts = parts_[ids[i]];
    if (!parts.empty() && Happens(options_.split_tokens, draws[i % 4]))
      out.insert(out.end(), parts.begin(), parts.end());
    else
      out.push_back(ids[i]);
  }
  return out;
}

std::vector<std::vector<int32_t>> Augmenter::Encode(absl::Span<const std::string_view> texts, int64_t first,
                                                    int threads) const {
  // One document to be: a text as it is, or three in the order prefix, suffix, middle.
  struct Made {
    int64_t text;
    bool fim;
  };
  std::vector<Made> made;
  std::vector<std::string_view> pieces;
  for (size_t t = 0; t < texts.size(); ++t) {
    std::string_view rest = texts[t];
    const auto number = first + static_cast<int64_t>(t);
    bool joins = false; // the part before was left as it is, and the next goes on with it
    for (uint64_t part = 0; part == 0 || !rest.empty(); ++part) {
      const std::string_view text = rest.substr(0, options_.fim > 0 ? CutAt(rest, kFimPart) : rest.size());
      rest.remove_prefix(text.size());
      if (options_.fim > 0 && Happens(options_.fim, Philox(options_.seed ^ kFimKey, number, 2 * part)[0])) {
        const PhiloxCounter r = Philox(options_.seed ^ kFimKey, number, 2 * part + 1);
        size_t a = CharStart(text, UpTo(text.size(), Word(r, 0))),
               b = CharStart(text, UpTo(text.size(), Word(r, 1)));
        if (a > b) std::swap(a, b);
        made.push_back({number, true});
        for (std::string_view piece : {text.substr(0, a), text.substr(b), text.substr(a, b - a)})
          pieces.push_back(piece);
        joins = false;
      } else if (joins) {
        pieces.back() = {pieces.back().data(), pieces.back().size() + text.size()};
      } else {
        made.push_back({number, false});
        pieces.push_back(text);
        joins = true;
      }
    }
  }
  std::vector<std::vector<int32_t>> ids = tokenizer_.EncodeAll(pieces, threads), out;
  size_t piece = 0;
  int64_t text = -1, ordinal = 0; // of the documents made of one text
  for (const Made &m : made) {
    ordinal = m.text == text ? ordinal + 1 : 0;
    text = m.text;
    std::vector<int32_t> document;
    if (m.fim) {
      for (int32_t marker : {begin_, hole_, end_}) {
        document.push_back(marker);
        document.insert(document.end(), ids[piece].begin(), ids[piece].end());
        ++piece;
      }
    } else {
      document = std::move(ids[piece++]);
    }
    out.push_back(WithSplitTokens(std::move(document), m.text | ordinal << 40));
  }
  return out;
}

} // namespace weft
