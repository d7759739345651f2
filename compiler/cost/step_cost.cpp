#include "compiler/cost/step_cost.h"
#include "dialects/kernel/kernel.h"
#include "passes/codegen/cpu/emit.h"
#include "runtime/profile/cost_model.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
namespace weft {
namespace {

// Iterations of a micro-batch's loop that are followed; the others take as long as the last of them.
constexpr int64_t kMostFollowed = 2;

// The part of attention's pairs that a kernel goes through, in whole blocks of keys.
double keysSeen(kernel::AttentionOp op, ArrayRef<int64_t> sizes) {
  const int64_t queries = sizes[1], keys = sizes[2];
  const int64_t block = std::max<int64_t>(op.getReduction()->getKeyBlock(), 1);
  if (queries != keys || keys == 0) return 1;
  double seen = 0;
  for (int64_t last = 1; last <= keys; ++last) seen += double(llvm::divideCeil(last, block) * block);
  return std::min(1.0, seen / double(keys) / double(queries));
}

class EntryModel {
public:
  EntryModel(ModuleOp module, const Calibration &machine, int64_t microBatches)
      : model(machine, machine.threads), microBatches(microBatches) {
    for (auto k : module.getOps<program::KernelOp>()) kernels[k.getSymName()] = cpu::kernelOpOf(k);
  }

  double call(program::EntryOp entry) {
    flatten(entry.getBody().front(), steps);
    run(steps); // leaves the caches as a call does
    return run(steps);
  }

private:
  struct Ref {
    int64_t space, offset, bytes;
    SmallVector<std::pair<int64_t, int64_t>> strides; // depth of the loop, bytes an iteration
  };
  struct Step {
    enum { launch, move, loop } kind;
    SmallVector<Ref> refs;
    LaunchWork work;
    int64_t items = 0;
    bool reads = false; // a move: a copy
    int64_t begin = 0, end = 0;
    bool reverse = false, counted = false;
    std::vector<Step> body;
  };

  Ref refOf(Value v) {
    auto view = v.getDefiningOp<program::ViewOp>();
    auto buffer = (view ? view.getSource() : v).getDefiningOp<program::BufferOp>();
    const bool argument = buffer.getSpace() == program::Space::argument;
    Ref ref{argument ? 2 + int64_t(buffer.getIndex()) : int64_t(buffer.getSpace()),
            int64_t(buffer.getOffset()),
            int64_t(buffer.getBytes()),
            {}};
    if (!view) return ref;
    ref.offset += int64_t(view.getOffset());
    ref.bytes = int64_t(view.getBytes());
    for (auto [depth, stride] : llvm::enumerate(view.getStrides()))
      if (stride) ref.strides.push_back({depth, stride});
    return ref;
  }

  void flatten(Block &block, std::vector<Step> &out) {
    for (Operation &op : block) {
      Step step;
      if (auto launch = dyn_cast<program::LaunchOp>(op)) {
        step.kind = Step::launch;
        for (Value v : launch.getBuffers()) step.refs.push_back(refOf(v));
        step.work = launchWork(launch, kernels.lookup(launch.getKernel()));
        step.items = launch.getItems();
      } else if (auto copy = dyn_cast<program::CopyOp>(op)) {
        step.kind = Step::move;
        step.refs = {refOf(copy.getFrom()), refOf(copy.getTo())};
        step.reads = true;
      } else if (auto zero = dyn_cast<program::ZeroOp>(op)) {
        step.kind = Step::move;
        step.refs = {refOf(zero.getBuffer())};
      } else if (auto loop = dyn_cast<program::LoopOp>(op)) {
        step.kind = Step::loop;
        step.begin = loop.getBegin();
        step.end = loop.getEnd();
        step.reverse = loop.getReverse();
        step.counted = int64_t(loop.getCountArgument()) >= 0;
        if (step.counted) {
          const int64_t share = microBatches / std::max<int64_t>(loop.getParts(), 1);
          step.begin = share * int64_t(loop.getPart());
          step.end = step.begin + share;
        }
        flatten(loop.getBody().front(), step.body);
      } else {
        continue; // buffers, views, collectives
      }
      out.push_back(std::move(step));
    }
  }

  double run(const std::vector<Step> &list) {
    double ns = 0;
    for (const Step &step : list) {
      if (step.kind == Step::loop) {
        ns += runLoop(step);
        continue;
      }
      for (const Ref &ref : step.refs) {
        int64_t at = ref.offset;
        for (auto [depth, stride] : ref.strides) at += counters[depth] * stride;
        model.Touch(ref.space, at, ref.bytes);
      }
      ns += step.kind == Step::launch ? model.Launch(step.work, step.items)
                                      : model.Move(step.refs[0].bytes, step.reads);
    }
    return ns;
  }

  double runLoop(const Step &loop) {
    const int64_t count = std::max<int64_t>(loop.end - loop.begin, 0),
                  followed = loop.counted ? std::min(count, kMostFollowed) : count;
    double ns = 0, last = 0;
    counters.push_back(0);
    for (int64_t i = 0; i < followed; ++i) {
      counters.back() = loop.reverse ? loop.end - 1 - i : loop.begin + i;
      ns += last = run(loop.body);
    }
    counters.pop_back();
    return ns + last * double(count - followed);
  }

  StepModel model;
  const int64_t microBatches;
  llvm::StringMap<Operation *> kernels;
  std::vector<Step> steps;
  SmallVector<int64_t> counters; // of the loops around, outermost first
};

} // namespace

LaunchWork launchWork(program::LaunchOp launch, Operation *op) {
  LaunchWork work;
  double part = 1;
  auto attention = dyn_cast<kernel::AttentionOp>(op);
  if (attention) part = keysSeen(attention, launch.getSizes());
  if (attention || isa<kernel::MatmulOp>(op)) {
    work.unit = op->getAttrOfType<kernel::ReductionAttr>("reduction").getUnit().str();
    work.dot_flops = part * double(launch.getFlops());
  }
  work.vector_ops = part * double(launch.getVectorOps());
  work.bytes = double(launch.getBytes());
  return work;
}

double predictEntryNs(ModuleOp module, StringRef entry, const Calibration &machine, int64_t microBatches) {
  for (auto e : module.getOps<program::EntryOp>())
    if (e.getSymName() == entry) return EntryModel(module, machine, microBatches).call(e);
  return 0;
}

} // namespace weft
