#include "runtime/profile/profile_run.h"
#include "runtime/data/file_io.h"
#include "runtime/profile/account.h"
#include "runtime/profile/memory_timeline.h"
#include "runtime/profile/trace.h"
#include "runtime/report/profile_page.h"
#include "runtime/train/compile.h"
#include "runtime/train/interrupt.h"
#include "runtime/train/open_recipe.h"
#include "runtime/train/run_folder.h"
#include "runtime/train/schedule.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <sys/resource.h>

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostEvents = 400'000; // kept for the trace, over all ranks

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// How often threads of this process were put aside although they could have gone on.
int64_t Preemptions() {
  rusage usage{};
  return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_nivcsw : 0;
}

class ProfileRun {
public:
  ProfileRun(Recipe recipe, const ProfileOptions &options) : recipe_(std::move(recipe)), options_(options) {}

  absl::StatusOr<Profile> Go() {
    if (absl::Status status = CheckThreads(recipe_); !status.ok()) return status;
    if (absl::Status status = CheckFolder(); !status.ok()) return status;
    absl::StatusOr<std::unique_ptr<RunFolder>> folder = RunFolder::Open(options_.folder);
    if (!folder.ok()) return folder.status();
    if (absl::Status status = Open(); !status.ok()) return status;
    if (absl::Status status = Measure(); !status.ok()) return status;
    Account(recorders_, times_, events_of_step_, profile_);
    if (absl::Status status = Write(); !status.ok()) return status;
    return std::move(profile_);
  }

private:
  std::string Path(absl::string_view name) const { return absl::StrCat(options_.folder, "/", name); }
  void Say(const std::string &text) const {
    if (options_.say) options_.say(text);
  }

  // A run's recipe, artifact and report have the names that a profile's have.
  absl::Status CheckFolder() const {
    std::error_code error;
    fs::path here = fs::absolute(options_.folder, error).lexically_normal();
    if (!here.has_filename()) here = here.parent_path(); // "run/"
    if (here != fs::path(recipe_.run.dir) && !fs::equivalent(here, recipe_.run.dir, error) &&
        !fs::exists(here / "metrics.jsonl", error) && !fs::exists(here / "checkpoints", error))
      return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat(options_.folder,
                     " is a run directory, whose files a profile would overwrite\nhint: "
                     "-o ",
                     options_.folder, "/profile"));
  }

  // What a run of the recipe has made already. Files of a run are replaced and never changed, so that a
  // second name for one is as good as a copy.
  void TakeFromRun() {
    std::error_code error;
    const fs::path run = recipe_.run.dir, here = options_.folder;
    if (fs::equivalent(run, here, error)) return;
    std::vector<fs::path> names = {"model.weft", "model.weft.key"};
    for (const fs::directory_entry &entry : fs::directory_iterator(run / "data", error))
      names.push_back(fs::path("data") / entry.path().filename());
    fs::create_directories(here / "data", error);
    for (const fs::path &name : names)
      if (!fs::exists(here / name, error) && fs::is_regular_file(run / name, error)) {
        fs::create_hard_link(run / name, here / name, error);
        if (error) fs::copy_file(run / name, here / name, error);
      }
  }

  absl::Status Open() {
    auto say = [this](const std::string &text) { Say(text); };
    TakeFromRun();
    absl::StatusOr<PreparedData> data = PrepareRecipeText(recipe_, Path("data"), say);
    if (!data.ok()) return data.status();
    if (absl::Status status = FitVocabulary(recipe_, data->tokenizer); !status.ok()) return status;
    profile_.recipe = RecipeText(recipe_);
    const std::string recipe = Path("recipe.toml");
    if (absl::Status status = WriteFileAtomically(recipe, profile_.recipe); !status.ok()) return status;
    absl::StatusOr<std::shared_ptr<const LoadedArtifact>> artifact =
        EnsureArtifact(recipe_, recipe, Path("model.weft"), say);
    if (!artifact.ok()) return artifact.status();
    absl::StatusOr<std::unique_ptr<Ranks>> ranks = MakeRanks(recipe_, *artifact, options_.cpu_level, say);
    if (!ranks.ok()) return ranks.status();
    ranks_ = *std::move(ranks);
    absl::StatusOr<std::unique_ptr<Trainer>> trainer = MakeTrainer(recipe_, *ranks_, data->train);
    if (!trainer.ok()) return trainer.status();
    trainer_ = *std::move(trainer);
    if (absl::Status status = Weights(); !status.ok()) return status;

    const fb::Artifact &a = ranks_->artifact();
    profile_.model = a.model() ? a.model()->str() : "";
    if (a.options())
      for (const fb::Option *option : *a.options())
        if (option->key() && option->value())
          profile_.options.emplace_back(option->key()->str(), option->value()->str());
    profile_.made = absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::Now(), absl::UTCTimeZone());
    profile_.ranks = ranks_->size();
    profile_.threads = ranks_->session(0).pool().size();
    profile_.tokens = recipe_.train.batch * recipe_.train.seq;
    absl::StatusOr<Calibration> machine = CachedCalibration(
        ranks_->session(0).pool(), ranks_->session(0).cpu_level(), options_.calibrate, options_.say);
    if (!machine.ok()) return machine.status();
    profile_.machine = *std::move(machine);
    return absl::OkStatus();
  }

  absl::Status Weights() {
    profile_.weights = "first values";
    if (absl::Status status = trainer_->Initialise(recipe_.train.seed); !status.ok()) return status;
    auto say = [this](const std::string &text) { Say(text); };
    const bool whole = !options_.checkpoint.empty();
    if (!whole && recipe_.train.init.empty()) return absl::OkStatus();
    absl::StatusOr<FoundCheckpoint> found =
        LocateCheckpoint(whole ? options_.checkpoint : recipe_.train.init, say);
    if (!found.ok()) return found.status();
    profile_.weights = found->path;
    if (!whole) return trainer_->TakeWeights(found->path);
    done_ = found->state.step;
    return trainer_->Restore(found->path);
  }

  // Steps by turns without and with the profiler: what it costs is seen, and both see the same machine.
  absl::Status Measure() {
    absl::StatusOr<Schedule> schedule =
        MakeSchedule(recipe_.optimizer.schedule, recipe_.train.steps, recipe_.WarmupSteps(),
                     recipe_.DecaySteps(), recipe_.optimizer.lr, recipe_.optimizer.min_lr);
    if (!schedule.ok()) return schedule.status();
    const int size = ranks_->size();
    times_.resize(size);
    steps_.resize(size);
    events_of_step_.resize(size);
    for (int rank = 0; rank < size; ++rank) {
      Session &session = ranks_->session(rank);
      absl::StatusOr<int> entry = session.FindEntry("train_step");
      if (!entry.ok()) return entry.status();
      const Counters *counters = nullptr;
      if (options_.counters && profile_.no_counters.empty()) {
        absl::StatusOr<std::unique_ptr<Counters>> opened = Counters::Open(session.pool());
        if (opened.ok()) {
          counters_.push_back(*std::move(opened));
          counters = counters_.back().get();
        } else {
          profile_.no_counters = std::string(opened.status().message());
        }
      } else if (!options_.counters) {
        profile_.no_counters = "they were not asked for";
      }
      recorders_.push_back(std::make_unique<Recorder>(session, *entry, counters, kMostEvents / size));
    }
    InterruptGuard interrupt;
    int64_t step = done_;
    for (int64_t i = 0; i < options_.warm_up + 2 * options_.steps; ++i) {
      if (interrupt.requested()) return absl::CancelledError("interrupted: no profile was written");
      const bool measured = i >= options_.warm_up && (i - options_.warm_up) % 2 == 1;
      if (measured)
        for (auto &recorder : recorders_) recorder->Start();
      const int64_t preemptions = Preemptions(), start = NowNs();
      absl::StatusOr<StepResult> result = trainer_->Step(step + 1, schedule->At(step + 1));
      const int64_t end = NowNs();
      for (auto &recorder : recorders_) recorder->Stop();
      if (!result.ok()) return result.status();
      if (!std::isfinite(result->loss))
        Say(absl::StrCat("warning: the loss is not finite at step ", step + 1));
      ++step;
      if (i >= options_.warm_up && !measured) profile_.plain_ns.push_back(end - start);
      if (!measured) continue;
      profile_.step_ns.push_back(end - start);
      profile_.preemptions += Preemptions() - preemptions;
      for (int rank = 0; rank < size; ++rank) {
        const StepTimes &t = trainer_->times(rank);
        times_[rank].before_ns += t.begin_ns - start;
        times_[rank].data_ns += t.data_ns - t.begin_ns;
        times_[rank].run_ns += t.end_ns - t.data_ns;
        times_[rank].after_ns += end - t.end_ns;
        steps_[rank].push_back({start, t.begin_ns, t.data_ns, t.end_ns, end});
        if (profile_.step_ns.size() == 1) events_of_step_[rank] = recorders_[rank]->events().size();
      }
      Say(absl::StrCat("step ", profile_.step_ns.size(), " of ", options_.steps, ": ",
                       static_cast<double>(end - start) / 1e6, " ms"));
    }
    profile_.memory = TraceMemory(*recorders_[0], events_of_step_[0], steps_[0][0].start_ns);
    return absl::OkStatus();
  }

  absl::Status Write() {
    if (absl::Status status = WriteTrace(Path("trace.json"), recorders_, steps_, profile_.memory);
        !status.ok())
      return status;
    const std::string text = ProfileJson(profile_);
    if (absl::Status status = WriteFileAtomically(Path("profile.json"), text); !status.ok()) return status;
    return WriteFileAtomically(Path("report.html"), ProfilePageHtml(profile_.model, text));
  }

  Recipe recipe_;
  ProfileOptions options_;
  Profile profile_;
  std::unique_ptr<Ranks> ranks_;
  std::unique_ptr<Trainer> trainer_;
  std::vector<std::unique_ptr<Counters>> counters_;
  std::vector<std::unique_ptr<Recorder>> recorders_; // by rank, like the next three
  std::vector<RankTimes> times_;
  std::vector<size_t> events_of_step_; // how many events the first measured step has
  std::vector<std::vector<TracedStep>> steps_;
  int64_t done_ = 0; // steps that the weights have behind them
};

} // namespace

absl::StatusOr<Profile> MakeProfile(Recipe recipe, const ProfileOptions &options) {
  return ProfileRun(std::move(recipe), options).Go();
}

} // namespace weft
