// Runs the entries of one rank's program.
#pragma once
#include "runtime/artifact/reader.h"
#include "runtime/comm/communicator.h"
#include "runtime/device/cpu.h"
#include "runtime/device/memory.h"
#include "runtime/device/thread_pool.h"
#include "runtime/executor/launch_observer.h"
#include "runtime/executor/program.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include <memory>
#include <vector>

namespace weft {

// The buffer behind one argument. An input's is only read.
struct Binding {
  void *data = nullptr;
  int64_t bytes = 0; // of a dynamic argument: Argument.bytes times the trip count

  Binding() = default;
  Binding(const void *data, int64_t bytes) : data(const_cast<void *>(data)), bytes(bytes) {}
};

// When one thread of the pool computed its share of an instruction; both 0 where it got none.
struct alignas(64) ThreadShare {
  int64_t start_ns = 0, end_ns = 0;
};

// One executed instruction: a launch, copy, zero or collective. Times of std::chrono::steady_clock.
struct StepEvent {
  int32_t entry;
  int32_t step;                       // its place in the entry's Program
  const fb::Instruction *instruction; // in the artifact: kernel, FLOPs, bytes, line
  int64_t start_ns, end_ns;
  const int64_t *counters;              // iteration of each loop around it, outermost first
  absl::Span<const ThreadShare> shares; // by thread of the pool; all empty of a collective
  absl::Span<char *const> buffers;      // of a launch: an address for each of its references
};

struct ProfileHook {
  // Called on the thread that runs the session, after each instruction. null = off
  void (*record)(void *context, const StepEvent &event) = nullptr;
  void *context = nullptr;
  // Called on each thread that gets a share of an instruction, before and after it. null = off
  void (*share)(void *context, int thread, bool begins) = nullptr;
};

struct SessionOptions {
  std::shared_ptr<const LoadedArtifact> artifact;
  std::shared_ptr<const KernelLibrary> kernels; // null = loaded with `cpu`; ranks of one process share one
  CpuOptions cpu;
  Communicator *communicator = nullptr; // null = the only rank. Its pipeline position is the stage
  ThreadPool *pool = nullptr;           // null = one of `threads` threads of the session's own
  int threads = 1;
};

// Persistent memory and arena of one rank. Used by one thread at a time.
class Session {
public:
  // Takes the memory; variables are zero until Initialise, or until they are loaded. Errors: of
  // KernelLibrary::Load and Memory::Allocate; FailedPrecondition when the mesh is not the one the artifact
  // was compiled for.
  static absl::StatusOr<std::unique_ptr<Session>> Create(SessionOptions options);
  ~Session();

  // Index of an entry, or of an entry's argument. NotFound lists the names there are.
  absl::StatusOr<int> FindEntry(absl::string_view name) const;
  absl::StatusOr<int> FindArgument(int entry, absl::string_view name) const;

  // Runs an entry with one binding for each argument, in order. The trip count of run-time loops is the value
  // of the count argument. InvalidArgument when a binding's size or alignment, a limited integer or the trip
  // count is wrong: then nothing was executed. Any error is passed on to the other ranks
  // (Communicator::Abort), which would wait forever otherwise.
  absl::Status Run(int entry, absl::Span<const Binding> arguments);

  // A variable's memory, valid as long as the session. NotFound when this stage has none of that name.
  absl::StatusOr<absl::Span<char>> variable(absl::string_view name);
  absl::Span<char> memory(const fb::Variable &variable) {
    return {persistent_.data() + variable.offset(), size_t(variable.bytes())};
  }
  // Null when this stage has none of that name.
  const fb::Variable *FindVariable(absl::string_view name) const;
  // Every variable's first value, see initialise.h.
  void Initialise(uint64_t seed);

  const fb::Artifact &artifact() const { return *options_.artifact->root; }
  const fb::Stage &stage() const { return *stage_; }
  const fb::Entry &entry(int index) const { return *stage_->entries()->Get(index); }
  int stage_index() const { return stage_index_; }
  const Program &program(int entry) const { return programs_[entry]; }
  ThreadPool &pool() { return *pool_; }
  const std::string &cpu_level() const { return options_.kernels->level(); }
  int64_t persistent_bytes() const { return persistent_.size(); }
  int64_t arena_bytes() const { return arena_.size(); }
  void set_profile(const ProfileHook &hook) { profile_ = hook; }
  // Null = none. It must outlive the runs that it looks on at.
  void set_observer(LaunchObserver *observer) { observer_ = observer; }

private:
  Session() = default;

  absl::Status CheckMesh() const;
  absl::Status Bind(int entry, absl::Span<const Binding> arguments, int64_t *trip_count);
  template <bool profile> absl::Status Execute(int entry, int64_t trip_count);
  char *Address(const Program &program, int32_t ref) const {
    const FlatRef &flat = program.refs[ref];
    int64_t offset = flat.offset;
    for (int32_t i = 0; i < flat.num_terms; ++i) {
      const StrideTerm &term = program.terms[flat.first_term + i];
      offset += counters_[term.depth] * term.stride;
    }
    return bases_[flat.base] + offset;
  }
  template <bool profile, typename F> void Parallel(int64_t items, int64_t grain, F &&f, int64_t piece = 1);
  template <bool profile> void Launch(const Program &program, const LaunchStep &launch);
  template <bool profile> void Copy(char *to, const char *from, int64_t bytes);
  template <bool profile> void Zero(char *to, int64_t bytes);
  void LaunchObserved(int entry, int32_t step);

  SessionOptions options_;
  const fb::Stage *stage_ = nullptr;
  int stage_index_ = 0;
  std::unique_ptr<ThreadPool> own_pool_;
  ThreadPool *pool_ = nullptr;
  Memory persistent_, arena_, scratch_;
  int64_t scratch_stride_ = 0;    // bytes a thread
  std::vector<Program> programs_; // by entry
  ProfileHook profile_;
  std::vector<ThreadShare> shares_; // of the present instruction, while a profile is made
  LaunchObserver *observer_ = nullptr;

  // While an entry runs.
  std::vector<char *> bases_;
  std::vector<char *> buffers_;
  int64_t counters_[kMaxLoopDepth] = {};
  int64_t remaining_[kMaxLoopDepth] = {}; // iterations left, the present one included
};

} // namespace weft
