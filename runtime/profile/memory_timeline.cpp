#include "runtime/profile/memory_timeline.h"

#include <algorithm>
#include <map>

namespace weft {
namespace {

constexpr size_t kMostPoints = 800, kMostOwners = 64;

struct Lifetime {
  int64_t begin, end; // events, both included
  int64_t bytes;
  int32_t step; // that wrote it; -1 = it was there before
};

class Arena {
public:
  void Read(int64_t begin, int64_t end, int64_t event) {
    Cut(begin);
    Cut(end);
    auto it = ranges_.lower_bound(begin);
    for (int64_t at = begin; at < end;) {
      if (it != ranges_.end() && it->first == at) {
        it->second.last_read = event;
        at = it++->second.end;
        continue;
      }
      // Never written: it was there when the step began.
      const int64_t to = it == ranges_.end() ? end : std::min(end, it->first);
      ranges_.emplace_hint(it, at, Range{to, 0, event, -1});
      at = to;
    }
  }
  void Write(int64_t begin, int64_t end, int64_t event, int32_t step) {
    if (begin >= end) return;
    Cut(begin);
    Cut(end);
    auto it = ranges_.lower_bound(begin);
    while (it != ranges_.end() && it->first < end) {
      End(it->first, it->second, event - 1); // in place: the same bytes are not counted twice
      it = ranges_.erase(it);
    }
    ranges_.emplace_hint(it, begin, Range{end, event, event, step});
  }
  std::vector<Lifetime> Finish() {
    for (const auto &[begin, range] : ranges_) End(begin, range, INT64_MAX);
    return std::move(lifetimes_);
  }

private:
  struct Range {
    int64_t end, written, last_read; // written, last_read: events
    int32_t step;
  };
  // No range goes on over `at`.
  void Cut(int64_t at) {
    auto it = ranges_.lower_bound(at);
    if (it == ranges_.begin() || (--it)->second.end <= at) return;
    ranges_.emplace_hint(std::next(it), at, it->second);
    it->second.end = at;
  }
  void End(int64_t begin, const Range &range, int64_t last) {
    last = std::min(range.last_read, last);
    if (last >= range.written) lifetimes_.push_back({range.written, last, range.end - begin, range.step});
  }
  std::map<int64_t, Range> ranges_; // by begin, disjoint
  std::vector<Lifetime> lifetimes_;
};

class Walk {
public:
  Walk(const Recorder &recorder, size_t num_events) : recorder_(recorder), program_(recorder.program()) {
    for (size_t e = 0; e < num_events; ++e) Visit(e);
  }
  std::vector<Lifetime> Lifetimes() { return arena_.Finish(); }

private:
  void Visit(size_t event) {
    const int32_t at = recorder_.events()[event].step;
    const Step &step = program_.steps[at];
    switch (step.kind) {
    case StepKind::launch: {
      const fb::Launch &launch = *program_.sources[at]->op_as_Launch();
      const LaunchStep &flat = program_.launches[step.index];
      const auto *buffers = recorder_.session().artifact().kernels()->Get(launch.kernel())->buffers();
      for (bool writes : {false, true})
        for (int32_t i = 0; i < flat.num_refs; ++i) {
          const fb::BufferUse use = buffers && i < static_cast<int32_t>(buffers->size())
                                        ? buffers->Get(i)->use()
                                        : fb::BufferUse::update;
          if (use != (writes ? fb::BufferUse::input : fb::BufferUse::output))
            Touch(event, flat.first_ref + i, launch.buffers()->Get(i)->extent(), writes);
        }
      break;
    }
    case StepKind::copy:
    case StepKind::zero: {
      const MoveStep &move = program_.moves[step.index];
      if (move.from >= 0) Touch(event, move.from, move.bytes, false);
      Touch(event, move.to, move.bytes, true);
      break;
    }
    case StepKind::all_reduce: {
      const fb::Ref &buffer = *program_.sources[at]->op_as_AllReduce()->buffer();
      Touch(event, program_.comms[step.index].ref, buffer.extent(), false);
      Touch(event, program_.comms[step.index].ref, buffer.extent(), true);
      break;
    }
    case StepKind::send:
      Touch(event, program_.comms[step.index].ref, program_.comms[step.index].count, false);
      break;
    case StepKind::receive:
      Touch(event, program_.comms[step.index].ref, program_.comms[step.index].count, true);
      break;
    case StepKind::loop_begin:
    case StepKind::loop_end:
      break;
    }
  }
  void Touch(size_t event, int32_t ref, int64_t extent, bool writes) {
    const FlatRef &flat = program_.refs[ref];
    if (flat.base != kArenaBase) return;
    const int64_t *counters = recorder_.event_counters(event);
    int64_t begin = flat.offset;
    for (int32_t i = 0; i < flat.num_terms; ++i) {
      const StrideTerm &term = program_.terms[flat.first_term + i];
      begin += counters[term.depth] * term.stride;
    }
    if (writes)
      arena_.Write(begin, begin + extent, static_cast<int64_t>(event), recorder_.events()[event].step);
    else
      arena_.Read(begin, begin + extent, static_cast<int64_t>(event));
  }
  const Recorder &recorder_;
  const Program &program_;
  Arena arena_;
};

std::string Writer(const Recorder &recorder, int32_t step, int32_t *line) {
  *line = -1;
  if (step < 0) return "there when the step began";
  const fb::Instruction &source = *recorder.program().sources[step];
  if (const fb::Launch *launch = source.op_as_Launch()) {
    *line = launch->line();
    return recorder.session().artifact().kernels()->Get(launch->kernel())->name()->str();
  }
  return recorder.program().steps[step].kind == StepKind::zero   ? "zeroed"
         : recorder.program().steps[step].kind == StepKind::copy ? "copied"
                                                                 : "received";
}

void Sort(std::vector<MemoryOwner> &owners) {
  std::stable_sort(owners.begin(), owners.end(),
                   [](const MemoryOwner &a, const MemoryOwner &b) { return a.bytes > b.bytes; });
  if (owners.size() <= kMostOwners) return;
  MemoryOwner rest{"the rest", -1, 0};
  for (size_t i = kMostOwners - 1; i < owners.size(); ++i) rest.bytes += owners[i].bytes;
  owners.resize(kMostOwners - 1);
  owners.push_back(rest);
}

} // namespace

MemoryTimeline TraceMemory(const Recorder &recorder, size_t num_events, int64_t start_ns) {
  MemoryTimeline timeline;
  timeline.arena_bytes = recorder.session().entry(recorder.entry()).arena_bytes();
  num_events = std::min(num_events, recorder.events().size());
  const std::vector<Lifetime> lifetimes = Walk(recorder, num_events).Lifetimes();
  std::vector<int64_t> live(num_events + 1, 0);
  for (const Lifetime &l : lifetimes) {
    live[l.begin] += l.bytes;
    live[l.end + 1] -= l.bytes;
  }
  int64_t peak = -1;
  const size_t width = (num_events + kMostPoints - 1) / kMostPoints; // the highest of each bucket is drawn
  for (size_t e = 0; e < num_events; ++e) {
    if (e > 0) live[e] += live[e - 1];
    const int64_t at = recorder.events()[e].start_ns - start_ns;
    if (live[e] > timeline.peak_bytes) timeline.peak_bytes = live[e], timeline.peak_ns = at, peak = e;
    if (e % width == 0)
      timeline.points.emplace_back(at, live[e]);
    else
      timeline.points.back().second = std::max(timeline.points.back().second, live[e]);
  }
  std::map<std::pair<std::string, int32_t>, int64_t> owners;
  for (const Lifetime &l : lifetimes) {
    if (l.begin > peak || l.end < peak) continue;
    int32_t line;
    std::string what = Writer(recorder, l.step, &line);
    owners[{std::move(what), line}] += l.bytes;
  }
  for (const auto &[key, bytes] : owners) timeline.owners.push_back({key.first, key.second, bytes});
  Sort(timeline.owners);
  if (const auto *planned = recorder.session().artifact().peak())
    for (const fb::PeakOwner *owner : *planned)
      timeline.planned.push_back({owner->what() ? owner->what()->str() : "", owner->line(), owner->bytes()});
  Sort(timeline.planned);
  return timeline;
}

} // namespace weft
