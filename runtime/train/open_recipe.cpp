#include "runtime/train/open_recipe.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <variant>

namespace weft {
namespace {

// More is a slip of the hand: ranks tried out on a small machine stay far below.
constexpr int64_t kMostThreadsAProcessor = 64;

} // namespace

absl::Status CheckThreads(const Recipe &recipe) {
  int64_t machine = ThreadPool::HardwareThreads(),
          total = recipe.run.ranks * std::max<int64_t>(recipe.run.threads, 1);
  if (total <= kMostThreadsAProcessor * machine) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(total, " threads on ", machine, " processors are more than make sense (",
                   kMostThreadsAProcessor * machine, ")\nhint: run.threads=0 takes one a processor"));
}

absl::StatusOr<PreparedData> PrepareRecipeText(const Recipe &recipe, const std::string &folder,
                                               const SayLine &say) {
  if (recipe.data.train.empty())
    return absl::InvalidArgumentError(
        "data.train names no text\nhint: for example data.train = [\"corpus/*.txt\"]");
  DataOptions options;
  options.train = recipe.data.train;
  options.validation_fraction = recipe.data.validation;
  options.validation = recipe.data.validation_files;
  options.tokenizer = recipe.data.tokenizer;
  options.augment = {recipe.data.fim, recipe.data.split_tokens, static_cast<uint64_t>(recipe.train.seed)};
  options.folder = folder;
  options.progress = [&](std::string_view text) { say(std::string(text)); };
  return PrepareData(options);
}

absl::Status FitVocabulary(Recipe &recipe, const Tokenizer &tokenizer) {
  auto &keys = recipe.model.keys;
  if (!keys.count("vocab")) {
    keys["vocab"] = int64_t{tokenizer.vocab_size()};
  } else if (auto *vocab = std::get_if<int64_t>(&keys["vocab"]); vocab && *vocab < tokenizer.vocab_size()) {
    return absl::InvalidArgumentError(absl::StrCat("model.vocab is ", *vocab, " when the tokenizer has ",
                                                   tokenizer.vocab_size(),
                                                   " tokens\nhint: leave model.vocab out"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Ranks>> MakeRanks(const Recipe &recipe,
                                                 std::shared_ptr<const LoadedArtifact> artifact,
                                                 const std::string &cpu_level, const SayLine &say) {
  RanksOptions options;
  options.artifact = std::move(artifact);
  options.cpu = CpuOptionsFromEnvironment();
  if (!cpu_level.empty()) options.cpu.level = cpu_level;
  options.data_parallel = static_cast<int>(recipe.data_parallel);
  options.pipeline = static_cast<int>(recipe.pipeline);
  options.threads = static_cast<int>(recipe.run.threads);
  absl::StatusOr<std::unique_ptr<Ranks>> ranks = Ranks::Create(options);
  if (!ranks.ok()) return ranks.status();
  const int64_t size = (*ranks)->size(), threads = (*ranks)->threads(),
                machine = ThreadPool::HardwareThreads();
  say(absl::StrCat(size, size == 1 ? " rank" : " ranks", " of ", threads,
                   threads == 1 ? " thread, " : " threads, ", (*ranks)->session(0).cpu_level()));
  if (size * threads > machine)
    say(absl::StrCat("warning: ", size * threads, " threads on ", machine, " processors run slower than ",
                     machine, " would"));
  return ranks;
}

absl::StatusOr<std::unique_ptr<Trainer>> MakeTrainer(const Recipe &recipe, Ranks &ranks,
                                                     const TokenFile &text) {
  absl::StatusOr<TrainLoader> loader =
      TrainLoader::Make(text, {recipe.train.batch, recipe.train.seq, static_cast<uint64_t>(recipe.train.seed),
                               true, recipe.data.cross_document});
  if (!loader.ok()) return loader.status();
  return Trainer::Create(ranks, *std::move(loader));
}

} // namespace weft
