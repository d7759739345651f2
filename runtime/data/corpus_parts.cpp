#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>

#include "runtime/data/corpus.h"
#include "runtime/data/file_io.h"
#include "runtime/data/str_cat.h"
#include "runtime/data/text_parts.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kPart = 1 << 20; // bytes: fits a core's cache

// What one thread takes at a time: a range of a text file, or whole files that belong together.
struct Item {
  std::vector<std::string> files;
  uint64_t begin = 0, end = 0; // 0, 0: whole
};

std::vector<Item> Plan(absl::Span<const std::string> files, bool cut) {
  std::map<std::string, Item> pages_of; // folder -> its pages
  std::vector<Item> items;
  for (const std::string &path : files) {
    if (IsHtml(path)) {
      pages_of[fs::path(path).parent_path().string()].files.push_back(path);
      continue;
    }
    std::error_code error;
    const uint64_t size = fs::file_size(path, error);
    if (error || !cut || size <= kPart + kPart / 2) { // what is wrong with it, reading says
      items.push_back({{path}});
      continue;
    }
    for (uint64_t begin = 0; begin < size; begin += kPart)
      items.push_back({{path}, begin, std::min(begin + kPart, size)});
  }
  std::vector<Item> all; // pages are much at once, and so come first
  for (auto &[folder, item] : pages_of) all.push_back(std::move(item));
  std::move(items.begin(), items.end(), std::back_inserter(all));
  return all;
}

// Reads ranges of files. A range's text goes from the first cut (PartEnd) at or after its begin to the first
// at or after its end, so that the texts of a file's ranges are the file.
class RangeReader {
public:
  // The text, valid until the next call; empty where no cut lies in the range.
  absl::StatusOr<std::string_view> Read(const Item &item) {
    absl::StatusOr<InputFile> file = InputFile::Open(item.files[0]);
    if (!file.ok()) return file.status();
    // One byte before, for whether there is a cut at `begin` is seen from there.
    const uint64_t first = item.begin - (item.begin > 0), end = item.end - first;
    size_t begin = 0;
    for (uint64_t more = 1 << 12;; more *= 2) {
      if (end + more > kMaxTextBytes)
        return absl::ResourceExhaustedError(StrCat(item.files[0], " has ", kMaxTextBytes,
                                                   " bytes in which no word surely ends; break its lines"));
      const size_t size = std::min(end + more, file->size() - std::min(first, file->size()));
      if (buffer_.size() < size) buffer_.resize(size);
      absl::StatusOr<size_t> got = file->ReadAt(first, buffer_.data(), size);
      if (!got.ok()) return got.status();
      const std::string_view text(buffer_.data(), *got);
      if (item.begin > 0 && begin == 0) {
        begin = PartEnd(text.substr(0, std::min<size_t>(end + 1, text.size())), 1);
        if (begin >= end) return std::string_view();
      }
      const size_t cut = PartEnd(text, end);
      if (cut < text.size() || text.size() < end + more) return text.substr(begin, cut - begin);
    }
  }

private:
  std::string buffer_; // never made smaller, so that nothing is cleared twice
};

} // namespace

absl::Status ForEachText(absl::Span<const std::string> files, bool cut, int threads,
                         const std::function<TextSink()> &make_sink) {
  const std::vector<Item> items = Plan(files, cut);
  std::atomic<bool> any{false}, failed{false};
  std::mutex mutex;
  size_t failed_item = items.size(); // the first of them, whichever thread was first
  absl::Status failure;
  OnThreads(threads, items.size(), [&](auto next_item) {
    const TextSink sink = make_sink();
    RangeReader ranges;
    const auto give = [&](const Item &item) -> absl::Status {
      if (item.end > 0) {
        absl::StatusOr<std::string_view> text = ranges.Read(item);
        if (!text.ok()) return text.status();
        if (text->empty()) return absl::OkStatus();
        any = true;
        sink(*text);
        return absl::OkStatus();
      }
      absl::StatusOr<std::vector<Document>> documents = LoadDocuments(item.files);
      if (!documents.ok()) return documents.status();
      for (const Document &d : *documents) any = true, sink(d.text);
      return absl::OkStatus();
    };
    for (size_t i; !failed && next_item(i);) {
      absl::Status given = give(items[i]);
      if (given.ok()) continue;
      failed = true;
      std::lock_guard<std::mutex> lock(mutex);
      if (i < failed_item) failed_item = i, failure = std::move(given);
    }
  });
  if (!failure.ok()) return failure;
  return any ? absl::OkStatus() : NoText(files);
}

} // namespace weft
