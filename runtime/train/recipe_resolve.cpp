// What in a recipe involves several keys, and the recipe written out.
#include "runtime/train/byte_size.h"
#include "runtime/train/recipe.h"
#include "runtime/train/schedule.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

namespace weft {
namespace {

constexpr int64_t kMaxRanks = 4096; // as the key run.ranks has it

absl::Status ParsePlan(Recipe &recipe) {
  const std::string &plan = recipe.run.plan;
  recipe.data_parallel = recipe.pipeline = 0;
  auto wrong = [&] {
    return absl::InvalidArgumentError(absl::StrCat(
        "run.plan is \"", plan,
        "\" when it should be like dp2, pp2 or dp2,pp2\nhint: dp is data-parallel, pp is pipeline"));
  };
  for (absl::string_view part : absl::StrSplit(plan, ',', absl::SkipWhitespace())) {
    part = absl::StripAsciiWhitespace(part);
    int64_t n = 0;
    if (part.size() < 3 || !absl::SimpleAtoi(part.substr(2), &n) || n < 1 || n > kMaxRanks) return wrong();
    int64_t &degree = part.substr(0, 2) == "dp" ? recipe.data_parallel : recipe.pipeline;
    if ((part.substr(0, 2) != "dp" && part.substr(0, 2) != "pp") || degree != 0) return wrong();
    degree = n;
  }
  if (recipe.data_parallel == 0) recipe.data_parallel = plan.empty() ? recipe.run.ranks : 1;
  if (recipe.pipeline == 0) recipe.pipeline = 1;
  int64_t ranks = recipe.data_parallel * recipe.pipeline;
  if (recipe.given.count("run.ranks") && recipe.run.ranks != ranks)
    return absl::InvalidArgumentError(absl::StrCat("run.plan \"", plan, "\" has ", ranks,
                                                   " ranks when run.ranks is ", recipe.run.ranks,
                                                   "\nhint: leave run.ranks out, or make it ", ranks));
  if (ranks > kMaxRanks)
    return absl::InvalidArgumentError(
        absl::StrCat("run.plan \"", plan, "\" has ", ranks, " ranks when there may be ", kMaxRanks));
  recipe.run.ranks = ranks;
  return absl::OkStatus();
}

absl::Status ParseBudget(Recipe &recipe) {
  if (recipe.run.memory_budget.empty()) return absl::OkStatus();
  std::optional<int64_t> bytes = ParseByteSize(recipe.run.memory_budget);
  if (!bytes)
    return absl::InvalidArgumentError(absl::StrCat("run.memory_budget is \"", recipe.run.memory_budget,
                                                   "\" when it should be a size like 1.5GB or 800MB"));
  recipe.memory_budget = *bytes;
  return absl::OkStatus();
}

// As many spikes as there are batches would never be too many.
absl::Status CheckSpikes(const Recipe &recipe) {
  const auto &t = recipe.train;
  if ((t.spike != "skip" && t.spike != "rollback") || t.spike_most < t.spike_within) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "train.spike_most is ", t.spike_most, " when it should be below train.spike_within, ", t.spike_within,
      "\nhint: a run whose every batch is a spike would go on for ever; for example train.spike_within=",
      10 * std::max<int64_t>(1, t.spike_most)));
}

// bf16 has 8 bits of significand: what changes by less than 1/256 to 1/512 of itself in a step is rounded
// back to what it was. With a decay of 0.99 an average of equal values stops within 1.6 times of them, with
// 0.996 at 32 times.
absl::Status CheckMoments(const Recipe &recipe) {
  const auto &o = recipe.optimizer;
  if (o.moments != "bf16") return absl::OkStatus();
  std::vector<std::pair<const char *, double>> decays = {{"beta1", o.beta1}, {"beta2", o.beta2}};
  if (o.name == "sgd") decays = {{"momentum", o.momentum}};
  for (const auto &[key, value] : decays)
    if (value > 0.99)
      return absl::InvalidArgumentError(
          absl::StrCat("optimizer.", key, " is ", value,
                       " when it should be at most 0.99 with optimizer.moments = \"bf16\""
                       "\nhint: bf16 rounds away what an average loses in a step; use optimizer.moments=f32, "
                       "or for example optimizer.",
                       key, "=0.95"));
  return absl::OkStatus();
}

absl::Status CheckBatch(Recipe &recipe) {
  int64_t batch = recipe.train.batch, micro = recipe.train.micro_batch, dp = recipe.data_parallel;
  auto wrong = [](const std::string &message, const std::string &hint) {
    return absl::InvalidArgumentError(absl::StrCat(message, "\nhint: ", hint));
  };
  if (dp > batch)
    return wrong(absl::StrCat("there are ", dp, " data-parallel ranks when train.batch has ", batch, " rows"),
                 absl::StrCat("use at most ", batch, " ranks, or a larger train.batch"));
  if (batch % dp != 0)
    return wrong(absl::StrCat("train.batch is ", batch, " rows when it should be a multiple of the ", dp,
                              " data-parallel ranks"),
                 absl::StrCat("for example train.batch=", (batch / dp + 1) * dp));
  // The default follows the batch, so that a small batch needs no second key.
  if (!recipe.given.count("train.micro_batch")) {
    while (micro > 1 && batch / dp % micro != 0) --micro;
    recipe.train.micro_batch = micro;
  }
  if (batch / dp % micro != 0)
    return wrong(absl::StrCat("train.micro_batch is ", micro, " rows when a rank's ", batch / dp,
                              " rows (train.batch ", batch, " over ", dp,
                              " data-parallel ranks) should be a multiple of it"),
                 "choose a train.micro_batch that divides them");
  int64_t &shards = recipe.train.shards;
  if (shards == 0) shards = dp;
  if (shards % dp != 0)
    return wrong(absl::StrCat("train.shards is ", shards, " when it should be a multiple of the ", dp,
                              " data-parallel ranks"),
                 "a rank owns whole shards");
  if (batch % shards != 0)
    return wrong(absl::StrCat("train.shards is ", shards, " when train.batch, ", batch,
                              " rows, should be a multiple of it"),
                 "a shard is a whole number of rows");
  int64_t rows = batch / shards; // a micro-batch is part of a shard, or whole shards
  if (rows % micro != 0 && micro % rows != 0)
    return wrong(absl::StrCat("a shard has ", rows, " rows when a micro-batch has ", micro),
                 "one should be a multiple of the other; see train.shards and train.micro_batch");
  return absl::OkStatus();
}

// A double in the fewest digits that give it back, always with a point or an exponent, so that TOML reads a
// float.
std::string DoubleText(double value) {
  char buffer[64];
  std::string text(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

// Whether TOML reads `name` as a key without quotes.
bool IsBareKey(const std::string &name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
  });
}

} // namespace

absl::Status ResolveRecipe(Recipe &recipe) {
  if (absl::Status status = ParsePlan(recipe); !status.ok()) return status;
  if (absl::Status status = ParseBudget(recipe); !status.ok()) return status;
  if (absl::Status status = CheckBatch(recipe); !status.ok()) return status;
  if (absl::Status status = CheckSpikes(recipe); !status.ok()) return status;
  if (absl::Status status = CheckMoments(recipe); !status.ok()) return status;
  if (recipe.run.dir.empty())
    return absl::InvalidArgumentError("run.dir is empty\nhint: name the folder for the run");
  recipe.run.dir = std::filesystem::absolute(recipe.run.dir).lexically_normal().string();
  // A file's own model and its defaults, unless others are named.
  if (!recipe.model.file.empty()) {
    if (!recipe.given.count("model.name")) recipe.model.name = "";
    if (!recipe.given.count("model.config")) recipe.model.config = "";
  }
  // A run that is to make no checkpoint but the last makes no others for the default's sake.
  if (!recipe.given.count("run.keep_best") && recipe.run.checkpoint_every == 0 && recipe.train.patience == 0)
    recipe.run.keep_best = false;
  // Defaults meant for long runs should not stand in the way of a short one.
  if (!recipe.given.count("optimizer.warmup"))
    recipe.optimizer.warmup = std::min(recipe.optimizer.warmup, recipe.train.steps / 10);
  bool decay_given =
      recipe.given.count("optimizer.decay_steps") || recipe.given.count("optimizer.decay_fraction");
  if (!decay_given && recipe.WarmupSteps() + recipe.DecaySteps() > recipe.train.steps)
    recipe.optimizer.decay_steps = std::max<int64_t>(0, recipe.train.steps - recipe.WarmupSteps());
  return MakeSchedule(recipe.optimizer.schedule, recipe.train.steps, recipe.WarmupSteps(),
                      recipe.DecaySteps(), recipe.optimizer.lr, recipe.optimizer.min_lr)
      .status();
}

std::string RecipeText(const Recipe &recipe) {
  Recipe copy = recipe;
  std::string out =
                  "# Written by weft: the recipe of this run, with every key. Help: weft train --help-keys\n",
              section;
  for (const RecipeKey &key : RecipeKeys()) {
    size_t dot = key.name.find('.');
    if (key.name.substr(0, dot) != section) {
      section = key.name.substr(0, dot);
      absl::StrAppend(&out, "\n[", section, "]\n");
    }
    std::string value = std::visit(
        [](auto *field) -> std::string {
          using T = std::decay_t<decltype(*field)>;
          if constexpr (std::is_same_v<T, std::string>)
            return TomlQuoted(*field);
          else if constexpr (std::is_same_v<T, double>)
            return DoubleText(*field);
          else if constexpr (std::is_same_v<T, bool>)
            return *field ? "true" : "false";
          else if constexpr (std::is_same_v<T, std::vector<std::string>>)
            return absl::StrCat(
                "[",
                absl::StrJoin(*field, ", ",
                              [](std::string *o, const std::string &s) { *o += TomlQuoted(s); }),
                "]");
          else
            return absl::StrCat(*field);
        },
        key.field(copy));
    absl::StrAppend(&out, key.name.substr(dot + 1), " = ", value, "\n");
    if (key.name == "model.config")
      for (const auto &[name, setting] : recipe.model.keys) {
        value = std::visit(
            [](const auto &v) -> std::string {
              using T = std::decay_t<decltype(v)>;
              if constexpr (std::is_same_v<T, bool>)
                return v ? "true" : "false";
              else if constexpr (std::is_same_v<T, std::string>)
                return TomlQuoted(v);
              else if constexpr (std::is_same_v<T, double>)
                return DoubleText(v);
              else
                return absl::StrCat(v);
            },
            setting);
        absl::StrAppend(&out, IsBareKey(name) ? name : TomlQuoted(name), " = ", value, "\n");
      }
  }
  return out;
}

} // namespace weft
