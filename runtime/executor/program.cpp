#include "runtime/executor/program.h"

#include <algorithm>

namespace weft {
namespace {

struct Flattener {
  const fb::Artifact &artifact;
  const KernelLibrary &kernels;
  Program program;

  int32_t Add(const fb::Ref &ref) {
    FlatRef flat{};
    flat.base = ref.space() == fb::Space::arena        ? kArenaBase
                : ref.space() == fb::Space::persistent ? kPersistentBase
                                                       : kArgumentBase + ref.index();
    flat.offset = ref.offset();
    flat.first_term = static_cast<int32_t>(program.terms.size());
    if (ref.strides())
      for (const fb::LoopStride *stride : *ref.strides())
        if (stride->stride() != 0) program.terms.push_back({stride->depth(), stride->stride()});
    flat.num_terms = static_cast<int32_t>(program.terms.size()) - flat.first_term;
    program.refs.push_back(flat);
    return static_cast<int32_t>(program.refs.size()) - 1;
  }

  template <typename T> int32_t Push(std::vector<T> &list, const T &item) {
    list.push_back(item);
    return static_cast<int32_t>(list.size()) - 1;
  }

  void Emit(StepKind kind, int32_t index, const fb::Instruction *source) {
    program.steps.push_back({kind, index});
    program.sources.push_back(source);
  }

  void AddLaunch(const fb::Instruction &instruction) {
    const fb::Launch &launch = *instruction.op_as_Launch();
    if (launch.items() == 0) return;
    const fb::Kernel &kernel = *artifact.kernels()->Get(launch.kernel());
    LaunchStep step{};
    step.function = kernels.function(launch.kernel());
    step.sizes = launch.sizes() ? launch.sizes()->data() : nullptr;
    step.items = launch.items();
    step.piece = launch.piece();
    step.num_refs = launch.buffers() ? static_cast<int32_t>(launch.buffers()->size()) : 0;
    step.first_ref = static_cast<int32_t>(program.refs.size());
    for (int32_t i = 0; i < step.num_refs; ++i) Add(*launch.buffers()->Get(i));
    program.max_buffers = std::max(program.max_buffers, step.num_refs);
    program.scratch_bytes = std::max(program.scratch_bytes, kernel.scratch_bytes());
    Emit(StepKind::launch, Push(program.launches, step), &instruction);
  }

  void AddLoop(const fb::Instruction &instruction, int32_t depth) {
    const fb::Loop &loop = *instruction.op_as_Loop();
    LoopStep step{loop.begin(),
                  loop.end(),
                  loop.parts(),
                  loop.part(),
                  depth,
                  0,
                  0,
                  loop.reverse(),
                  loop.count_argument() >= 0};
    if (step.run_time) program.count_argument = loop.count_argument();
    int32_t index = Push(program.loops, step);
    Emit(StepKind::loop_begin, index, &instruction);
    program.loops[index].first = static_cast<int32_t>(program.steps.size());
    AddBody(loop.body(), depth + 1);
    Emit(StepKind::loop_end, index, nullptr);
    program.loops[index].past = static_cast<int32_t>(program.steps.size());
  }

  void AddBody(const flatbuffers::Vector<flatbuffers::Offset<fb::Instruction>> *body, int32_t depth) {
    if (!body) return;
    for (const fb::Instruction *instruction : *body) {
      switch (instruction->op_type()) {
      case fb::Op::Launch:
        AddLaunch(*instruction);
        break;
      case fb::Op::Loop:
        AddLoop(*instruction, depth);
        break;
      case fb::Op::Copy: {
        const fb::Copy &copy = *instruction->op_as_Copy();
        MoveStep step{Add(*copy.from()), Add(*copy.to()), copy.to()->extent()};
        Emit(StepKind::copy, Push(program.moves, step), instruction);
        break;
      }
      case fb::Op::Zero: {
        const fb::Ref &to = *instruction->op_as_Zero()->to();
        Emit(StepKind::zero, Push(program.moves, MoveStep{-1, Add(to), to.extent()}), instruction);
        break;
      }
      case fb::Op::AllReduce: {
        const fb::AllReduce &reduce = *instruction->op_as_AllReduce();
        CommStep step{Add(*reduce.buffer()), reduce.dtype(), reduce.elements(), reduce.axis(), 0, 0};
        Emit(StepKind::all_reduce, Push(program.comms, step), instruction);
        break;
      }
      case fb::Op::Send: {
        const fb::Send &send = *instruction->op_as_Send();
        CommStep step{Add(*send.buffer()), {}, send.buffer()->extent(), send.axis(), send.peer(), send.tag()};
        Emit(StepKind::send, Push(program.comms, step), instruction);
        break;
      }
      case fb::Op::Receive: {
        const fb::Receive &receive = *instruction->op_as_Receive();
        CommStep step{Add(*receive.buffer()), {},           receive.buffer()->extent(), receive.axis(),
                      receive.peer(),         receive.tag()};
        Emit(StepKind::receive, Push(program.comms, step), instruction);
        break;
      }
      case fb::Op::NONE:
        break;
      }
    }
  }
};

} // namespace

Program Flatten(const fb::Artifact &artifact, const fb::Entry &entry, const KernelLibrary &kernels) {
  Flattener flattener{artifact, kernels, {}};
  flattener.AddBody(entry.body(), 0);
  return std::move(flattener.program);
}

} // namespace weft
