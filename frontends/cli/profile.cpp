#include "frontends/cli/commands.h"
#include "frontends/cli/profile_report.h"
#include "frontends/cli/recipe_argument.h"
#include "frontends/cli/report.h"
#include "runtime/profile/profile_run.h"
#include "runtime/train/checkpoint.h"

#include "absl/strings/str_cat.h"

#include <cstdio>

namespace weft {
namespace {

void Print(const std::string &text) { std::fwrite(text.data(), 1, text.size(), stdout); }

int DiffCommand(const Arguments &arguments) {
  static const CommandSpec spec = {
      "profile diff",
      "BEFORE AFTER",
      "What became slower from one profile to another, and why: other settings, another machine, another "
      "schedule, other "
      "sizes, or other kernels for the same lines of the model. Each is a folder of weft profile, or its "
      "profile.json.",
      {{"--top", "N", "rows to show; 0 = all", "20"}, {"--json", "", "one JSON object, with all rows"}},
      "",
      2,
      2};
  Args args(spec, arguments);
  int64_t top = args.Integer("--top", 20, 0);
  if (args.exit >= 0) return args.exit;
  absl::StatusOr<Profile> before = ReadProfile(args.positional[0]);
  if (!before.ok()) return Fail(before.status());
  absl::StatusOr<Profile> after = ReadProfile(args.positional[1]);
  if (!after.ok()) return Fail(after.status());
  ProfileDiff diff = CompareProfiles(*before, *after);
  Print(args.Has("--json") ? DiffJson(diff) : DiffText(diff, top));
  return 0;
}

} // namespace

int ProfileCommand(const Arguments &arguments) {
  if (!arguments.empty() && arguments[0] == "diff")
    return DiffCommand({arguments.begin() + 1, arguments.end()});
  static const CommandSpec spec = {
      "profile",
      "RECIPE.toml|RUN [KEY=VALUE …] | diff BEFORE AFTER",
      "Where the time of a recipe's training step goes: by kernel, by line of the model and by thread, "
      "beside what the "
      "machine allows. A run with checkpoints is profiled with the newest one's weights, a recipe with first "
      "values.",
      {{"--steps", "N", "steps to measure; as many more run without the profiler, by turns", "5"},
       {"--warm-up", "N", "steps before them", "2"},
       {"-o", "DIR", "where profile.json, trace.json and report.html are written",
        "profile in the run directory"},
       {"--top", "N", "kernels and lines to show; 0 = all", "20"},
       {"--calibrate", "", "measure the machine again, although it is known"},
       {"--no-counters", "", "leave the processor's counters alone"},
       {"--cpu-level", "LEVEL", "avx2, avx512, avx512bf16 or amx", "the best of the machine"},
       {"--json", "", "profile.json on the standard output instead of tables"}},
      "The run directory itself is only read: text and artifact that fit are taken over from there. "
      "trace.json is for "
      "ui.perfetto.dev or\nchrome://tracing. The machine's peaks are measured once and kept in "
      "~/.cache/weft. "
      "weft profile diff --help says more of diff.\n",
      0,
      SIZE_MAX};
  Args args(spec, arguments);
  ProfileOptions options;
  options.steps = args.Integer("--steps", options.steps, 1, 10'000);
  options.warm_up = args.Integer("--warm-up", options.warm_up, 0, 10'000);
  int64_t top = args.Integer("--top", 20, 0);
  if (args.exit >= 0) return args.exit;
  auto asked = ReadRecipeArgument(args, "weft profile", "weft profile --help");
  if (!asked) return 2;
  if (!asked->run.empty() && !ListCheckpoints(asked->run + "/checkpoints").empty())
    options.checkpoint = asked->run;
  absl::StatusOr<Recipe> recipe = LoadRecipe(asked->path, asked->overrides);
  if (!recipe.ok()) return Fail(recipe.status());
  options.folder = args.Text("-o", recipe->run.dir + "/profile");
  options.calibrate = args.Has("--calibrate");
  options.counters = !args.Has("--no-counters");
  options.cpu_level = args.Text("--cpu-level");
  options.say = Notice;
  absl::StatusOr<Profile> profile = MakeProfile(*std::move(recipe), options);
  if (!profile.ok())
    return absl::IsCancelled(profile.status()) ? (Fail(profile.status()), 130) : Fail(profile.status());
  Print(args.Has("--json") ? ProfileJson(*profile) + "\n" : ProfileText(*profile, top));
  std::fflush(stdout); // before what follows on stderr
  Notice(absl::StrCat("wrote profile.json, trace.json and report.html into ", options.folder));
  return 0;
}

} // namespace weft
