// The recipe: everything a run is decided by. A TOML file, checked key by key, with overrides from the
// command line.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace weft {

// A key of the model's Config; which there are is known to the compiler alone, which reports unknown ones.
using ModelValue = std::variant<bool, int64_t, double, std::string>;

// The initial values are the defaults. Units and help: RecipeKeys().
struct Recipe {
  struct {
    std::string name = "llama", file, config = "demo";
    std::map<std::string, ModelValue> keys;
  } model;
  struct {
    std::vector<std::string> train;
    double validation = 0.02;
    std::vector<std::string> validation_files;
    std::string tokenizer = "train:4096";
    double fim = 0, split_tokens = 0;
    bool cross_document = false;
  } data;
  struct {
    std::string stage = "pretrain", init;
    int64_t steps = 600, batch = 64, micro_batch = 16, seq = 256;
    std::string precision = "f32", dot_unit = "auto";
    int64_t seed = 1, shards = 0, eval_every = 100, eval_batches = 8;
    int64_t patience = 0;
    double min_improvement = 0;
    std::string spike = "warn";
    bool trace_nan = false;
    double spike_deviations = 10;
    int64_t spike_window = 128, spike_most = 10, spike_within = 1000;
  } train;
  struct {
    std::string name = "adamw";
    double lr = 3e-3, min_lr = 0;
    std::string schedule = "wsd";
    int64_t warmup = 50, decay_steps = -1;
    double decay_fraction = 0.2, weight_decay = 0.1, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, momentum = 0.9,
           clip = 1.0;
    std::string moments = "f32";
  } optimizer;
  struct {
    std::string dir = "runs/run";
    int64_t checkpoint_every = 200, keep = 3, threads = 0, ranks = 1;
    std::string plan;
    bool save_initial = false, keep_best = true;
    std::vector<std::string> sample_prompts;
    int64_t sample_tokens = 64;
    double sample_temperature = 0.8;
    int64_t log_every = 10;
    std::string target = "cpu:native", memory_budget;
    int64_t tune = 0, generate_batch = 1;
    bool absorbed = false;
  } run;

  // Keys that the file or the command line gave ("train.steps").
  std::set<std::string> given;

  // Of the plan, once Resolve has been called.
  int64_t data_parallel = 1, pipeline = 1;
  int64_t memory_budget = 0; // bytes a rank; 0: none
  int64_t WarmupSteps() const { return optimizer.warmup; }
  int64_t DecaySteps() const; // optimizer.decay_steps, or decay_fraction of the steps where that is -1
};

// A key of the recipe, for --help-keys and for checking.
struct RecipeKey {
  std::string name; // "train.steps"
  std::string
      type; // "integer", "number", "text", "list of text" (paths), "list of prompts" or "true or false"
  std::string unit;                 // "steps", "rows"; "" where there is none
  std::string help;                 // one line
  std::vector<std::string> choices; // of a text; empty: any
  double least = 0, most = 0;       // of a number, both ends included
  std::variant<int64_t *, double *, std::string *, std::vector<std::string> *, bool *> (*field)(Recipe &);
};
const std::vector<RecipeKey> &RecipeKeys();
// The table of all keys with type, default and unit, a line each.
std::string RecipeHelp();

// Reads and checks a recipe. Errors name file, line and key, and the nearest right name of an unknown one.
absl::StatusOr<Recipe> LoadRecipe(const std::string &path, const std::vector<std::string> &overrides = {});
absl::StatusOr<Recipe> ParseRecipe(absl::string_view text, const std::string &name,
                                   const std::vector<std::string> &overrides = {});

// Checks what involves several keys, and fills in what follows from others: data_parallel and pipeline from
// plan and ranks, shards = 0 becomes the number of data-parallel ranks. InvalidArgument names the keys.
absl::Status ResolveRecipe(Recipe &recipe);

// Every key, one a line: what the compiler reads, and what a run directory keeps.
std::string RecipeText(const Recipe &recipe);

// Text as a TOML basic string, quotes included.
std::string TomlQuoted(absl::string_view text);

} // namespace weft
