#include "runtime/profile/account.h"
#include "runtime/profile/cost_model.h"

#include <algorithm>

namespace weft {
namespace {

std::string Text(const flatbuffers::String *string) { return string ? string->str() : ""; }

const char *KindName(StepKind kind) {
  switch (kind) {
  case StepKind::launch:
    return "launch";
  case StepKind::copy:
    return "copy";
  case StepKind::zero:
    return "zero";
  case StepKind::all_reduce:
    return "all_reduce";
  case StepKind::send:
    return "send";
  case StepKind::receive:
    return "receive";
  case StepKind::loop_begin:
  case StepKind::loop_end:
    break;
  }
  return "";
}

bool IsCollective(StepKind kind) {
  return kind == StepKind::all_reduce || kind == StepKind::send || kind == StepKind::receive;
}

// Bytes that an instruction other than a launch moves.
int64_t MovedBytes(const Program &program, const Step &step) {
  if (step.kind == StepKind::copy) return 2 * program.moves[step.index].bytes;
  if (step.kind == StepKind::zero) return program.moves[step.index].bytes;
  return 0;
}

void TakeLinesAndKernels(const fb::Artifact &artifact, Profile &profile) {
  if (artifact.lines())
    for (const fb::Line *line : *artifact.lines())
      profile.lines.push_back({Text(line->file()), line->line(), Text(line->module_path())});
  if (artifact.kernels())
    for (const fb::Kernel *kernel : *artifact.kernels()) {
      ProfileKernel k{Text(kernel->name()),
                      Text(kernel->family()),
                      Text(kernel->schedule()),
                      Text(kernel->reduction()),
                      "",
                      {},
                      {}};
      k.unit = DotUnitOf(k.reduction);
      if (kernel->lines()) k.lines.assign(kernel->lines()->begin(), kernel->lines()->end());
      profile.kernels.push_back(std::move(k));
    }
}

// Leaves the kernels that were launched alone, and the lines that something is of.
void DropUnused(Profile &profile) {
  std::vector<int32_t> kernels(profile.kernels.size(), -1), lines(profile.lines.size(), -1);
  std::vector<ProfileKernel> kept;
  std::vector<ProfileLine> kept_lines;
  auto take_line = [&](int32_t &line) {
    if (line < 0 || line >= static_cast<int32_t>(lines.size())) {
      line = -1;
      return;
    }
    if (lines[line] < 0) {
      lines[line] = static_cast<int32_t>(kept_lines.size());
      kept_lines.push_back(profile.lines[line]);
    }
    line = lines[line];
  };
  for (ProfileSite &site : profile.sites) {
    take_line(site.line);
    if (site.kernel < 0) continue;
    if (kernels[site.kernel] < 0) {
      kernels[site.kernel] = static_cast<int32_t>(kept.size());
      kept.push_back(profile.kernels[site.kernel]);
    }
    site.kernel = kernels[site.kernel];
    kept[site.kernel].work.Add(site.work);
  }
  for (ProfileKernel &kernel : kept)
    for (int32_t &line : kernel.lines) take_line(line);
  for (std::vector<MemoryOwner> *owners : {&profile.memory.owners, &profile.memory.planned})
    for (MemoryOwner &owner : *owners) take_line(owner.line);
  profile.kernels = std::move(kept);
  profile.lines = std::move(kept_lines);
}

} // namespace

void Account(const std::vector<std::unique_ptr<Recorder>> &recorders, const std::vector<RankTimes> &times,
             const std::vector<size_t> &events_of_step, Profile &profile) {
  TakeLinesAndKernels(recorders[0]->session().artifact(), profile);
  const double memory = profile.machine.memory_bytes_per_s();
  for (size_t rank = 0; rank < recorders.size(); ++rank) {
    const Recorder &r = *recorders[rank];
    const Program &program = r.program();
    const std::vector<double> predicted = PredictSteps(r, events_of_step[rank], profile.machine);
    std::vector<ThreadTime> threads(r.threads());
    int64_t in_events = 0;
    for (int32_t s = 0; s < static_cast<int32_t>(program.steps.size()); ++s) {
      const StepTotals &totals = r.totals(s);
      if (totals.calls == 0) continue;
      const Step &step = program.steps[s];
      const fb::Launch *launch = program.sources[s]->op_as_Launch();
      in_events += totals.wall_ns;
      ProfileSite site;
      site.kind = KindName(step.kind);
      site.stage = r.session().stage_index();
      site.loops = r.depth(s);
      site.least_ns = totals.least_ns;
      site.most_ns = totals.most_ns;
      site.work.calls = totals.calls;
      site.work.wall_ns = totals.wall_ns;
      const double calls = static_cast<double>(totals.calls);
      site.work.bytes = calls * static_cast<double>(launch ? launch->bytes() : MovedBytes(program, step));
      site.work.predicted_ns = calls * predicted[s];
      site.work.counters = totals.counters;
      std::string unit = "fma";
      if (launch) {
        site.kernel = launch->kernel();
        site.line = launch->line();
        site.work.flops = totals.keys * static_cast<double>(launch->flops());
        unit = profile.kernels[site.kernel].unit;
      }
      if (!IsCollective(step.kind))
        site.work.roof_ns =
            std::max(site.work.flops / profile.machine.FlopsOf(unit).all, site.work.bytes / memory) * 1e9;
      for (int t = 0; t < r.threads(); ++t) {
        const ShareTotals &share = r.share(s, t);
        site.work.busy_ns += share.busy_ns;
        (launch ? threads[t].kernels_ns : threads[t].moves_ns) += share.busy_ns;
        threads[t].launch_ns += share.launch_ns;
        if (t == 0 && IsCollective(step.kind))
          threads[t].communication_ns += share.waiting_ns; // it has no share: all of its time
        else
          threads[t].waiting_ns += share.waiting_ns;
      }
      profile.sites.push_back(std::move(site));
    }
    const RankTimes &time = times[rank];
    // A rank that is alone waits for nobody: what stands around its program is the host's.
    const int64_t other_ranks = recorders.size() > 1 ? time.after_ns : 0;
    const int64_t host =
        time.before_ns + time.run_ns - in_events + (recorders.size() > 1 ? 0 : time.after_ns);
    profile.host_ns += host;
    profile.data_ns += time.data_ns;
    profile.other_ranks_ns += other_ranks;
    for (int t = 0; t < r.threads(); ++t) {
      threads[t].rank = static_cast<int32_t>(rank);
      threads[t].thread = t;
      if (t == 0) {
        threads[t].host_ns = host;
        threads[t].data_ns = time.data_ns;
        threads[t].waiting_ns += other_ranks;
      } else {
        threads[t].waiting_ns += host + time.data_ns + other_ranks;
      }
      profile.thread_times.push_back(threads[t]);
    }
  }
  DropUnused(profile);
}

} // namespace weft
