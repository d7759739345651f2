// What one rank's session does, instruction by instruction, while it runs.
#pragma once
#include "runtime/executor/executor.h"
#include "runtime/profile/counters.h"
#include "runtime/profile/key_part.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace weft {

// One thread's time within an instruction: from its start to the thread's share (launch), the share (busy),
// and from the share's end to the instruction's (waiting). A thread without a share waits all the time.
struct ShareTotals {
  int64_t launch_ns = 0, busy_ns = 0, waiting_ns = 0;
};

struct StepTotals {
  int64_t calls = 0, wall_ns = 0, least_ns = INT64_MAX, most_ns = 0;
  CounterValues counters{}; // over the threads' shares
  double keys = 0;          // of attention: the parts named, summed over the calls
};

// One execution, for the trace and for models that follow the order of a step.
struct TracedEvent {
  int32_t step; // in the Program
  int64_t start_ns, end_ns;
  KeyPart keys; // of a launch of attention; of all else whole
};

class Recorder {
public:
  // `counters` may be null. Keeps the first `most_events` executions as they were.
  Recorder(Session &session, int entry, const Counters *counters, int64_t most_events);
  ~Recorder() { session_.set_profile({}); }
  Recorder(const Recorder &) = delete;

  void Start() { session_.set_profile({&Record, this, counters_ ? &Share : nullptr}); }
  void Stop() { session_.set_profile({}); }

  int entry() const { return entry_; }
  int threads() const { return threads_; }
  Session &session() const { return session_; }
  const Program &program() const { return program_; }
  int64_t num_events() const { return num_events_; } // kept or not

  const StepTotals &totals(int32_t step) const { return totals_[step]; }
  const ShareTotals &share(int32_t step, int thread) const { return shares_[step * threads_ + thread]; }
  // How many loops are around a step.
  int depth(int32_t step) const { return depths_[step]; }

  const std::vector<TracedEvent> &events() const { return events_; }
  const int64_t *event_counters(size_t event) const { return event_counters_.data() + event * most_depth_; }
  // (start, end) of a thread's share, both 0 where it had none.
  const int64_t *event_share(size_t event, int thread) const {
    return event_shares_.data() + 2 * (event * threads_ + thread);
  }

private:
  static void Record(void *context, const StepEvent &event);
  static void Share(void *context, int thread, bool begins);

  Session &session_;
  const int entry_, threads_;
  const Program &program_;
  const Counters *counters_;
  struct alignas(64) ThreadCounters {
    CounterValues begin{}, sum{};
  };
  std::vector<ThreadCounters> present_; // by thread, of the present instruction
  std::vector<StepTotals> totals_;      // by step
  std::vector<ShareTotals> shares_;     // by step and thread
  std::vector<int> depths_;             // by step
  std::vector<int64_t> key_blocks_;     // by step: keys in a block of attention's; 0 of all else
  int most_depth_ = 0;
  int64_t num_events_ = 0;
  size_t most_events_;
  std::vector<TracedEvent> events_;
  std::vector<int64_t> event_counters_; // most_depth_ an event
  std::vector<int64_t> event_shares_;   // 2 a thread and event
};

} // namespace weft
