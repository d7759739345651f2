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
// rule: at a line break before a printable ASCII character, which no word crosses (PreTokenizer::CutsAtLines)
// and nothing is composed across.
inline size_t PartEnd(std::string_view text, size_t size) {
  for (size_t at = std::max<size_t>(size, 1); at < text.size();) {
    at = text.find('\n', at - 1);
    if (at == text.npos || ++at == text.size()) break;
    if (text[at] > ' ' && text[at] < 0x7f) return at;
    ++at;
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
