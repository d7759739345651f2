#include "compiler/check/kernel_runner.h"
#include "compiler/bench/launch_data.h"
#include "compiler/check/tensor_bytes.h"
#include "compiler/kernels/kernel_source.h"
#include "dialects/kernel/interpret.h"
#include "dialects/kernel/region_errors.h"
#include "passes/codegen/cpu/emit.h"
#include "llvm/Support/xxhash.h"
#include <cfloat>
#include <cmath>
#include <xmmintrin.h>

using namespace mlir;
using weft::graph::Element;
using weft::graph::HostTensor;
namespace weft {
namespace {

std::string contentOf(program::KernelOp kernel) {
  std::string text;
  llvm::raw_string_ostream out(text);
  for (Operation &op : kernel.getBody().front()) op.print(out, OpPrintingFlags().useLocalScope());
  return text;
}

// Bytes of an operand or a result, of which accesses take parts.
struct Tensor {
  Value value;
  Element element;
  std::string bytes;
  bool output = false, accumulates = false, hasInit = false;
};

// A launch's memory: every tensor whole, in a block of its own that ends before a page that may not be
// touched.
struct LaunchMemory {
  launch_data::Launch launch;
  std::vector<Tensor> tensors;
  std::vector<int64_t> extents; // bytes, by access

  // With what results hold at first: `flipped` in every bit, but for sums.
  bool run(KernelFunction function, bool flipped, launch_data::Memory &memory) {
    if (!memory.take(launch, 1)) return false;
    for (auto [i, t] : llvm::enumerate(tensors)) {
      char *at = base(memory, i);
      memcpy(at, t.bytes.data(), t.bytes.size());
      if (flipped && t.output && !t.accumulates)
        for (size_t b = 0; b < t.bytes.size(); ++b) at[b] = ~at[b];
    }
    unsigned mode = _mm_getcsr();
    launch_data::prepare_thread();
    if (launch.items > 0)
      function(memory.buffers() + tensors.size(), launch.sizes.data(), 0, launch.items, memory.scratch(0));
    _mm_setcsr(mode);
    return true;
  }
  // The first buffers are the tensors themselves.
  static char *base(launch_data::Memory &memory, size_t tensor) { return memory.buffers()[tensor]; }
  StringRef bytes(launch_data::Memory &memory, size_t tensor) const {
    return {base(memory, tensor), tensors[tensor].bytes.size()};
  }
};

std::string number(double v) {
  char text[40];
  snprintf(text, sizeof text, "%.9g", v);
  return text;
}

} // namespace

uint64_t digestOf(StringRef bytes, Element element, const std::vector<bool> &written) {
  std::string copy = bytes.str();
  int64_t size = bytesOf(element);
  for (int64_t i = 0, n = int64_t(bytes.size()) / size; i < n; ++i) {
    char *at = copy.data() + i * size;
    if (!written.empty() && !written[i]) {
      memset(at, 0, size);
      continue;
    }
    bool nan = false;
    if (element == Element::f32) {
      float v;
      memcpy(&v, at, 4);
      nan = std::isnan(v);
    } else if (element == Element::f64) {
      double v;
      memcpy(&v, at, 8);
      nan = std::isnan(v);
    } else if (element == Element::bf16) {
      uint16_t half;
      memcpy(&half, at, 2);
      nan = (half & 0x7fff) > 0x7f80;
    }
    if (nan) memset(at, 0xff, size);
  }
  return llvm::xxh3_64bits(copy);
}

llvm::StringMap<std::string> kernelsByContent(ModuleOp lowered) {
  llvm::StringMap<std::string> out;
  for (auto k : lowered.getOps<program::KernelOp>()) out[contentOf(k)] = k.getSymName().str();
  return out;
}

std::string kernelHint(const std::string &kernel) {
  return "hint: compiled without --check-phases, weft inspect F.weft --source " + kernel +
         " shows its code, and --dump-kernel " + kernel + " takes it out to be run alone";
}

KernelRunner::KernelRunner(const llvm::StringMap<std::string> &byContent, ModuleOp kernels,
                           const LoadedArtifact &artifact,
                           std::vector<std::shared_ptr<const KernelLibrary>> levels,
                           std::function<void(const std::string &)> says)
    : byContent(byContent), kernels(kernels), artifact(artifact), levels(std::move(levels)),
      says(std::move(says)), scratch(ModuleOp::create(UnknownLoc::get(kernels.getContext()))),
      outliner(*scratch) {
  for (auto &level : this->levels) found.levels.push_back(level->level());
}

std::string KernelRunner::title(Operation *op, const Planned &p) const {
  const fb::Kernel &kernel = *artifact->kernels()->Get(p.kernel);
  std::string text = "kernel " + kernel.name()->str() + ", launch " + std::to_string(records.size()) +
                     " of @" + entry + ", at " + originsText(op->getLoc(), 3);
  if (kernel.substituted() && kernel.substituted()->size())
    text += "\n  substituted: " + kernel.substituted()->str();
  return text;
}

const KernelRunner::Planned *KernelRunner::plan(Operation *op) {
  auto [it, fresh] = planned.try_emplace(op);
  Planned &p = it->second;
  if (!fresh) return &p;
  KernelOutliner::Call call = outliner.outline(op);
  auto name = byContent.find(contentOf(call.kernel));
  if (name == byContent.end()) {
    problem = "no kernel of the program is " + op->getName().getStringRef().str() + " at " +
              originsText(op->getLoc(), 3) + ": phase `lower` outlined something else";
    return nullptr;
  }
  for (auto [i, kernel] : llvm::enumerate(*artifact->kernels()))
    if (kernel->name()->string_view() == name->second) p.kernel = int(i);
  program::KernelOp own = findKernel(kernels, name->second);
  if (p.kernel < 0 || !own) {
    problem = "the artifact has no kernel " + name->second;
    return nullptr;
  }
  p.sizes = call.sizes;
  // A substituted schedule has items of its own.
  p.items = kernel::numWorkItems(cpu::kernelOpOf(own), kernel::sizesOf(op));
  return &p;
}

bool KernelRunner::compare(Operation *op, const Planned &p, int64_t result, const HostTensor &got,
                           const HostTensor &want, const HostTensor &bounds, const std::vector<bool> &written,
                           bool mustWrite) {
  int64_t first = -1, wrong = 0, most = -1;
  double worst = 0, largest = 0;
  bool unwritten = false;
  for (size_t i = 0; i < got.values.size(); ++i) {
    double bound = bounds.values[i];
    if (std::isnan(bound)) continue;                            // the kernel leaves what was there
    if (!got.isFloat() && std::isnan(want.values[i])) continue; // nobody has written this integer yet
    ++found.results;
    if (mustWrite && !written[i]) {
      if (!unwritten) first = i;
      unwritten = true;
      ++wrong;
      continue;
    }
    double by = distance(want.values[i], got.values[i]);
    bool outOfRange = std::isfinite(want.values[i]) && std::fabs(want.values[i]) > FLT_MAX;
    if (std::isinf(bound) || outOfRange) {
      ++found.unbounded;
      // Finite where it is computed exactly, and none in f32: that is worth being told.
      if (!std::isfinite(got.values[i]) && std::isfinite(want.values[i]) && got.isFloat()) {
        if (first < 0) first = i;
        ++wrong;
      }
      continue;
    }
    double tolerated = bound + (got.isFloat() ? kernel::kFlushed : 0);
    if (by <= tolerated) {
      if (by > 0 && by / tolerated > largest) largest = by / tolerated;
      continue;
    }
    if (first < 0) first = i;
    ++wrong;
    if (!(by / tolerated <= worst)) worst = by / tolerated, most = i;
  }
  KernelCheck::Worst &soFar = found.worst[artifact->kernels()->Get(p.kernel)->family()->str()];
  if (largest > soFar.error)
    soFar = {largest,
             artifact->kernels()->Get(p.kernel)->name()->str() + " at " + originsText(op->getLoc(), 1)};
  if (first < 0) return true;
  int64_t at = unwritten || most < 0 ? first : most;
  std::string place = "result " + std::to_string(result) + " at " + indexText(got.shape, at);
  problem = title(op, p) + "\n  ";
  if (unwritten)
    problem += place + " is not written, or is made of what was in its memory before";
  else if (std::isinf(bounds.values[at]) || std::fabs(want.values[at]) > FLT_MAX)
    problem += place + " is " + number(got.values[at]) + " when it is " + number(want.values[at]) +
               " computed in f64: a value on the way leaves f32's range";
  else {
    char numbers[80];
    snprintf(numbers, sizeof numbers, " (differs by %.3g when %.3g is tolerated)",
             distance(got.values[at], want.values[at]), bounds.values[at]);
    problem +=
        place + " is " + number(got.values[at]) + " when it should be " + number(want.values[at]) + numbers;
  }
  problem += "\n  " + std::to_string(wrong) + " of " + std::to_string(got.values.size()) +
             " elements are wrong\n" + kernelHint(artifact->kernels()->Get(p.kernel)->name()->str());
  return false;
}

FailureOr<bool> KernelRunner::runInstead(Operation *op, ArrayRef<const HostTensor *> operands,
                                         MutableArrayRef<HostTensor> results) {
  if (!kernel::isKernel(op)) return false;
  const Planned *p = plan(op);
  if (!p) return failure();
  const fb::Kernel &kernel = *artifact->kernels()->Get(p->kernel);
  says(kernel.name()->str());
  kernel::SizeLayout layout(op);

  LaunchMemory memory;
  memory.launch.sizes.assign(p->sizes.begin(), p->sizes.end());
  memory.launch.items = p->items;
  memory.launch.scratch_bytes = kernel.scratch_bytes();
  SmallVector<Value> initOf(op->getNumResults());
  bool accumulates = isa<kernel::MatmulOp>(op);
  if (auto loops = dyn_cast<kernel::LoopsOp>(op)) {
    accumulates = loops.getReduceDims() > 0;
    for (auto [init, r] : llvm::zip(loops.getInits(), loops.getInitResult())) initOf[r] = init;
  }
  if (auto matmul = dyn_cast<kernel::MatmulOp>(op)) initOf[0] = matmul.getInit();
  llvm::DenseMap<Value, const HostTensor *> tensorOf;
  for (auto [v, t] : llvm::zip(op->getOperands(), operands)) tensorOf[v] = t;
  auto add = [&](Value v, const HostTensor &t, bool output) {
    Tensor tensor{v, t.element, toBytes(t), output};
    memory.launch.blocks.push_back(std::max<int64_t>(1, tensor.bytes.size()));
    launch_data::Buffer whole{};
    whole.block = int(memory.tensors.size());
    memory.launch.buffers.push_back(whole);
    memory.tensors.push_back(std::move(tensor));
  };
  llvm::DenseMap<Value, int> placeOf;
  for (int64_t i = 0; i < layout.numInputs; ++i) {
    Value v = kernel::accessedValue(op, i);
    if (placeOf.try_emplace(v, memory.tensors.size()).second) add(v, *tensorOf.at(v), false);
  }
  size_t firstResult = memory.tensors.size();
  for (auto [r, result] : llvm::enumerate(op->getResults())) {
    placeOf[result] = memory.tensors.size();
    add(result, initOf[r] ? *tensorOf.at(initOf[r]) : results[r], true);
    memory.tensors.back().hasInit = bool(initOf[r]);
    memory.tensors.back().accumulates = accumulates && initOf[r];
  }
  for (auto [i, access] : llvm::enumerate(layout.accesses)) {
    Value v = kernel::accessedValue(op, i);
    AccessExtent extent = extentOf(access, kernel::accessSpace(op, i));
    launch_data::Buffer buffer{};
    buffer.block = placeOf.lookup(v);
    int64_t size = bytesOf(memory.tensors[buffer.block].element);
    buffer.offset = extent.offset * size;
    memory.extents.push_back(extent.elements * size);
    memory.launch.buffers.push_back(buffer);
  }

  launch_data::Memory once, again;
  KernelFunction function = levels.front()->function(p->kernel);
  if (!memory.run(function, false, once) || !memory.run(function, true, again)) {
    problem = "there is not enough memory to run " + title(op, *p);
    return failure();
  }
  SmallVector<HostTensor> want, bounds;
  for (HostTensor &r : results) {
    want.push_back(HostTensor::zeros(r.shape, r.element));
    bounds.push_back(HostTensor::zeros(r.shape, r.element));
  }
  if (failed(kernel::evaluate(op, operands, want, bounds))) return failure();
  std::vector<std::vector<bool>> written(results.size());
  for (size_t r = 0; r < results.size(); ++r) {
    const Tensor &t = memory.tensors[firstResult + r];
    StringRef a = memory.bytes(once, firstResult + r), b = memory.bytes(again, firstResult + r);
    fromBytes(a, results[r]);
    int64_t size = bytesOf(t.element);
    written[r].resize(results[r].values.size());
    for (size_t i = 0; i < written[r].size(); ++i)
      written[r][i] = t.accumulates || !memcmp(a.data() + i * size, b.data() + i * size, size);
    if (!compare(op, *p, r, results[r], want[r], bounds[r], written[r], !t.hasInit)) return failure();
  }
  // Other levels: the same bits.
  for (size_t l = 1; l < levels.size(); ++l) {
    launch_data::Memory other;
    if (!memory.run(levels[l]->function(p->kernel), false, other)) continue;
    for (size_t r = 0; r < results.size(); ++r) {
      Element e = memory.tensors[firstResult + r].element;
      if (digestOf(memory.bytes(once, firstResult + r), e, written[r]) ==
          digestOf(memory.bytes(other, firstResult + r), e, written[r]))
        continue;
      problem = title(op, *p) + "\n  result " + std::to_string(r) + " has other bits on " +
                levels[l]->level() + " than on " + levels[0]->level();
      return failure();
    }
  }

  LaunchRecord record{op, p->kernel, p->sizes, {}, {}};
  for (auto [i, access] : llvm::enumerate(layout.accesses)) {
    const launch_data::Buffer &b = memory.launch.buffers[memory.tensors.size() + i];
    const Tensor &t = memory.tensors[b.block];
    StringRef bytes(LaunchMemory::base(once, b.block) + b.offset, memory.extents[i]);
    if (int64_t(i) < layout.numInputs) {
      record.inputs.push_back(digestOf(bytes, t.element));
      continue;
    }
    LaunchRecord::Output out;
    out.element = t.element;
    const std::vector<bool> &all = written[b.block - firstResult];
    size_t first = b.offset / bytesOf(t.element), count = memory.extents[i] / bytesOf(t.element);
    std::vector<bool> mask(all.begin() + first, all.begin() + first + count);
    if (llvm::is_contained(mask, false)) out.written = std::move(mask);
    out.digest = digestOf(bytes, t.element, out.written);
    record.outputs.push_back(std::move(out));
  }
  records.push_back(std::move(record));
  ++found.launches;
  found.used.insert(p->kernel);
  return true;
}

} // namespace weft
