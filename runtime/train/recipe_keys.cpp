// The table of a recipe's keys.
#include "runtime/train/recipe.h"
#include "runtime/train/schedule.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include <algorithm>

namespace weft {

#define FIELD(member)                                                                                        \
  [](Recipe &r) -> std::variant<int64_t *, double *, std::string *, std::vector<std::string> *, bool *> {    \
    return &r.member;                                                                                        \
  }

const std::vector<RecipeKey> &RecipeKeys() {
  constexpr double kMany = 9e15; // below 2^53, so that a double holds it
  // clang-format off
  static const std::vector<RecipeKey> keys = {
      {"model.name", "text", "", "a built-in model; any other key of this section is one of its Config", {}, 0, 0, FIELD(model.name)},
      {"model.file", "text", "", "a C++ file with a model of your own, relative to the recipe; then name and config may be left out", {}, 0, 0, FIELD(model.file)},
      {"model.config", "text", "", "one of the model's configs", {}, 0, 0, FIELD(model.config)},

      {"data.train", "list of text", "", "text or HTML files, or patterns (*, ?, [a-z], {a,b}), a document a file; relative to the recipe", {}, 0, 0, FIELD(data.train)},
      {"data.validation", "number", "", "part of the text held out for evaluation (0 = none)", {}, 0, 0.5, FIELD(data.validation)},
      {"data.validation_files", "list of text", "", "held out instead of a part of the text, where given", {}, 0, 0, FIELD(data.validation_files)},
      {"data.tokenizer", "text", "", "train:N trains one of N tokens on the data; otherwise a tokenizer.json, relative to the recipe", {}, 0, 0, FIELD(data.tokenizer)},
      {"data.fim", "number", "", "part of the training documents put in the order prefix, suffix, middle, so that the model learns to fill in (0 = none)", {}, 0, 1, FIELD(data.fim)},
      {"data.split_tokens", "number", "", "part of the training text's tokens of punctuation and line breaks (\".\\n\\n\") that are split into the two (0 = none)", {}, 0, 1, FIELD(data.split_tokens)},
      {"data.cross_document", "true or false", "", "whether tokens attend to earlier documents of their row; evaluation never does", {}, 0, 0, FIELD(data.cross_document)},

      {"train.stage", "text", "", "what the run is for", {"pretrain"}, 0, 0, FIELD(train.stage)},
      {"train.init", "text", "", "a checkpoint or run to take the first weights from, relative to the recipe; model and tokenizer are its own where the recipe names none (\"\" = random weights)", {}, 0, 0, FIELD(train.init)},
      {"train.steps", "integer", "steps", "optimiser steps of the whole run", {}, 1, kMany, FIELD(train.steps)},
      {"train.batch", "integer", "rows", "rows of a step over all ranks", {}, 1, 1e9, FIELD(train.batch)},
      {"train.micro_batch", "integer", "rows", "rows computed at once by a rank; fixes the memory", {}, 1, 1e9, FIELD(train.micro_batch)},
      {"train.seq", "integer", "tokens", "tokens of a row; the context", {}, 1, 1e9, FIELD(train.seq)},
      {"train.precision", "text", "", "type of the factors of matrix products and attention; weights, sums, norms, softmax and loss are f32", {"f32", "bf16"}, 0, 0, FIELD(train.precision)},
      {"train.dot_unit", "text", "", "order in which bf16 products are added: amx, vdpbf16, or auto, the machine's fastest; it fixes the bits", {"auto", "amx", "vdpbf16"}, 0, 0, FIELD(train.dot_unit)},
      {"train.seed", "integer", "", "of initial values, order of the data and held-out part", {}, 0, kMany, FIELD(train.seed)},
      {"train.shards", "integer", "shards", "virtual shards of the batch: runs with equal shards have equal bits (0 = data-parallel ranks)", {}, 0, 65536, FIELD(train.shards)},
      {"train.eval_every", "integer", "steps", "steps between evaluations (0 = off)", {}, 0, kMany, FIELD(train.eval_every)},
      {"train.eval_batches", "integer", "micro-batches", "most micro-batches of an evaluation (0 = all of the held-out part)", {}, 0, kMany, FIELD(train.eval_batches)},
      {"train.patience", "integer", "evaluations", "evaluations in a row without a lower loss that end the run (0 = off)", {}, 0, 1e9, FIELD(train.patience)},
      {"train.min_improvement", "number", "nats", "a validation loss is lower when it is so by more than this", {}, 0, 1e6, FIELD(train.min_improvement)},
      {"train.trace_nan", "true or false", "", "where loss or grad_norm is no finite number, make the step again, say which op of the model made it, and end the run", {}, 0, 0, FIELD(train.trace_nan)},
      {"train.spike", "text", "", "at a spike of loss or grad_norm: warn; skip the batch, so that no step is made of it; or rollback to the last checkpoint and go on behind the batch", {"off", "warn", "skip", "rollback"}, 0, 0, FIELD(train.spike)},
      {"train.spike_deviations", "number", "deviations", "a spike is so many robust standard deviations above the median of the last steps", {}, 0, 1e9, FIELD(train.spike_deviations)},
      {"train.spike_window", "integer", "steps", "steps that the median is of; spikes are looked for after half of them", {}, 2, 65536, FIELD(train.spike_window)},
      {"train.spike_most", "integer", "spikes", "more skips or rollbacks within spike_within batches, of which there must be more, end the run", {}, 0, 65000, FIELD(train.spike_most)},
      {"train.spike_within", "integer", "batches", "see spike_most", {}, 1, kMany, FIELD(train.spike_within)},

      {"optimizer.name", "text", "", "the optimiser", {"adamw", "sgd"}, 0, 0, FIELD(optimizer.name)},
      {"optimizer.lr", "number", "", "learning rate at its highest", {}, 0, 1e6, FIELD(optimizer.lr)},
      {"optimizer.min_lr", "number", "", "learning rate that a decay ends at", {}, 0, 1e6, FIELD(optimizer.min_lr)},
      {"optimizer.schedule", "text", "", "learning rate over the steps after warm-up; wsd = stable, then linear decay", ScheduleNames(), 0, 0, FIELD(optimizer.schedule)},
      {"optimizer.warmup", "integer", "steps", "steps of linear warm-up (0 = none)", {}, 0, kMany, FIELD(optimizer.warmup)},
      {"optimizer.decay_steps", "integer", "steps", "steps of wsd's decay (-1 = decay_fraction of the steps)", {}, -1, kMany, FIELD(optimizer.decay_steps)},
      {"optimizer.decay_fraction", "number", "", "part of the steps that wsd decays in, where decay_steps is -1", {}, 0, 1, FIELD(optimizer.decay_fraction)},
      {"optimizer.weight_decay", "number", "", "decoupled weight decay per unit of learning rate", {}, 0, 1e6, FIELD(optimizer.weight_decay)},
      {"optimizer.beta1", "number", "", "adamw's decay of the gradient's mean", {}, 0, 1, FIELD(optimizer.beta1)},
      {"optimizer.beta2", "number", "", "adamw's decay of the gradient's square", {}, 0, 1, FIELD(optimizer.beta2)},
      {"optimizer.eps", "number", "", "added to the root of the square", {}, 0, 1, FIELD(optimizer.eps)},
      {"optimizer.momentum", "number", "", "sgd's", {}, 0, 1, FIELD(optimizer.momentum)},
      {"optimizer.moments", "text", "", "what adamw's means and sgd's momentum are kept in between steps; bf16: half of their memory, for a beta of 0.99 at most", {"f32", "bf16"}, 0, 0, FIELD(optimizer.moments)},
      {"optimizer.clip", "number", "", "largest global norm of the gradient (0 = off)", {}, 0, 1e30, FIELD(optimizer.clip)},

      {"run.dir", "text", "", "the run directory, relative to where weft is started", {}, 0, 0, FIELD(run.dir)},
      {"run.checkpoint_every", "integer", "steps", "steps between checkpoints (0 = only the last)", {}, 0, kMany, FIELD(run.checkpoint_every)},
      {"run.save_initial", "true or false", "", "also save the initial weights, as step 0", {}, 0, 0, FIELD(run.save_initial)},
      {"run.keep", "integer", "checkpoints", "newest checkpoints kept (0 = all)", {}, 0, 1e9, FIELD(run.keep)},
      {"run.keep_best", "true or false", "", "also save after an evaluation with the lowest loss so far, and keep that checkpoint: checkpoints/best", {}, 0, 0, FIELD(run.keep_best)},
      {"run.threads", "integer", "threads", "threads of a rank (0 = processors / ranks)", {}, 0, 4096, FIELD(run.threads)},
      {"run.ranks", "integer", "ranks", "ranks of the plan; without one they are data-parallel", {}, 1, 4096, FIELD(run.ranks)},
      {"run.plan", "text", "", "how ranks share the work: dp2, pp2, or dp2,pp2 (data-parallel, pipeline)", {}, 0, 0, FIELD(run.plan)},
      {"run.log_every", "integer", "steps", "steps between lines of progress where there is no terminal", {}, 1, kMany, FIELD(run.log_every)},
      {"run.sample_prompts", "list of prompts", "", "prompts continued at every evaluation, into samples.jsonl and report.html", {}, 0, 0, FIELD(run.sample_prompts)},
      {"run.sample_tokens", "integer", "tokens", "most tokens of such a text", {}, 1, 1e6, FIELD(run.sample_tokens)},
      {"run.sample_temperature", "number", "", "of sampling them; 0 = always the likeliest token", {}, 0, 1e6, FIELD(run.sample_temperature)},
      {"run.target", "text", "", "what to compile for: cpu, cpu:native, cpu:avx2, cpu:avx512, cpu:avx512bf16, cpu:amx", {}, 0, 0, FIELD(run.target)},
      {"run.tune", "integer", "seconds", "most time to measure fusions and kernels' schedules when compiling (0 = none); what was measured before is taken either way", {}, 0, 1e6, FIELD(run.tune)},
      {"run.generate_batch", "integer", "texts", "texts that one call of the artifact's generating entries continues, each with a cache of its own; weft generate, weft chat and samples compile one of 1 beside it", {}, 1, 65536, FIELD(run.generate_batch)},
      {"run.absorbed", "true or false", "", "generate with latent attention in its absorbed form: a cache of latents, many times smaller, and other last bits than training's", {}, 0, 0, FIELD(run.absorbed)},
      {"run.memory_budget", "text", "", "most memory of a rank's parameters, states and activations, as 1.5GB; what does not fit is computed again in backward (\"\" = any)", {}, 0, 0, FIELD(run.memory_budget)},
  };
  // clang-format on
  return keys;
}
#undef FIELD

std::string RecipeHelp() {
  Recipe defaults;
  std::string out = "key = default                          unit: what it is\n", section;
  for (const RecipeKey &key : RecipeKeys()) {
    std::string name = key.name.substr(key.name.find('.') + 1);
    if (std::string s = key.name.substr(0, key.name.find('.')); s != section)
      absl::StrAppend(&out, "\n[", section = s, "]\n");
    std::string value = std::visit(
        [](auto *field) -> std::string {
          using T = std::decay_t<decltype(*field)>;
          if constexpr (std::is_same_v<T, std::string>)
            return TomlQuoted(*field);
          else if constexpr (std::is_same_v<T, std::vector<std::string>>)
            return "[]";
          else if constexpr (std::is_same_v<T, bool>)
            return *field ? "true" : "false";
          else
            return absl::StrCat(*field);
        },
        key.field(defaults));
    absl::StrAppendFormat(&out, "  %-36s ", absl::StrCat(name, " = ", value));
    absl::StrAppend(&out, key.unit.empty() ? key.type : key.unit, ": ", key.help);
    if (!key.choices.empty()) absl::StrAppend(&out, " (", absl::StrJoin(key.choices, ", "), ")");
    out += '\n';
  }
  return out;
}

} // namespace weft
