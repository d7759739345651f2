// The text a model learns from: files found by patterns, and the part of it that is held out.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace weft {

struct Document {
  std::string name; // the file's path
  std::string text; // any bytes: they need not be UTF-8
};

// The files that `patterns` name, sorted by path, each once. Patterns are those of glob(7), with {a,b}.
// NotFound names a pattern that no file matches; InvalidArgument one that names a folder.
absl::StatusOr<std::vector<std::string>> ExpandPatterns(absl::Span<const std::string> patterns);

// Reads the files, a document each; *.html and *.htm are stripped to their prose (html_text.h), pages of one
// folder together. Documents without text are left out; InvalidArgument when none is left.
absl::StatusOr<std::vector<Document>> LoadFiles(absl::Span<const std::string> files);
absl::StatusOr<std::vector<Document>> LoadCorpus(absl::Span<const std::string> patterns);

// The same where all of the text need not be at hand at once: text files in parts of about a mebibyte if
// `cut`, which then are cut at ends of words (PartEnd), else one by one; the pages of one folder together. Up
// to `threads` threads (0 = one for each processor) make a sink each, and give it the texts that they read,
// in whatever order; none is empty, and none stays after the call. Of several errors the first file's is
// returned.
using TextSink = std::function<void(std::string_view)>;
absl::Status ForEachText(absl::Span<const std::string> files, bool cut, int threads,
                         const std::function<TextSink()> &make_sink);

// Of which these are parts. LoadDocuments: LoadFiles, but none need be left.
inline constexpr uint64_t kMaxTextBytes = uint64_t{8} << 30; // of a file, or of a part of it
bool IsHtml(const std::string &path);
absl::StatusOr<std::vector<Document>> LoadDocuments(absl::Span<const std::string> files);
absl::Status NoText(absl::Span<const std::string> files);

// Writes each document of `files` to `folder` (made if need be) as NAME.txt, as LoadFiles gives it.
absl::Status ExtractText(absl::Span<const std::string> files, const std::string &folder);

// Views into the documents that were split, which must outlive them.
struct CorpusSplit {
  std::vector<std::string_view> train, validation;
};

// Where to cut a part of about `size` bytes off the front of `text`: after an empty line, a line or a blank
// if there is one in its second half, else where a character starts. Never leaves a short rest. 4 <= size.
size_t CutAt(std::string_view text, size_t size);

// Holds out about `fraction` of the text's bytes (0 <= fraction < 1; 0 holds out none). Documents are cut at
// paragraphs into parts of about 1/16 of what is held out (256 bytes to 16 KiB), so that even one document is
// split; parts are taken in the order of a hash of their text, at least one and never all. The rest of a
// document stays together where nothing was taken from between. The same text is split the same way, whatever
// its files are called. InvalidArgument when the text is too short to hold out a part of it.
absl::StatusOr<CorpusSplit> SplitCorpus(absl::Span<const Document> documents, double fraction);

} // namespace weft
