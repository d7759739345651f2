#include "runtime/data/corpus.h"

#include <algorithm>
#include <filesystem>
#include <glob.h>
#include <map>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "runtime/data/file_io.h"
#include "runtime/data/html_text.h"
#include "runtime/data/str_cat.h"

namespace weft {

namespace fs = std::filesystem;

bool IsHtml(const std::string &path) {
  const std::string extension = fs::path(path).extension().string();
  return extension == ".html" || extension == ".htm" || extension == ".xhtml";
}

absl::StatusOr<std::vector<std::string>> ExpandPatterns(absl::Span<const std::string> patterns) {
  if (patterns.empty()) return absl::InvalidArgumentError("no files are named: the corpus is empty");
  std::vector<std::string> files;
  for (const std::string &pattern : patterns) {
    glob_t found{};
    const int rc = ::glob(pattern.c_str(), GLOB_BRACE | GLOB_NOSORT | GLOB_ERR, nullptr, &found);
    std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + (rc == 0 ? found.gl_pathc : 0));
    ::globfree(&found);
    if (rc == GLOB_ABORTED)
      return absl::PermissionDeniedError(StrCat("cannot read the folder of pattern \"", pattern, "\""));
    if (rc == GLOB_NOSPACE)
      return absl::ResourceExhaustedError(
          StrCat("pattern \"", pattern, "\" matches more files than fit memory"));
    if (paths.empty())
      return absl::NotFoundError(
          StrCat("no file matches \"", pattern, "\" (seen from ", fs::current_path().string(), ")"));
    bool folder_only = true;
    for (std::string &path : paths) {
      std::error_code error;
      if (fs::is_directory(path, error)) continue;
      folder_only = false;
      files.push_back(std::move(path));
    }
    if (folder_only)
      return absl::InvalidArgumentError(StrCat("\"", pattern, "\" names a folder, not a file; write \"",
                                               pattern, pattern.ends_with('/') ? "" : "/",
                                               "*\" for the files in it"));
  }
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

absl::StatusOr<std::vector<Document>> LoadDocuments(absl::Span<const std::string> files) {
  std::vector<Document> documents;
  std::map<std::string, std::vector<size_t>> pages_of; // folder -> its pages among the documents
  for (const std::string &path : files) {
    absl::StatusOr<std::string> text = ReadFile(path, kMaxTextBytes);
    if (!text.ok()) return text.status();
    if (IsHtml(path)) pages_of[fs::path(path).parent_path().string()].push_back(documents.size());
    documents.push_back({path, std::move(*text)});
  }
  for (const auto &[folder, indices] : pages_of) {
    std::vector<std::string_view> pages;
    for (size_t i : indices) pages.push_back(documents[i].text);
    std::vector<std::string> texts = PagesToText(pages);
    for (size_t k = 0; k < indices.size(); ++k) documents[indices[k]].text = std::move(texts[k]);
  }
  documents.erase(
      std::remove_if(documents.begin(), documents.end(), [](const Document &d) { return d.text.empty(); }),
      documents.end());
  return documents;
}

absl::Status NoText(absl::Span<const std::string> files) {
  return absl::InvalidArgumentError(
      StrCat("the corpus is empty: ", files.size(), files.size() == 1 ? " file was" : " files were", " read",
             files.empty() ? "" : StrCat(", from ", files[0], " on"), ", and none has text"));
}

absl::StatusOr<std::vector<Document>> LoadFiles(absl::Span<const std::string> files) {
  absl::StatusOr<std::vector<Document>> documents = LoadDocuments(files);
  if (documents.ok() && documents->empty()) return NoText(files);
  return documents;
}

absl::StatusOr<std::vector<Document>> LoadCorpus(absl::Span<const std::string> patterns) {
  absl::StatusOr<std::vector<std::string>> files = ExpandPatterns(patterns);
  if (!files.ok()) return files.status();
  return LoadFiles(*files);
}

absl::Status ExtractText(absl::Span<const std::string> files, const std::string &folder) {
  absl::StatusOr<std::vector<Document>> documents = LoadFiles(files);
  if (!documents.ok()) return documents.status();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return FileError("create", folder, error.value());
  std::map<std::string, std::string> sources; // text file -> the document it came from
  for (const Document &d : *documents) {
    const std::string path = (fs::path(folder) / fs::path(d.name).stem()).string() + ".txt";
    if (const auto [it, is_new] = sources.emplace(path, d.name); !is_new)
      return absl::AlreadyExistsError(StrCat(it->second, " and ", d.name, " would both become ", path));
    if (absl::Status s = WriteFileAtomically(path, d.text); !s.ok()) return s;
  }
  return absl::OkStatus();
}

size_t CutAt(std::string_view text, size_t size) {
  if (text.size() <= size + size / 2) return text.size(); // no short rest
  for (std::string_view mark : {"\n\n", "\n", " "}) {
    const size_t at = text.rfind(mark, size - mark.size());
    if (at != text.npos && at + mark.size() > size / 2) return at + mark.size();
  }
  size_t at = size;
  while (at > size - 3 && (text[at] & 0xc0) == 0x80) --at;
  return at;
}

absl::StatusOr<CorpusSplit> SplitCorpus(absl::Span<const Document> documents, double fraction) {
  if (!(fraction >= 0 && fraction < 1))
    return absl::InvalidArgumentError(StrCat("the fraction held out for validation is ", fraction,
                                             " when it should be at least 0 and below 1"));
  uint64_t total = 0;
  for (const Document &d : documents) total += d.text.size();
  const double target = fraction * static_cast<double>(total);
  const auto part_bytes = static_cast<size_t>(std::clamp(target / 16, 256.0, 16384.0));

  struct Part {
    std::string_view text;
    size_t document;
    uint64_t hash = 0;
    bool held_out = false;
  };
  std::vector<Part> parts;
  for (size_t d = 0; d < documents.size(); ++d) {
    std::string_view rest = documents[d].text;
    while (!rest.empty()) {
      const size_t cut = fraction == 0 ? rest.size() : CutAt(rest, part_bytes);
      parts.push_back({rest.substr(0, cut), d, XXH3_64bits(rest.data(), cut)});
      rest.remove_prefix(cut);
    }
  }
  CorpusSplit split;
  if (fraction > 0) {
    if (parts.size() < 2)
      return absl::InvalidArgumentError(
          StrCat("the corpus of ", total, " bytes is too small to hold out ", fraction,
                 " of it for validation; set validation = 0 or bring more text"));
    std::vector<size_t> order(parts.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return parts[a].hash < parts[b].hash; });
    double taken = 0;
    for (size_t k = 0; k + 1 < order.size() && (k == 0 || taken < target); ++k) {
      parts[order[k]].held_out = true;
      taken += static_cast<double>(parts[order[k]].text.size());
    }
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    auto &side = parts[i].held_out ? split.validation : split.train;
    // Neighbours of one document on the same side are one document again.
    const bool joins =
        i > 0 && parts[i - 1].document == parts[i].document && parts[i - 1].held_out == parts[i].held_out;
    if (joins)
      side.back() = std::string_view(side.back().data(), side.back().size() + parts[i].text.size());
    else
      side.push_back(parts[i].text);
  }
  return split;
}

} // namespace weft
