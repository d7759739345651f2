#include "tests/fuzz/artifact_walk.h"
#include "tests/fuzz/fuzz_target.h"

#include <vector>

namespace weft::fuzz {
namespace {

constexpr int kMostSteps = 2000;
constexpr int64_t kTripCount = 4; // of run-time loops, times their parts

struct Walker {
  const fb::Artifact &artifact;
  const fb::Stage &stage;
  const fb::Entry &entry;
  int64_t trip_count = kTripCount;
  std::vector<int64_t> iterations = {}; // of the loops around the instruction
  int steps = 0;

  void Touch(const fb::Ref &ref, bool written) {
    int64_t space = 0, offset = ref.offset();
    if (ref.space() == fb::Space::arena) {
      space = entry.arena_bytes();
    } else if (ref.space() == fb::Space::persistent) {
      space = stage.persistent_bytes();
    } else {
      const fb::Argument &argument = *entry.arguments()->Get(ref.index());
      space = argument.bytes() * (argument.dynamic() ? trip_count : 1);
      Require(!written || argument.kind() == fb::ArgumentKind::output, "inputs are not written");
    }
    if (ref.strides())
      for (const fb::LoopStride *stride : *ref.strides())
        offset += stride->stride() * iterations.at(stride->depth());
    Require(ref.extent() >= 0 && offset >= 0 && ref.extent() <= space && offset <= space - ref.extent(),
            "a reference stays within its space");
  }

  void Run(const fb::Loop &loop) {
    int64_t begin = loop.begin(), end = loop.end();
    if (loop.count_argument() >= 0) {
      if (trip_count % loop.parts() != 0) return; // such a run is refused
      begin = trip_count / loop.parts() * loop.part(), end = begin + trip_count / loop.parts();
    }
    Require(iterations.size() < kMaxLoopDepth, "loops are not nested deeper than the executor's counters");
    iterations.push_back(0);
    // Ends and beginning: what lies between them cannot go further.
    for (int64_t i = begin; i < end && steps < kMostSteps; ++i) {
      if (i == begin + 2 && i < end - 2) i = end - 2;
      iterations.back() = loop.reverse() ? begin + (end - 1 - i) : i;
      Run(loop.body());
    }
    iterations.pop_back();
  }

  void Run(const flatbuffers::Vector<flatbuffers::Offset<fb::Instruction>> *body) {
    if (!body) return;
    for (const fb::Instruction *instruction : *body) {
      if (++steps > kMostSteps) return;
      if (const fb::Loop *loop = instruction->op_as_Loop()) Run(*loop);
      if (const fb::Zero *zero = instruction->op_as_Zero()) Touch(*zero->to(), true);
      if (const fb::AllReduce *reduce = instruction->op_as_AllReduce()) Touch(*reduce->buffer(), true);
      if (const fb::Send *send = instruction->op_as_Send()) Touch(*send->buffer(), false);
      if (const fb::Receive *receive = instruction->op_as_Receive()) Touch(*receive->buffer(), true);
      if (const fb::Copy *copy = instruction->op_as_Copy()) {
        Touch(*copy->from(), false), Touch(*copy->to(), true);
        Require(copy->from()->extent() == copy->to()->extent(), "a copy has one size");
      }
      if (const fb::Launch *launch = instruction->op_as_Launch()) {
        const fb::Kernel &kernel = *artifact.kernels()->Get(launch->kernel());
        int32_t buffers = launch->buffers() ? static_cast<int32_t>(launch->buffers()->size()) : 0;
        Require(kernel.num_buffers() == buffers, "a launch has its kernel's number of buffers");
        for (int32_t i = 0; i < buffers; ++i) Touch(*launch->buffers()->Get(i), false);
      }
    }
  }
};

} // namespace

void WalkArtifact(const fb::Artifact &artifact) {
  for (const fb::Stage *stage : *artifact.stages())
    if (stage->entries())
      for (const fb::Entry *entry : *stage->entries()) Walker{artifact, *stage, *entry}.Run(entry->body());
}

} // namespace weft::fuzz
