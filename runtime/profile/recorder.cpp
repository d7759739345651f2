#include "runtime/profile/recorder.h"

#include <algorithm>

namespace weft {

Recorder::Recorder(Session &session, int entry, const Counters *counters, int64_t most_events)
    : session_(session), entry_(entry), threads_(session.pool().size()), program_(session.program(entry)),
      counters_(counters), present_(threads_), totals_(program_.steps.size()),
      shares_(program_.steps.size() * threads_), depths_(program_.steps.size()),
      most_events_(static_cast<size_t>(std::max<int64_t>(0, most_events))) {
  int depth = 0;
  for (size_t i = 0; i < program_.steps.size(); ++i) {
    if (program_.steps[i].kind == StepKind::loop_end) --depth;
    depths_[i] = depth;
    if (program_.steps[i].kind == StepKind::loop_begin) most_depth_ = std::max(most_depth_, ++depth);
    key_blocks_.push_back(KeyBlockOf(program_, static_cast<int32_t>(i), session_.artifact()));
  }
  // Taken now: recording allocates nothing.
  events_.reserve(most_events_);
  event_counters_.reserve(most_events_ * most_depth_);
  event_shares_.reserve(most_events_ * 2 * threads_);
}

void Recorder::Share(void *context, int thread, bool begins) {
  Recorder &r = *static_cast<Recorder *>(context);
  ThreadCounters &present = r.present_[thread];
  CounterValues now = r.counters_->Read(thread);
  if (begins) {
    present.begin = now;
    return;
  }
  for (int c = 0; c < kNumCounters; ++c) present.sum[c] += now[c] - present.begin[c];
}

void Recorder::Record(void *context, const StepEvent &event) {
  Recorder &r = *static_cast<Recorder *>(context);
  if (event.entry != r.entry_) return;
  StepTotals &totals = r.totals_[event.step];
  const int64_t wall = event.end_ns - event.start_ns;
  ++totals.calls;
  totals.wall_ns += wall;
  totals.least_ns = std::min(totals.least_ns, wall);
  totals.most_ns = std::max(totals.most_ns, wall);
  for (int t = 0; t < r.threads_; ++t) {
    ShareTotals &to = r.shares_[event.step * r.threads_ + t];
    const ThreadShare &share = event.shares[t];
    if (share.end_ns == 0) {
      to.waiting_ns += wall;
      continue;
    }
    to.launch_ns += share.start_ns - event.start_ns;
    to.busy_ns += share.end_ns - share.start_ns;
    to.waiting_ns += event.end_ns - share.end_ns;
  }
  if (r.counters_)
    for (ThreadCounters &present : r.present_)
      for (int c = 0; c < kNumCounters; ++c) {
        totals.counters[c] += present.sum[c];
        present.sum[c] = 0;
      }
  KeyPart keys;
  if (int64_t block = r.key_blocks_[event.step]; block > 0)
    keys = KeyPartOf(*event.instruction->op_as_Launch(), event.buffers, block);
  totals.keys += keys.named;
  if (r.num_events_++ >= static_cast<int64_t>(r.most_events_)) return;
  r.events_.push_back({event.step, event.start_ns, event.end_ns, keys});
  r.event_counters_.insert(r.event_counters_.end(), event.counters, event.counters + r.most_depth_);
  for (int t = 0; t < r.threads_; ++t) {
    r.event_shares_.push_back(event.shares[t].start_ns);
    r.event_shares_.push_back(event.shares[t].end_ns);
  }
}

} // namespace weft
