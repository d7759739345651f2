#include "compiler/kernels/kernel_launch.h"
#include "compiler/kernels/kernel_ir.h"
#include "dialects/kernel/kernel.h"
#include <map>

using namespace mlir;
using namespace launch_data;
namespace weft {
namespace {

// Where a reference points, but for its offset: references of equal keys can be compared.
using Place = std::tuple<int, int, std::vector<std::pair<int, int64_t>>>;
Place placeOf(const fb::RefT &ref) {
  std::vector<std::pair<int, int64_t>> strides;
  for (const fb::LoopStride &s : ref.strides) strides.push_back({s.depth(), s.stride()});
  return {int(ref.space), ref.index, strides};
}

// Blocks of memory: what overlaps is together. A buffer without a reference gets none.
void placeBuffers(ArrayRef<const fb::RefT *> refs, Launch &to) {
  std::map<Place, std::vector<size_t>> groups;
  for (auto [i, ref] : llvm::enumerate(refs))
    if (ref) groups[placeOf(*ref)].push_back(i);
  for (auto &[place, members] : groups) {
    llvm::stable_sort(members, [&](size_t a, size_t b) { return refs[a]->offset < refs[b]->offset; });
    int64_t start = 0, end = INT64_MIN;
    for (size_t i : members) {
      const fb::RefT &ref = *refs[i];
      if (ref.offset >= end) {
        to.blocks.push_back(0);
        start = ref.offset;
      }
      end = std::max(end, ref.offset + ref.extent);
      to.blocks.back() = end - start;
      to.buffers[i].block = int(to.blocks.size()) - 1;
      to.buffers[i].offset = ref.offset - start;
    }
  }
}

void fillIndices(Operation *op, const kernel::SizeLayout &layout, Launch &to) {
  for (auto [i, access] : llvm::enumerate(layout.accesses)) {
    if (access.getIndex() < 0) continue;
    Buffer &index = to.buffers[access.getIndex()];
    int64_t limit = to.sizes[layout.indexLimit(i)];
    index.limit = index.period < 0 ? std::min(index.limit, limit) : limit;
    index.period = -1; // known
    // Rows that are written through an index are different ones: which of two comes last is nobody's to say.
    auto loops = dyn_cast<kernel::LoopsOp>(op);
    if (int64_t(i) >= layout.numInputs && loops && loops.getReduceDims() == 0) index.fill = ascending;
  }
  for (Buffer &b : to.buffers) b.period = std::max<int64_t>(b.period, 0);
}

} // namespace

static Launch describe(const fb::LaunchT &from, Operation *op, int64_t scratchBytes) {
  Launch to;
  to.sizes = from.sizes;
  to.items = from.items;
  to.piece = std::max<int64_t>(from.piece, 1);
  to.scratch_bytes = scratchBytes;
  to.flops = double(from.flops);
  to.bytes = double(from.bytes);
  to.times = 1;
  kernel::SizeLayout layout(op);
  bool loops = isa<kernel::LoopsOp>(op);
  static constexpr launch_data::Type types[] = {f32, f64, i32, i64, boolean, bf16};
  for (auto [i, buffer] : llvm::enumerate(kernelBuffers(op))) {
    Buffer b{};
    b.type = types[int(buffer->dtype)];
    b.output = buffer->use != fb::BufferUse::input;
    b.input = buffer->use != fb::BufferUse::output;
    b.bytes = from.buffers[i]->extent;
    bool isFloat = b.type == f32 || b.type == f64 || b.type == bf16;
    b.fill = !isFloat ? integers : loops ? positive : floats;
    b.limit = std::max<int64_t>(2, to.sizes.empty() ? 2 : to.sizes[std::max<int64_t>(layout.numDims, 1) - 1]);
    to.buffers.push_back(b);
  }
  fillIndices(op, layout, to);
  if (auto matmul = dyn_cast<kernel::MatmulOp>(op); matmul && matmul.getGroups()) {
    Buffer &groups = to.buffers[matmul.groupsNumber()];
    groups.fill = ascending;
    groups.limit = to.sizes[matmul.getGrouped() == kernel::GroupedBy::m ? 1 : 3];
  }
  if (isa<kernel::AttentionOp>(op)) {
    to.buffers[3].fill = zeros;
    to.buffers[4].fill = ends;
    to.buffers[4].limit = to.sizes[2];
    to.buffers[4].period = std::max<int64_t>(to.sizes[1], 1);
  }
  if (isa<kernel::SortOp>(op)) to.buffers[0].limit = to.sizes[2];
  return to;
}

Launch planLaunch(const fb::LaunchT &from, Operation *op, int64_t scratchBytes) {
  Launch to = describe(from, op, scratchBytes);
  SmallVector<const fb::RefT *> refs;
  for (auto &ref : from.buffers) refs.push_back(ref.get());
  placeBuffers(refs, to);
  return to;
}

// The buffers of a sequence in blocks, the largest first; numbers that it has not made before have block -1.
static Launch memoryOf(ArrayRef<PlannedLaunch> sequence, ArrayRef<Launch> launches) {
  Launch memory{};
  SmallVector<const fb::RefT *> refs;
  std::vector<const fb::RefT *> made; // numbers, where nothing else has been put since
  auto overlap = [](const fb::RefT &a, const fb::RefT &b) {
    return placeOf(a) == placeOf(b) && a.offset < b.offset + b.extent && b.offset < a.offset + a.extent;
  };
  for (auto [planned, launch] : llvm::zip(sequence, launches)) {
    auto isNumber = [](const Buffer &b) { return b.type != f32 && b.type != f64 && b.type != bf16; };
    for (auto [ref, buffer] : llvm::zip(planned.launch->buffers, launch.buffers)) {
      const bool known = llvm::any_of(
          made, [&, &ref = ref](const fb::RefT *m) { return m->offset == ref->offset && overlap(*m, *ref); });
      const bool alone = isNumber(buffer) && buffer.input && !known;
      refs.push_back(alone ? nullptr : ref.get());
      memory.buffers.push_back(buffer);
      if (alone) memory.buffers.back().block = -1, memory.buffers.back().offset = 0;
    }
    for (auto [ref, buffer] : llvm::zip(planned.launch->buffers, launch.buffers)) {
      if (!buffer.output) continue;
      llvm::erase_if(made, [&, &ref = ref](const fb::RefT *m) { return overlap(*m, *ref); });
      if (isNumber(buffer) && !buffer.input) made.push_back(ref.get());
    }
  }
  placeBuffers(refs, memory);
  SmallVector<int> order;
  for (size_t i = 0; i < memory.blocks.size(); ++i) order.push_back(int(i));
  llvm::stable_sort(order, [&](int a, int b) { return memory.blocks[a] > memory.blocks[b]; });
  std::vector<int> rank(order.size());
  for (auto [r, block] : llvm::enumerate(order)) rank[block] = int(r);
  for (Buffer &b : memory.buffers)
    if (b.block >= 0) b.block = rank[b.block];
  llvm::sort(memory.blocks, std::greater<>());
  return memory;
}

PlannedSequences planSequences(ArrayRef<std::vector<PlannedLaunch>> sequences) {
  PlannedSequences out;
  Launch &all = out.memory;
  std::vector<Launch> memories;
  for (const auto &sequence : sequences) {
    out.launches.emplace_back();
    for (const PlannedLaunch &l : sequence) {
      out.launches.back().push_back(describe(*l.launch, l.kernelOp, l.scratchBytes));
      all.scratch_bytes = std::max(all.scratch_bytes, l.scratchBytes);
    }
    memories.push_back(memoryOf(sequence, out.launches.back()));
    const std::vector<int64_t> &blocks = memories.back().blocks;
    all.blocks.resize(std::max(all.blocks.size(), blocks.size()));
    for (auto [i, bytes] : llvm::enumerate(blocks)) all.blocks[i] = std::max(all.blocks[i], bytes);
  }
  for (const Launch &memory : memories)
    for (Buffer b : memory.buffers) {
      if (b.block < 0) {
        b.block = int(all.blocks.size());
        all.blocks.push_back(b.bytes);
      }
      all.buffers.push_back(b);
    }
  return out;
}

} // namespace weft
