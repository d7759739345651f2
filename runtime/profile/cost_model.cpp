#include "runtime/profile/cost_model.h"

#include <algorithm>

namespace weft {
namespace {

constexpr int64_t kMostRanges = 1 << 20;
constexpr int64_t kSpaceBytes = int64_t{1} << 48; // between spaces: no address of one is another's
constexpr int64_t kMoveGrain = 1 << 18;           // bytes of a thread's share of a copy, at the least

// From the start of the reference's space.
int64_t OffsetOf(const Program &program, const FlatRef &flat, const int64_t *counters) {
  int64_t at = flat.offset;
  for (int32_t i = 0; i < flat.num_terms; ++i) {
    const StrideTerm &term = program.terms[flat.first_term + i];
    at += counters[term.depth] * term.stride;
  }
  return at;
}

} // namespace

size_t CacheModel::LevelOf(int64_t distance) const {
  size_t level = 0;
  while (level + 1 < levels_.size() && distance > levels_[level].bytes) ++level;
  return level;
}

void CacheModel::Touch(int64_t begin, int64_t end, std::vector<int64_t> &found) {
  if (begin >= end) return;
  found.resize(levels_.size());
  const int64_t now = clock_ + (end - begin); // a byte comes again after all of this range
  int64_t at = begin;
  auto it = ranges_.lower_bound(begin);
  if (it != ranges_.begin() && std::prev(it)->second.end > begin) --it;
  while (it != ranges_.end() && it->first < end) {
    auto [first, range] = *it;
    const int64_t from = std::max(first, begin), to = std::min(range.end, end);
    found.back() += from - at; // never touched
    found[LevelOf(now - range.stamp)] += to - from;
    at = to;
    it = ranges_.erase(it);
    if (first < begin) ranges_.emplace(first, Range{begin, range.stamp});
    if (range.end > end) it = ranges_.emplace(end, Range{range.end, range.stamp}).first;
  }
  found.back() += end - at;
  if (static_cast<int64_t>(ranges_.size()) > kMostRanges) ranges_.clear();
  ranges_[begin] = {end, clock_};
  clock_ = now;
}

Balance BalanceOf(int64_t items, int threads) {
  Balance balance{0, 0};
  if (items <= 1) return {1, 1};
  for (int t = 0; t < threads; ++t) {
    auto [begin, end] = PartitionItems(items, 1, t, threads);
    if (begin >= end) continue;
    ++balance.threads;
    balance.largest =
        std::max(balance.largest, static_cast<double>(end - begin) / static_cast<double>(items));
  }
  return balance;
}

std::string DotUnitOf(const std::string &reduction) {
  size_t at = reduction.find("unit = \"");
  if (at == std::string::npos) return "fma";
  at += 8;
  return reduction.substr(at, reduction.find('"', at) - at);
}

double PredictLaunchNs(const Calibration &machine, const LaunchWork &work, const std::vector<int64_t> &found,
                       const Balance &balance) {
  // A fused multiply-add is two FLOPs and one element through a lane.
  const double lanes = machine.FlopsOf("fma").one / 2;
  const double compute =
      (work.dot_flops / machine.FlopsOf(work.unit).one + work.vector_ops / lanes) * balance.largest * 1e9;
  double all = 0, memory = 0;
  for (int64_t part : found) all += static_cast<double>(part);
  for (size_t level = 0; level < found.size() && level < machine.levels.size(); ++level) {
    if (found[level] == 0) continue;
    const Rate &rate = machine.levels[level].rate;
    const double moved = work.bytes * static_cast<double>(found[level]) / all;
    memory += std::max(moved * balance.largest / rate.one, moved / rate.all) * 1e9;
  }
  // A product has packed its factors before it multiplies, and goes on with its sums behind: it moves and
  // computes by turns. Elementwise code does both at once.
  const double both = work.dot_flops > 0 ? compute + memory : std::max(compute, memory);
  return (balance.threads > 1 ? machine.launch_ns : 0) + both;
}

void StepModel::Touch(int64_t space, int64_t offset, int64_t bytes) {
  const int64_t begin = space * kSpaceBytes + offset;
  caches_.Touch(begin, begin + bytes, found_);
}

double StepModel::Launch(const LaunchWork &work, int64_t items) {
  const double ns = PredictLaunchNs(machine_, work, found_, BalanceOf(items, threads_));
  found_.assign(machine_.levels.size(), 0);
  return ns;
}

double StepModel::Move(int64_t bytes, bool reads) {
  LaunchWork work;
  work.bytes = static_cast<double>(bytes) * (reads ? 2 : 1);
  return Launch(work, bytes / kMoveGrain + (bytes % kMoveGrain != 0));
}

std::vector<double> PredictSteps(const Recorder &recorder, size_t num_events, const Calibration &machine) {
  const Program &program = recorder.program();
  const fb::Artifact &artifact = recorder.session().artifact();
  std::vector<double> sums(program.steps.size());
  std::vector<int64_t> calls(program.steps.size());
  std::vector<std::string> units; // by kernel; "" of those without products
  if (artifact.kernels())
    for (const fb::Kernel *kernel : *artifact.kernels()) {
      const std::string family = kernel->family() ? kernel->family()->str() : "";
      const bool products = family == "matmul" || family == "attention";
      units.push_back(products ? DotUnitOf(kernel->reduction() ? kernel->reduction()->str() : "") : "");
    }
  StepModel model(machine, recorder.threads());
  // Twice: the caches hold what the step before has left there.
  for (int pass = 0; pass < 2; ++pass)
    for (size_t e = 0; e < num_events && e < recorder.events().size(); ++e) {
      const int32_t at = recorder.events()[e].step;
      const Step &step = program.steps[at];
      double ns = 0;
      auto touch = [&](int32_t ref, int64_t bytes) {
        const FlatRef &flat = program.refs[ref];
        model.Touch(flat.base, OffsetOf(program, flat, recorder.event_counters(e)), bytes);
      };
      if (step.kind == StepKind::launch) {
        const fb::Launch &launch = *program.sources[at]->op_as_Launch();
        const LaunchStep &flat = program.launches[step.index];
        for (int32_t i = 0; i < flat.num_refs; ++i)
          touch(flat.first_ref + i, launch.buffers()->Get(i)->extent());
        const double keys = recorder.events()[e].keys.blocks;
        const std::string &unit = units[launch.kernel()];
        LaunchWork work{unit, unit.empty() ? 0 : keys * static_cast<double>(launch.flops()),
                        keys * static_cast<double>(launch.vector_ops()), static_cast<double>(launch.bytes())};
        ns = model.Launch(work, launch.items());
      } else if (step.kind == StepKind::copy || step.kind == StepKind::zero) {
        const MoveStep &move = program.moves[step.index];
        if (move.from >= 0) touch(move.from, move.bytes);
        touch(move.to, move.bytes);
        ns = model.Move(move.bytes, move.from >= 0);
      }
      if (pass == 0) continue;
      sums[at] += ns;
      ++calls[at];
    }
  for (size_t i = 0; i < sums.size(); ++i)
    if (calls[i] > 0) sums[i] /= static_cast<double>(calls[i]);
  return sums;
}

} // namespace weft
