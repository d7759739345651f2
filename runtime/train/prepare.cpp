#include "runtime/train/prepare.h"
#include "runtime/data/bpe_train.h"
#include "runtime/data/corpus.h"
#include "runtime/data/file_io.h"
#include "runtime/train/file_hash.h"
#include "runtime/train/metrics.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include <filesystem>
#include <map>

namespace weft {
namespace {

namespace fs = std::filesystem;
using Say = std::function<void(const std::string &)>;

constexpr int kCacheVersion = 1; // raised when the same text gives other tokens or another split

// Text is encoded and written in groups of about this many bytes, which bounds the memory that ids take.
constexpr size_t kGroupBytes = 32 << 20;

// The texts, read when first needed: a run that finds its token files does not need them.
class Texts {
public:
  Texts(std::vector<std::string> files, double validation)
      : files_(std::move(files)), validation_(validation) {}
  absl::StatusOr<const CorpusSplit *> Get() {
    if (!read_) {
      absl::StatusOr<std::vector<Document>> documents = LoadFiles(files_);
      if (!documents.ok()) return documents.status();
      documents_ = *std::move(documents);
      absl::StatusOr<CorpusSplit> split = SplitCorpus(documents_, validation_);
      if (!split.ok()) return split.status();
      split_ = *std::move(split);
      read_ = true;
    }
    return &split_;
  }

private:
  std::vector<std::string> files_;
  double validation_;
  bool read_ = false;
  std::vector<Document> documents_;
  CorpusSplit split_;
};

size_t TextBytes(const std::vector<std::string_view> &texts) {
  size_t bytes = 0;
  for (std::string_view text : texts) bytes += text.size();
  return bytes;
}

absl::StatusOr<Tokenizer> TrainedTokenizer(int64_t vocab, const std::string &path, Texts &texts,
                                           const Say &say) {
  absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Load(path);
  if (tokenizer.ok()) return tokenizer;
  if (!absl::IsNotFound(tokenizer.status()))
    say(absl::StrCat("training the tokenizer again: ", std::string(tokenizer.status().message())));
  absl::StatusOr<const CorpusSplit *> split = texts.Get();
  if (!split.ok()) return split.status();
  say(absl::StrCat("training a tokenizer of ", vocab, " tokens on ", CountText(TextBytes((*split)->train)),
                   " bytes of text"));
  tokenizer = TrainBpe((*split)->train, static_cast<int>(vocab));
  if (!tokenizer.ok()) return tokenizer;
  if (tokenizer->vocab_size() < vocab)
    say(absl::StrCat("the text has words for ", tokenizer->vocab_size(), " tokens only, not ", vocab));
  if (absl::Status status = tokenizer->Save(path); !status.ok()) return status;
  return tokenizer;
}

absl::StatusOr<TokenFile> Tokenised(const std::string &path, const char *what, bool training,
                                    const Tokenizer &tokenizer, Texts &texts, const Say &say) {
  absl::StatusOr<TokenFile> file = TokenFile::Open(path);
  if (file.ok() && file->tokenizer_hash() == tokenizer.hash()) return file;
  if (!file.ok() && !absl::IsNotFound(file.status()))
    say(absl::StrCat("tokenising again: ", std::string(file.status().message())));
  absl::StatusOr<const CorpusSplit *> split = texts.Get();
  if (!split.ok()) return split.status();
  const std::vector<std::string_view> &documents = training ? (*split)->train : (*split)->validation;
  say(absl::StrCat("tokenising ", CountText(TextBytes(documents)), " bytes of ", what, " text"));
  absl::StatusOr<TokenFileWriter> writer =
      TokenFileWriter::Create(path, tokenizer.vocab_size(), tokenizer.hash());
  if (!writer.ok()) return writer.status();
  for (size_t first = 0; first < documents.size();) {
    size_t past = first, bytes = 0;
    while (past < documents.size() && (past == first || bytes + documents[past].size() <= kGroupBytes))
      bytes += documents[past++].size();
    for (std::vector<int32_t> &ids :
         tokenizer.EncodeAll(absl::MakeConstSpan(documents).subspan(first, past - first))) {
      ids.push_back(tokenizer.end_of_text());
      if (absl::Status status = writer->AddDocument(ids); !status.ok()) return status;
    }
    first = past;
  }
  if (absl::Status status = writer->Finish(); !status.ok()) return status;
  return TokenFile::Open(path);
}

} // namespace

absl::StatusOr<PreparedData> PrepareData(const Recipe &recipe, const Say &say) {
  if (recipe.data.train.empty())
    return absl::InvalidArgumentError(
        "data.train names no text\nhint: for example data.train = [\"corpus/*.txt\"]");
  absl::StatusOr<std::vector<std::string>> files = ExpandPatterns(recipe.data.train);
  if (!files.ok())
    return absl::Status(files.status().code(), absl::StrCat("data.train: ", files.status().message()));
  std::string identity = absl::StrCat(kCacheVersion, " ", recipe.data.validation);
  std::map<fs::path, size_t> folders;
  for (const std::string &file : *files) {
    absl::StatusOr<FileHash> hash = HashFile(file);
    if (!hash.ok()) return hash.status();
    // The name's end decides how a file is read, and its folder which pages belong together; where they are
    // does not count.
    size_t folder = folders.try_emplace(fs::path(file).parent_path(), folders.size()).first->second;
    absl::StrAppend(&identity, "\n", folder, " ", fs::path(file).extension().string(), " ", hash->bytes, " ",
                    HashName(hash->hash));
  }
  std::string text_hash = HashName(HashText(identity)), cache = absl::StrCat(recipe.run.dir, "/cache");
  std::error_code error;
  fs::create_directories(cache, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot create ", cache, ": ", error.message()));

  Texts texts(*files, recipe.data.validation);
  int64_t vocab = 0;
  absl::StatusOr<Tokenizer> tokenizer;
  const std::string &setting = recipe.data.tokenizer;
  if (absl::StartsWith(setting, "train:")) {
    if (!absl::SimpleAtoi(setting.substr(6), &vocab) || vocab < 257 || vocab > 1 << 24)
      return absl::InvalidArgumentError(
          absl::StrCat("data.tokenizer is ", TomlQuoted(setting),
                       " when it should be train:N with N from 257 to 16777216, or a tokenizer.json"));
    tokenizer = TrainedTokenizer(vocab, absl::StrCat(cache, "/tokenizer-", vocab, "-", text_hash, ".json"),
                                 texts, say);
  } else {
    tokenizer = Tokenizer::Load(setting);
    if (absl::IsNotFound(tokenizer.status()))
      return absl::NotFoundError(absl::StrCat("data.tokenizer: ", tokenizer.status().message(),
                                              "\nhint: train:4096 trains one on the data"));
  }
  if (!tokenizer.ok()) return tokenizer.status();
  if (tokenizer->end_of_text() < 0)
    return absl::InvalidArgumentError(absl::StrCat("data.tokenizer: ", setting,
                                                   " has no token that ends a document (",
                                                   std::string(kEndOfText), " or the like)"));
  if (absl::Status status = tokenizer->Save(absl::StrCat(recipe.run.dir, "/tokenizer.json")); !status.ok())
    return status;

  std::string hash = HashName(HashText(absl::StrCat(text_hash, HashName(tokenizer->hash()))));
  absl::StatusOr<TokenFile> train =
      Tokenised(absl::StrCat(cache, "/train-", hash, ".tokens"), "training", true, *tokenizer, texts, say);
  if (!train.ok()) return train.status();
  PreparedData data{*std::move(tokenizer), *std::move(train), std::nullopt, hash};
  if (recipe.data.validation > 0) {
    absl::StatusOr<TokenFile> validation = Tokenised(absl::StrCat(cache, "/validation-", hash, ".tokens"),
                                                     "validation", false, data.tokenizer, texts, say);
    if (!validation.ok()) return validation.status();
    data.validation = *std::move(validation);
  }
  return data;
}

} // namespace weft
