#include "runtime/data/prepare.h"

#include <cctype>
#include <charconv>
#include <cstdio>
#include <filesystem>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "absl/strings/str_format.h"
#include "runtime/data/bpe_train.h"
#include "runtime/data/corpus.h"
#include "runtime/data/file_io.h"
#include "runtime/data/str_cat.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

// Raised when the same files would give other tokens than before: another stripper, split or packing.
constexpr int kRecipeVersion = 1;

// N of "train:N", nothing for another tokenizer, or an error.
absl::StatusOr<std::optional<int>> TrainedSize(const std::string &tokenizer) {
  if (!tokenizer.starts_with("train:")) return std::optional<int>();
  int size = 0;
  const char *first = tokenizer.data() + 6, *last = tokenizer.data() + tokenizer.size();
  const auto [end, error] = std::from_chars(first, last, size);
  if (error != std::errc() || end != last || first == last)
    return absl::InvalidArgumentError(
        StrCat("data.tokenizer is \"", tokenizer,
               "\" when it should be \"train:N\" with N tokens, or a tokenizer.json"));
  return std::optional<int>(size);
}

// What stands for a file's content without reading it.
std::string Fingerprint(const std::string &path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  const auto time = fs::last_write_time(path, error).time_since_epoch().count();
  return StrCat(path, " ", error ? 0 : size, " ", error ? 0 : time, "\n");
}

std::string InFolder(const DataOptions &options, const char *name) {
  return (fs::path(options.folder) / name).string();
}

// What data.key says when all of a folder's files are whole.
std::string KeyText(const std::string &key, bool validation) {
  return StrCat("made from ", key, validation ? " with" : " without", " validation\n");
}

// The data that an earlier call left, or nothing where it is absent, of other options, or broken.
std::optional<PreparedData> Reuse(const DataOptions &options, const std::string &key) {
  const absl::StatusOr<std::string> text = ReadFile(InFolder(options, "data.key"), 1 << 10);
  const bool validated = text.ok() && *text == KeyText(key, true);
  if (!text.ok() || (!validated && *text != KeyText(key, false))) return std::nullopt;
  absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Load(InFolder(options, "tokenizer.json"));
  absl::StatusOr<TokenFile> train = TokenFile::Open(InFolder(options, "train.tokens"));
  if (!tokenizer.ok() || !train.ok() || !train->CheckTokenizer(tokenizer->hash()).ok()) return std::nullopt;
  PreparedData data{std::move(*tokenizer), std::move(*train), std::nullopt, true};
  if (validated) {
    absl::StatusOr<TokenFile> validation = TokenFile::Open(InFolder(options, "validation.tokens"));
    if (!validation.ok() || !validation->CheckTokenizer(data.tokenizer.hash()).ok()) return std::nullopt;
    data.validation = std::move(*validation);
  }
  return data;
}

double MegaBytes(absl::Span<const std::string_view> documents) {
  double bytes = 0;
  for (std::string_view d : documents) bytes += static_cast<double>(d.size());
  return bytes / 1e6;
}

} // namespace

absl::Status WriteTokenFile(const std::string &path, const Tokenizer &tokenizer,
                            absl::Span<const std::string_view> documents, int threads,
                            const AugmentOptions &augment) {
  if (tokenizer.end_of_text() < 0)
    return absl::FailedPreconditionError(StrCat("the tokenizer has no token that ends a document; one named ",
                                                kEndOfText, ", </s> or the like is needed"));
  absl::StatusOr<TokenFileWriter> writer =
      TokenFileWriter::Create(path, tokenizer.vocab_size(), tokenizer.hash());
  if (!writer.ok()) return writer.status();
  absl::StatusOr<Augmenter> augmenter = Augmenter::Make(tokenizer, augment);
  if (!augmenter.ok()) return augmenter.status();
  std::vector<int32_t> tokens;
  // Some documents at a time, so that the ids in memory stay a fraction of a large corpus.
  for (size_t first = 0, next = 0; first < documents.size(); first = next) {
    for (size_t bytes = 0; next < documents.size() && (next == first || bytes < (64 << 20)); ++next)
      bytes += documents[next].size();
    for (const std::vector<int32_t> &ids :
         augmenter->Encode(documents.subspan(first, next - first), static_cast<int64_t>(first), threads)) {
      tokens.assign(tokenizer.prefix().begin(), tokenizer.prefix().end());
      tokens.insert(tokens.end(), ids.begin(), ids.end());
      tokens.push_back(tokenizer.end_of_text());
      if (absl::Status s = writer->AddDocument(tokens); !s.ok()) return s;
    }
  }
  return writer->Finish();
}

absl::StatusOr<PreparedData> PrepareData(const DataOptions &options) {
  const auto say = [&](const std::string &line) {
    if (options.progress) options.progress(line);
  };
  absl::StatusOr<std::optional<int>> trained_size = TrainedSize(options.tokenizer);
  if (!trained_size.ok()) return trained_size.status();
  absl::StatusOr<std::vector<std::string>> files = ExpandPatterns(options.train);
  if (!files.ok()) return files.status();
  std::vector<std::string> held_out_files;
  if (!options.validation.empty()) {
    absl::StatusOr<std::vector<std::string>> found = ExpandPatterns(options.validation);
    if (!found.ok()) return found.status();
    held_out_files = std::move(*found);
  }

  std::string all = StrCat(kRecipeVersion, " ", options.validation_fraction, " ", options.tokenizer, "\n");
  if (options.augment.Any())
    all += StrCat("fim ", options.augment.fim, " split ", options.augment.split_tokens, " seed ",
                  options.augment.seed, "\n");
  if (!*trained_size) all += Fingerprint(options.tokenizer);
  for (const std::string &f : *files) all += Fingerprint(f);
  for (const std::string &f : held_out_files) all += "held out " + Fingerprint(f);
  const std::string key = absl::StrFormat("%016x", XXH3_64bits(all.data(), all.size()));
  if (std::optional<PreparedData> data = Reuse(options, key)) {
    say(StrCat("data: ", data->train.num_tokens(), " training tokens, as made before"));
    return std::move(*data);
  }

  absl::StatusOr<std::vector<Document>> documents = LoadFiles(*files);
  if (!documents.ok()) return documents.status();
  std::vector<Document> held_out;
  CorpusSplit split;
  if (held_out_files.empty()) {
    absl::StatusOr<CorpusSplit> parts = SplitCorpus(*documents, options.validation_fraction);
    if (!parts.ok()) return parts.status();
    split = std::move(*parts);
  } else {
    absl::StatusOr<std::vector<Document>> loaded = LoadFiles(held_out_files);
    if (!loaded.ok()) return loaded.status();
    held_out = std::move(*loaded);
    for (const Document &d : *documents) split.train.push_back(d.text);
    for (const Document &d : held_out) split.validation.push_back(d.text);
  }
  say(absl::StrFormat("data: %d documents, %.1f MB of text, %.1f MB held out", documents->size(),
                      MegaBytes(split.train), MegaBytes(split.validation)));

  std::error_code error;
  fs::create_directories(options.folder, error);
  if (error) return FileError("create", options.folder, error.value());
  fs::remove(InFolder(options, "data.key"), error); // until all is made anew, nothing counts as made

  BpeTrainOptions training;
  training.vocab_size = trained_size->value_or(0);
  training.threads = options.threads;
  if (options.augment.fim > 0)
    training.special_tokens.insert(training.special_tokens.end(), std::begin(kFimTokens),
                                   std::end(kFimTokens));
  absl::StatusOr<Tokenizer> tokenizer =
      *trained_size ? TrainBpe(split.train, training) : Tokenizer::Load(options.tokenizer);
  if (!tokenizer.ok()) return tokenizer.status();
  if (absl::Status s = tokenizer->Save(InFolder(options, "tokenizer.json")); !s.ok()) return s;
  say(StrCat("tokenizer: ", tokenizer->vocab_size(), " tokens, ",
             *trained_size ? "learnt from the training text" : "from " + options.tokenizer));

  const auto write = [&](const char *name, absl::Span<const std::string_view> texts,
                         const AugmentOptions &augment) -> absl::StatusOr<TokenFile> {
    if (absl::Status s = WriteTokenFile(InFolder(options, name), *tokenizer, texts, options.threads, augment);
        !s.ok())
      return s;
    return TokenFile::Open(InFolder(options, name));
  };
  absl::StatusOr<TokenFile> train = write("train.tokens", split.train, options.augment);
  if (!train.ok()) return train.status();
  PreparedData data{*tokenizer, std::move(*train), std::nullopt, false};
  if (!split.validation.empty()) {
    absl::StatusOr<TokenFile> validation = write("validation.tokens", split.validation, {});
    if (!validation.ok()) return validation.status();
    data.validation = std::move(*validation);
  } else {
    fs::remove(InFolder(options, "validation.tokens"), error);
  }
  const std::string made = KeyText(key, data.validation.has_value());
  if (absl::Status s = WriteFileAtomically(InFolder(options, "data.key"), made); !s.ok()) return s;
  say(StrCat("data: ", data.train.num_tokens(), " training tokens",
             data.validation ? StrCat(", ", data.validation->num_tokens(), " held out") : std::string()));
  return data;
}

} // namespace weft
