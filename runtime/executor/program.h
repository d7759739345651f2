// An entry's instructions, flattened once into arrays that the executor walks without looking anything up.
#pragma once
#include "runtime/artifact/reader.h"
#include "runtime/device/cpu.h"

#include <cstdint>
#include <vector>

namespace weft {

// Where addresses start: one pointer a space, then one an argument.
inline constexpr int32_t kArenaBase = 0;
inline constexpr int32_t kPersistentBase = 1;
inline constexpr int32_t kArgumentBase = 2;

struct StrideTerm {
  int32_t depth;
  int64_t stride;
};

// bases[base] + offset + sum over terms of counters[depth] * stride
struct FlatRef {
  int32_t base;
  int32_t first_term, num_terms; // in Program.terms
  int64_t offset;
};

enum class StepKind : uint8_t { launch, loop_begin, loop_end, copy, zero, all_reduce, send, receive };

struct Step {
  StepKind kind;
  int32_t index; // in the array of its kind; loop_begin and loop_end share one
};

struct LaunchStep {
  KernelFunction function;
  const int64_t *sizes; // in the artifact
  int64_t items, piece;
  int32_t first_ref, num_refs; // in Program.refs
};

struct LoopStep {
  int64_t begin, end;     // static loops
  int64_t parts, part;    // run-time loops
  int32_t depth;          // which counter it drives
  int32_t first, past;    // steps: the body's first, and the one after loop_end
  bool reverse, run_time; // run_time: the trip count is the entry's count argument
};

struct MoveStep {
  int32_t from, to; // refs; zero has no `from`
  int64_t bytes;
};

struct CommStep {
  int32_t ref;
  fb::DType dtype; // all-reduce
  int64_t count;   // elements of an all-reduce, bytes of a message
  int32_t axis, peer, tag;
};

struct Program {
  std::vector<Step> steps;
  std::vector<const fb::Instruction *> sources; // by step; null for loop_end
  std::vector<LaunchStep> launches;
  std::vector<LoopStep> loops;
  std::vector<MoveStep> moves;
  std::vector<CommStep> comms;
  std::vector<FlatRef> refs;
  std::vector<StrideTerm> terms;
  int32_t count_argument = -1;
  int32_t max_buffers = 0;
  int64_t scratch_bytes = 0; // a thread's, over all launched kernels
};

// `entry` of a checked artifact whose kernels are loaded in `kernels`.
Program Flatten(const fb::Artifact &artifact, const fb::Entry &entry, const KernelLibrary &kernels);

} // namespace weft
