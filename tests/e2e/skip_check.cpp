// weft_skip_check RUN: with the artifact and the text that a run has, a step beyond its limits leaves every
// variable as it was, bit for bit, with NaN weights too, and the next one is as if its batch had not been.
#include "runtime/train/recipe.h"
#include "runtime/train/trainer.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>

using namespace weft;

namespace {

int failures = 0;
void Expect(bool holds, const char *what) {
  if (!holds) std::printf("FAILED: %s\n", what), ++failures;
}

template <typename T> T Must(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::printf("FAILED: %s\n", std::string(value.status().message()).c_str());
  std::exit(1);
}

// What a checkpoint would hold, of every rank.
std::string Bytes(Ranks &ranks) {
  std::string bytes;
  for (int rank = 0; rank < ranks.size(); ++rank)
    for (const VariableView &view : ranks.Variables(rank))
      if (view.variable->kind() != fb::VariableKind::cache &&
          view.variable->kind() != fb::VariableKind::derived)
        bytes.append(view.memory.data(), view.memory.size());
  return bytes;
}

struct Run {
  std::unique_ptr<Ranks> ranks;
  std::unique_ptr<Trainer> trainer;
  Run(const std::string &folder, const Recipe &recipe) {
    RanksOptions options;
    options.artifact = Must(LoadArtifact(folder + "/model.weft"));
    options.cpu = CpuOptionsFromEnvironment();
    options.data_parallel = static_cast<int>(recipe.data_parallel);
    options.pipeline = static_cast<int>(recipe.pipeline);
    options.threads = 1;
    ranks = Must(Ranks::Create(options));
    TrainLoaderOptions loader{recipe.train.batch, recipe.train.seq, static_cast<uint64_t>(recipe.train.seed),
                              true};
    trainer = Must(Trainer::Create(
        *ranks, Must(TrainLoader::Make(Must(TokenFile::Open(folder + "/data/train.tokens")), loader))));
    if (!trainer->Initialise(7).ok()) std::exit(1);
  }
};

} // namespace

int main(int argc, char **argv) {
  const std::string folder = argv[1];
  const Recipe recipe = Must(LoadRecipe(folder + "/recipe.toml"));
  Run run(folder, recipe), other(folder, recipe);
  for (int step = 1; step <= 2; ++step)
    Must(run.trainer->Step(step, 0.01)), Must(other.trainer->Step(step, 0.01));
  const StepResult next = Must(other.trainer->Step(3, 0.01, /*skipped=*/1));

  std::string before = Bytes(*run.ranks);
  for (StepLimits limits : {StepLimits{0.5f, FLT_MAX}, StepLimits{FLT_MAX, 1e-9f}, StepLimits{0, 0}}) {
    const StepResult refused = Must(run.trainer->Step(3, 0.01, 0, limits));
    Expect(!refused.made && refused.loss > 0.5 && refused.grad_norm > 1e-9,
           "a step beyond a limit is not made");
    Expect(Bytes(*run.ranks) == before, "it leaves every variable as it was");
  }
  const StepResult made = Must(run.trainer->Step(3, 0.01, 1));
  Expect(made.made && made.loss == next.loss && made.grad_norm == next.grad_norm,
         "the next one has the loss of a run that never saw the batch");
  Expect(Bytes(*run.ranks) == Bytes(*other.ranks), "and the bits");
  Expect(Bytes(*run.ranks) != before, "and is made");

  // One NaN in a weight makes all gradients NaN, and changes nothing else.
  for (int rank = 0; rank < run.ranks->size(); ++rank)
    for (const VariableView &view : run.ranks->Variables(rank))
      if (view.variable->kind() == fb::VariableKind::parameter) {
        const float nan = NAN;
        memcpy(view.memory.data(), &nan, sizeof nan);
      }
  before = Bytes(*run.ranks);
  const StepResult poisoned = Must(run.trainer->Step(4, 0.01, 1));
  Expect(!poisoned.made && std::isnan(poisoned.loss), "a loss that is NaN is beyond any limit");
  Expect(Bytes(*run.ranks) == before, "a NaN reaches no other variable");
  std::printf("%s: %zu bytes of variables\n", argv[1], before.size());
  return failures != 0;
}
