#include "frontends/cli/commands.h"
#include "frontends/cli/recipe_argument.h"
#include "frontends/cli/report.h"
#include "runtime/generate/text_sampler.h"
#include "runtime/train/loop.h"
#include "runtime/train/recipe.h"

#include <cstdio>

namespace weft {
namespace {

absl::StatusOr<SampleTexts> MakeSampler(const Recipe &recipe, Ranks &ranks, const Tokenizer &tokenizer,
                                        const std::function<void(const std::string &)> &say) {
  absl::StatusOr<std::unique_ptr<TextSampler>> made = TextSampler::Create(recipe, ranks, tokenizer, say);
  if (!made.ok()) return made.status();
  return SampleTexts(
      [sampler = std::shared_ptr<TextSampler>(*std::move(made))] { return sampler->Sample(); });
}

} // namespace

int TrainCommand(const Arguments &arguments) {
  static const CommandSpec spec = {
      "train",
      "RECIPE.toml|RUN [KEY=VALUE …]",
      "Trains as a recipe says, into its run directory (run.dir). KEY=VALUE sets a key of the recipe, such "
      "as train.steps=100.",
      {{"--resume", "", "go on from the newest good checkpoint of the run directory"},
       {"--allow-other-dot-unit", "",
        "resume although the checkpoint was made with another dot unit; the bits change"},
       {"--cpu-level", "LEVEL", "avx2, avx512, avx512bf16 or amx", "the best of the machine"},
       {"--trace-nan", "",
        "train.trace_nan=true: say which op of the model made a loss or a norm that is no finite number"},
       {"--tune", "",
        "run.tune=60: when it compiles, measure other fusions and schedules for about a minute and keep "
        "the fastest; no bit changes"},
       {"--help-keys", "", "the recipe's keys, with defaults and units"}},
      "Ctrl-C, SIGTERM and SIGHUP save a checkpoint and leave (exit status 130); once more leaves at once.\n"
      "The run directory holds recipe.toml as resolved, model.weft, tokenizer.json, checkpoints/, "
      "metrics.jsonl, samples.jsonl (with run.sample_prompts), report.html, tensorboard/, log.txt and data/ "
      "(the "
      "tokens).\n",
      0,
      SIZE_MAX};
  Args args(spec, arguments);
  if (args.exit >= 0) return args.exit;
  if (args.Has("--help-keys")) {
    std::fputs(RecipeHelp().c_str(), stdout);
    return 0;
  }
  auto asked = ReadRecipeArgument(args, "weft train", "weft new NAME makes one to start from");
  if (!asked) return 2;
  if (args.Has("--trace-nan")) asked->overrides.push_back("train.trace_nan=true");
  if (args.Has("--tune")) asked->overrides.push_back("run.tune=60");
  absl::StatusOr<Recipe> recipe = LoadRecipe(asked->path, asked->overrides);
  if (!recipe.ok()) return Fail(recipe.status());
  TrainOptions options{args.Has("--resume"), args.Has("--allow-other-dot-unit"), args.Text("--cpu-level"),
                       MakeSampler};
  absl::StatusOr<TrainEnd> end = Train(*std::move(recipe), options);
  if (!end.ok()) return Fail(end.status());
  return *end == TrainEnd::interrupted ? 130 : 0;
}

} // namespace weft
