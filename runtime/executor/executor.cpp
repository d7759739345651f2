#include "runtime/executor/executor.h"
#include "runtime/artifact/dtype.h"
#include "runtime/device/denormals.h"
#include "runtime/executor/initialise.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace weft {
namespace {

template <typename T> int Size(const flatbuffers::Vector<T> *vector) {
  return vector ? static_cast<int>(vector->size()) : 0;
}
absl::string_view Text(const flatbuffers::String *string) { return {string->c_str(), string->size()}; }

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

template <typename T> std::string Names(const flatbuffers::Vector<flatbuffers::Offset<T>> *list) {
  std::string names;
  for (int i = 0; i < Size(list); ++i) absl::StrAppend(&names, i ? ", " : "", Text(list->Get(i)->name()));
  return names.empty() ? "none" : names;
}

// Position of the first value outside [0, limit), or -1.
template <typename T> int64_t FirstOutside(const void *data, int64_t count, int64_t limit) {
  const T *values = static_cast<const T *>(data);
  using U = std::make_unsigned_t<T>;
  // A limit beyond the type's range leaves only negative values to find: as unsigned numbers they are at
  // least 2^(bits - 1).
  U bound = static_cast<U>(std::min<int64_t>(limit, std::numeric_limits<T>::max()));
  bool closed = limit > static_cast<int64_t>(std::numeric_limits<T>::max());
  bool outside = false;
  for (int64_t i = 0; i < count; ++i)
    outside |= closed ? static_cast<U>(values[i]) > bound : static_cast<U>(values[i]) >= bound;
  if (!outside) return -1;
  for (int64_t i = 0; i < count; ++i)
    if (closed ? values[i] < 0 : static_cast<U>(values[i]) >= bound) return i;
  return -1;
}

} // namespace

Session::~Session() = default;

absl::StatusOr<std::unique_ptr<Session>> Session::Create(SessionOptions options) {
  std::unique_ptr<Session> session(new Session);
  Session &s = *session;
  if (!options.artifact) return absl::InvalidArgumentError("the session has no artifact");
  const fb::Artifact &artifact = *options.artifact->root;
  s.options_ = std::move(options);
  s.stage_index_ = s.options_.communicator ? s.options_.communicator->position(kPipelineAxis) : 0;
  if (absl::Status status = s.CheckMesh(); !status.ok()) return status;
  s.stage_ = artifact.stages()->Get(s.stage_index_);

  if (!s.options_.kernels) {
    auto kernels = KernelLibrary::Load(*s.options_.artifact, s.options_.cpu);
    if (!kernels.ok()) return kernels.status();
    s.options_.kernels = *std::move(kernels);
  } else if (s.options_.kernels->num_functions() != Size(artifact.kernels())) {
    return absl::InvalidArgumentError(
        absl::StrCat("the kernel library has ", s.options_.kernels->num_functions(),
                     " kernels when the artifact has ", Size(artifact.kernels())));
  }
  if (!s.options_.pool) s.own_pool_ = std::make_unique<ThreadPool>(ThreadPoolOptions{s.options_.threads});
  s.pool_ = s.options_.pool ? s.options_.pool : s.own_pool_.get();

  int64_t arena_bytes = 0, scratch_bytes = 0;
  int32_t max_buffers = 0, max_arguments = 0;
  for (int e = 0; e < Size(s.stage_->entries()); ++e) {
    const fb::Entry &entry = s.entry(e);
    s.programs_.push_back(Flatten(artifact, entry, *s.options_.kernels));
    arena_bytes = std::max(arena_bytes, entry.arena_bytes());
    scratch_bytes = std::max(scratch_bytes, s.programs_.back().scratch_bytes);
    max_buffers = std::max(max_buffers, s.programs_.back().max_buffers);
    max_arguments = std::max(max_arguments, static_cast<int32_t>(Size(entry.arguments())));
    for (const CommStep &comm : s.programs_.back().comms) {
      Communicator *communicator = s.options_.communicator;
      int ranks = communicator ? communicator->axis_size(comm.axis) : 1;
      if (comm.peer >= ranks)
        return absl::FailedPreconditionError(absl::StrCat("entry '", Text(entry.name()),
                                                          "' talks to position ", comm.peer, " of axis ",
                                                          comm.axis, ", which has ", ranks, " ranks"));
    }
  }
  s.bases_.resize(kArgumentBase + max_arguments);
  s.buffers_.resize(std::max(max_buffers, 1));
  s.shares_.resize(s.pool_->size());
  // A page and a bit between threads' scratch: apart, and not all on the same cache sets.
  s.scratch_stride_ = (scratch_bytes + 4095) / 4096 * 4096 + 4096 + 64;
  auto take = [&](Memory &memory, int64_t bytes, const char *what) {
    auto taken = Memory::Allocate(bytes, what);
    if (taken.ok()) memory = *std::move(taken);
    return taken.status();
  };
  int64_t all_scratch = 0;
  if (__builtin_mul_overflow(s.scratch_stride_, int64_t{s.pool_->size()}, &all_scratch))
    return absl::ResourceExhaustedError("the kernels' scratch memory is larger than any machine's");
  if (absl::Status status = take(s.persistent_, s.stage_->persistent_bytes(), "variables"); !status.ok())
    return status;
  if (absl::Status status = take(s.arena_, arena_bytes, "the arena"); !status.ok()) return status;
  if (absl::Status status = take(s.scratch_, all_scratch, "the kernels' scratch"); !status.ok())
    return status;
  s.bases_[kArenaBase] = s.arena_.data();
  s.bases_[kPersistentBase] = s.persistent_.data();
  return session;
}

absl::Status Session::CheckMesh() const {
  const fb::Artifact &artifact = *options_.artifact->root;
  const Communicator *communicator = options_.communicator;
  int pipeline = communicator ? communicator->axis_size(kPipelineAxis) : 1;
  int data = communicator ? communicator->axis_size(kDataAxis) : 1;
  if (pipeline != Size(artifact.stages()))
    return absl::FailedPreconditionError(absl::StrCat(
        options_.artifact->path, ": has ", Size(artifact.stages()), " pipeline stages when the mesh has ",
        pipeline, ": run it on that many ranks, or compile it for this mesh"));
  for (int i = 0; i < Size(artifact.options()); ++i) {
    const fb::Option &option = *artifact.options()->Get(i);
    int compiled = 0;
    if (!option.key() || !option.value() || Text(option.key()) != "data_parallel") continue;
    if (!absl::SimpleAtoi(Text(option.value()), &compiled))
      return absl::InvalidArgumentError(absl::StrCat(options_.artifact->path, ": option data_parallel is '",
                                                     Text(option.value()), "', not a number"));
    if (compiled != data)
      return absl::FailedPreconditionError(absl::StrCat(
          options_.artifact->path, ": was compiled for ", compiled, " data-parallel ranks when the mesh has ",
          data, ": run it on that many, or compile it for this mesh"));
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Session::FindEntry(absl::string_view name) const {
  for (int i = 0; i < Size(stage_->entries()); ++i)
    if (Text(entry(i).name()) == name) return i;
  return absl::NotFoundError(absl::StrCat(options_.artifact->path, ": has no entry '", name, "'; it has ",
                                          Names(stage_->entries())));
}

absl::StatusOr<int> Session::FindArgument(int index, absl::string_view name) const {
  const fb::Entry &e = entry(index);
  for (int i = 0; i < Size(e.arguments()); ++i)
    if (Text(e.arguments()->Get(i)->name()) == name) return i;
  return absl::NotFoundError(absl::StrCat("entry '", Text(e.name()), "' has no argument '", name,
                                          "'; it has ", Names(e.arguments())));
}

const fb::Variable *Session::FindVariable(absl::string_view name) const {
  for (int i = 0; i < Size(stage_->variables()); ++i)
    if (Text(stage_->variables()->Get(i)->name()) == name) return stage_->variables()->Get(i);
  return nullptr;
}

absl::StatusOr<absl::Span<char>> Session::variable(absl::string_view name) {
  if (const fb::Variable *found = FindVariable(name)) return memory(*found);
  return absl::NotFoundError(
      absl::StrCat(options_.artifact->path, ": stage ", stage_index_, " has no variable '", name, "'"));
}

void Session::Initialise(uint64_t seed) {
  for (int i = 0; i < Size(stage_->variables()); ++i) {
    const fb::Variable &variable = *stage_->variables()->Get(i);
    if (variable.kind() == fb::VariableKind::derived) continue; // its memory stays untouched until it is made
    char *data = memory(variable).data();
    pool_->ParallelFor(
        variable.bytes() / ByteSize(variable.dtype()), 4096,
        [&](int64_t begin, int64_t end, int) { InitialiseElements(variable, seed, begin, end, data); });
  }
}

absl::Status Session::Bind(int index, absl::Span<const Binding> arguments, int64_t *trip_count) {
  const fb::Entry &e = entry(index);
  const Program &program = programs_[index];
  auto error = [&](int argument, const auto &...what) {
    return absl::InvalidArgumentError(absl::StrCat("argument '", Text(e.arguments()->Get(argument)->name()),
                                                   "' of entry '", Text(e.name()), "': ", what...));
  };
  if (static_cast<int>(arguments.size()) != Size(e.arguments()))
    return absl::InvalidArgumentError(absl::StrCat("entry '", Text(e.name()), "' is given ", arguments.size(),
                                                   " arguments when it has ", Size(e.arguments()), ": ",
                                                   Names(e.arguments())));
  *trip_count = 0;
  if (int32_t count = program.count_argument; count >= 0) {
    if (arguments[count].bytes != 8 || !arguments[count].data)
      return error(count, "has ", arguments[count].bytes, " bytes when it should be one i64, the trip count");
    std::memcpy(trip_count, arguments[count].data, 8);
    if (*trip_count < 0)
      return error(count, "the trip count is ", *trip_count, " when it should not be negative");
    for (const LoopStep &loop : program.loops)
      if (loop.run_time && *trip_count % loop.parts != 0)
        return error(count, "the trip count is ", *trip_count, " when it should be a multiple of ",
                     loop.parts);
  }
  for (int i = 0; i < Size(e.arguments()); ++i) {
    const fb::Argument &argument = *e.arguments()->Get(i);
    const Binding &binding = arguments[i];
    int64_t bytes = argument.bytes(), element = ByteSize(argument.dtype());
    if (argument.dynamic() && __builtin_mul_overflow(bytes, *trip_count, &bytes))
      return error(i, "a trip count of ", *trip_count, " is more than any memory holds");
    if (binding.bytes != bytes)
      return error(i, "has ", binding.bytes, " bytes when it should have ", bytes,
                   argument.dynamic()
                       ? absl::StrCat(" (", argument.bytes(), " times the trip count ", *trip_count, ")")
                       : "");
    if (bytes > 0 && !binding.data) return error(i, "is not bound");
    if (reinterpret_cast<uintptr_t>(binding.data) % element != 0)
      return error(i, "is not aligned to ", element, " bytes");
    if (argument.limit() >= 0 && argument.kind() == fb::ArgumentKind::input) {
      bool wide = argument.dtype() == fb::DType::i64;
      int64_t at = wide ? FirstOutside<int64_t>(binding.data, bytes / 8, argument.limit())
                        : FirstOutside<int32_t>(binding.data, bytes / 4, argument.limit());
      if (at >= 0)
        return error(i, "element ", at, " is ",
                     wide ? static_cast<const int64_t *>(binding.data)[at]
                          : static_cast<const int32_t *>(binding.data)[at],
                     " when it should lie in [0, ", argument.limit(), ")");
    }
    bases_[kArgumentBase + i] = static_cast<char *>(binding.data);
  }
  return absl::OkStatus();
}

template <bool profile, typename F>
void Session::Parallel(int64_t items, int64_t grain, F &&f, int64_t piece) {
  if constexpr (profile) {
    pool_->RunPieces(
        items, grain,
        [&](ThreadPool::Pieces &pieces, int thread) {
          int64_t begin, end;
          if (!pieces.Next(&begin, &end)) return; // others were faster
          if (profile_.share) profile_.share(profile_.context, thread, true);
          shares_[thread].start_ns = NowNs();
          do f(begin, end, thread);
          while (pieces.Next(&begin, &end));
          shares_[thread].end_ns = NowNs();
          if (profile_.share) profile_.share(profile_.context, thread, false);
        },
        piece);
  } else {
    pool_->ParallelFor(items, grain, f, piece);
  }
}

template <bool profile> void Session::Launch(const Program &program, const LaunchStep &launch) {
  char **buffers = buffers_.data();
  for (int32_t i = 0; i < launch.num_refs; ++i) buffers[i] = Address(program, launch.first_ref + i);
  auto run = [&](int64_t begin, int64_t end, int thread) {
    launch.function(buffers, launch.sizes, begin, end, scratch_.data() + thread * scratch_stride_);
  };
  Parallel<profile>(launch.items, 1, run, launch.piece);
}

void Session::LaunchObserved(int entry, int32_t step) {
  const Program &program = programs_[entry];
  const LaunchStep &launch = program.launches[program.steps[step].index];
  int64_t depth = 0; // loops that begin before it and end behind it
  for (int32_t i = 0; i < step; ++i)
    depth += program.steps[i].kind == StepKind::loop_begin ? 1
             : program.steps[i].kind == StepKind::loop_end ? -1
                                                           : 0;
  for (int32_t i = 0; i < launch.num_refs; ++i) buffers_[i] = Address(program, launch.first_ref + i);
  const fb::Launch *source = program.sources[step]->op_as_Launch();
  ObservedLaunch observed{source, artifact().kernels()->Get(source->kernel()), entry,
                          absl::MakeConstSpan(buffers_.data(), launch.num_refs),
                          absl::MakeConstSpan(counters_, depth)};
  observer_->Before(observed);
  Launch<false>(program, launch);
  observer_->After(observed);
}

template <bool profile> void Session::Copy(char *to, const char *from, int64_t bytes) {
  if (to == from || bytes == 0) return;
  if (to < from + bytes && from < to + bytes) {
    std::memmove(to, from, bytes);
    return;
  }
  Parallel<profile>(bytes, 1 << 18, [&](int64_t begin, int64_t end, int) {
    std::memcpy(to + begin, from + begin, end - begin);
  });
}

template <bool profile> void Session::Zero(char *to, int64_t bytes) {
  Parallel<profile>(bytes, 1 << 18,
                    [&](int64_t begin, int64_t end, int) { std::memset(to + begin, 0, end - begin); });
}

template <bool profile> absl::Status Session::Execute(int index, int64_t trip_count) {
  const Program &program = programs_[index];
  Communicator *communicator = options_.communicator;
  const int32_t num_steps = static_cast<int32_t>(program.steps.size());
  for (int32_t pc = 0; pc < num_steps;) {
    const Step &step = program.steps[pc];
    int64_t start_ns = 0;
    if constexpr (profile) {
      std::fill(shares_.begin(), shares_.end(), ThreadShare());
      start_ns = NowNs();
    }
    absl::Status status;
    switch (step.kind) {
    case StepKind::launch:
      if (observer_)
        LaunchObserved(index, pc);
      else
        Launch<profile>(program, program.launches[step.index]);
      break;
    case StepKind::loop_begin: {
      const LoopStep &loop = program.loops[step.index];
      int64_t begin = loop.begin, end = loop.end;
      if (loop.run_time) {
        int64_t share = trip_count / loop.parts;
        begin = share * loop.part;
        end = begin + share;
      }
      remaining_[loop.depth] = end - begin;
      counters_[loop.depth] = loop.reverse ? end - 1 : begin;
      pc = begin < end ? loop.first : loop.past;
      continue;
    }
    case StepKind::loop_end: {
      const LoopStep &loop = program.loops[step.index];
      bool again = --remaining_[loop.depth] > 0;
      counters_[loop.depth] += loop.reverse ? -1 : 1;
      pc = again ? loop.first : loop.past;
      continue;
    }
    case StepKind::copy: {
      const MoveStep &move = program.moves[step.index];
      Copy<profile>(Address(program, move.to), Address(program, move.from), move.bytes);
      break;
    }
    case StepKind::zero: {
      const MoveStep &move = program.moves[step.index];
      Zero<profile>(Address(program, move.to), move.bytes);
      break;
    }
    case StepKind::all_reduce: {
      const CommStep &comm = program.comms[step.index];
      if (communicator) // alone, the sum is what is there
        status = communicator->AllReduceSum(Address(program, comm.ref), comm.dtype, comm.count, comm.axis);
      break;
    }
    case StepKind::send: {
      const CommStep &comm = program.comms[step.index];
      if (!communicator)
        return absl::FailedPreconditionError("the program sends to another rank when there is only one");
      status = communicator->Send(Address(program, comm.ref), comm.count, comm.axis, comm.peer, comm.tag);
      break;
    }
    case StepKind::receive: {
      const CommStep &comm = program.comms[step.index];
      if (!communicator)
        return absl::FailedPreconditionError("the program receives from another rank when there is only one");
      status = communicator->Receive(Address(program, comm.ref), comm.count, comm.axis, comm.peer, comm.tag);
      break;
    }
    }
    if (!status.ok()) return status;
    if constexpr (profile) {
      const size_t refs = step.kind == StepKind::launch ? program.launches[step.index].num_refs : 0;
      profile_.record(profile_.context, {index, pc, program.sources[pc], start_ns, NowNs(), counters_,
                                         shares_, absl::MakeConstSpan(buffers_.data(), refs)});
    }
    ++pc;
  }
  return absl::OkStatus();
}

absl::Status Session::Run(int index, absl::Span<const Binding> arguments) {
  FlushDenormals flush; // as the pool's threads do
  absl::Status status;
  int64_t trip_count = 0;
  if (index < 0 || index >= static_cast<int>(programs_.size()))
    status = absl::InvalidArgumentError(
        absl::StrCat("entry index is ", index, " when there are ", programs_.size()));
  if (status.ok()) status = Bind(index, arguments, &trip_count);
  if (status.ok())
    status = profile_.record ? Execute<true>(index, trip_count) : Execute<false>(index, trip_count);
  if (!status.ok() && options_.communicator) options_.communicator->Abort(status);
  return status;
}

} // namespace weft
