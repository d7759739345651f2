// Documents shared out among threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/types/span.h"

namespace weft {

struct TextPart {
  size_t document;
  std::string_view text;
};

// The end of a part of about `size` bytes at the front of `text`, after which a word starts whatever the
// rule: the first place from `size` on where a printable ASCII character is followed by a space, or an ASCII
// letter or digit by a line break (PreTokenizer::CutsAfterWords). Nothing is composed across it. The end of
// `text` where there is none.
inline size_t PartEnd(std::string_view text, size_t size) {
  for (size_t at = std::max<size_t>(size, 1); at < text.size(); ++at) {
    const char c = text[at - 1];
    if (text[at] == ' ' && c > ' ' && c < 0x7f) return at;
    if (text[at] == '\n' && (((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9'))) return at;
  }
  return text.size();
}

// All documents in order, an empty one too; long ones in several parts where `cuts`.
inline std::vector<TextPart> CutDocuments(absl::Span<const std::string_view> documents, bool cuts) {
  constexpr size_t kPart = 1 << 20;
  std::vector<TextPart> parts;
  for (size_t d = 0; d < documents.size(); ++d) {
    std::string_view rest = documents[d];
    do {
      const size_t end = cuts ? PartEnd(rest, kPart) : rest.size();
      parts.push_back({d, rest.substr(0, end)});
      rest.remove_prefix(end);
    } while (!rest.empty());
  }
  return parts;
}

// Calls work(next) on up to `threads` threads (0 = one for each processor), no more than there are items;
// next(i) puts the number of an item that nobody has into i, or returns false.
template <typename Work> void OnThreads(int threads, size_t items, Work work) {
  const size_t processors = std::max(1u, std::thread::hardware_concurrency());
  const size_t workers = std::min(threads > 0 ? static_cast<size_t>(threads) : processors, items);
  std::atomic<size_t> given{0};
  const auto next = [&](size_t &i) { return (i = given.fetch_add(1)) < items; };
  std::vector<std::thread> pool;
  for (size_t t = 1; t < workers; ++t) pool.emplace_back([&] { work(next); });
  work(next);
  for (std::thread &t : pool) t.join();
}

} // namespace weft
