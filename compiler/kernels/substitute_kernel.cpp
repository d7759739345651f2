#include "compiler/kernels/substitute_kernel.h"
#include "compiler/kernels/compare_kernels.h"
#include "compiler/kernels/kernel_file.h"
#include "compiler/kernels/kernel_launch.h"
#include "compiler/kernels/kernel_source.h"
#include "dialects/kernel/kernel.h"
#include "passes/codegen/cpu/compile.h"
#include "passes/codegen/cpu/emit.h"
#include "passes/program/kernel_work.h"
#include "runtime/device/cpu.h"
#include "runtime/train/nearest.h"
#include "llvm/Support/FormatVariadic.h"
#include <filesystem>

using namespace mlir;
using llvm::formatv;
namespace weft {

// Beyond these a kernel computes something else, whatever the order of its sums.
constexpr double kMostF32 = 1e-3, kMostBf16 = 0.05;

std::variant<Substitution, std::string> parseSubstitution(const std::string &argument) {
  auto [name, file] = StringRef(argument).split('=');
  auto [kernel, level] = name.split('@');
  if (kernel.empty() || file.empty() || (name.contains('@') && level.empty()))
    return "--substitute-kernel is " + argument + " when it should be KERNEL=FILE or KERNEL@LEVEL=FILE";
  return Substitution{kernel.str(), level.str(), file.str()};
}

static std::string putSchedule(ArrayRef<ModuleOp> modules, program::KernelOp mine, program::KernelOp theirs,
                               const std::string &file) {
  if (std::string difference = differenceBesideSchedule(mine, theirs); !difference.empty())
    return file + ": differs from kernel " + mine.getSymName().str() +
           " in more than the schedule: " + difference;
  Operation *op = cpu::kernelOpOf(mine);
  op->setAttr("schedule", cpu::kernelOpOf(theirs)->getAttr("schedule"));
  size_t own = kernel::SizeLayout(op).numDims;
  for (ModuleOp module : modules)
    module.walk([&](program::LaunchOp launch) {
      if (launch.getKernel() == mine.getSymName()) {
        launch.setItems(kernel::numWorkItems(op, launch.getSizes().take_front(own)));
        launch.setPiece(kernel::itemsTogether(op, launch.getSizes().take_front(own)));
        launch.setVectorOps(vectorOpsOf(op, launch.getSizes().take_front(own)));
      }
    });
  return "";
}

std::string substituteKernels(ArrayRef<ModuleOp> modules, ArrayRef<Substitution> wanted,
                              ArrayRef<std::string> levels, std::vector<Replaced> &replaced) {
  ModuleOp first = modules.front();
  for (const Substitution &s : wanted) {
    program::KernelOp kernel = findKernel(first, s.kernel);
    if (!kernel) {
      std::vector<std::string> names;
      for (auto k : first.getOps<program::KernelOp>()) names.push_back(k.getSymName().str());
      std::string nearest = Nearest(s.kernel, names);
      return "--substitute-kernel: the program has no kernel " + s.kernel + "\nhint: " +
             (nearest.empty() ? "weft inspect --kernels lists them" : "did you mean " + nearest + "?");
    }
    bool text = isKernelText(s.file);
    if (text && !s.level.empty())
      return "--substitute-kernel: a schedule (" + s.file + ") is of every level: leave out @" + s.level;
    if (!text && s.level.empty() && levels.size() > 1)
      return "--substitute-kernel: code is of one level, and the program is compiled for " +
             llvm::join(levels, ", ") + "\nhint: " + s.kernel + "@" + levels.back() + "=" + s.file;
    std::string level = text || !s.level.empty() ? s.level : levels.front();
    if (!level.empty() && !llvm::is_contained(levels, level))
      return "--substitute-kernel: the program is compiled for " + llvm::join(levels, ", ") + ", not for " +
             level;
    auto read = readKernelFile(*first.getContext(), s.file, s.kernel,
                               *cpu::findCpuLevel(level.empty() ? levels.front() : level));
    if (auto *problem = std::get_if<std::string>(&read)) return *problem;
    KernelFile &file = std::get<KernelFile>(read);
    auto it = llvm::find_if(replaced, [&](const Replaced &r) { return r.name == s.kernel; });
    if (it != replaced.end() && (text || it->objects.empty() || it->objects.count(level)))
      return "--substitute-kernel: kernel " + s.kernel + " is given twice";
    if (it == replaced.end()) {
      replaced.push_back({s.kernel, s.file, ModuleOp::create(UnknownLoc::get(first.getContext())), {}});
      it = std::prev(replaced.end());
      it->original->push_back(kernel->clone());
    } else
      it->file += ", " + s.file;
    if (!text)
      it->objects[level] = std::move(file.object);
    else if (std::string problem =
                 putSchedule(modules, kernel, *file.module->getOps<program::KernelOp>().begin(), s.file);
             !problem.empty())
      return problem;
  }
  return "";
}

llvm::StringMap<Substituted> substitutedObjects(ArrayRef<Replaced> replaced) {
  llvm::StringMap<Substituted> out;
  for (const Replaced &r : replaced) out[r.name].objects = r.objects;
  return out;
}

// Launches with different sizes, those with the most operations first.
static void gather(const std::vector<std::unique_ptr<fb::InstructionT>> &body, int kernel,
                   std::vector<const fb::LaunchT *> &out) {
  for (auto &instruction : body) {
    if (auto *loop = instruction->op.AsLoop()) gather(loop->body, kernel, out);
    auto *launch = instruction->op.AsLaunch();
    if (!launch || launch->kernel != kernel) continue;
    if (llvm::none_of(out, [&](const fb::LaunchT *l) { return l->sizes == launch->sizes; }))
      out.push_back(launch);
  }
}

static std::string compareText(const KernelComparison &c) {
  if (!c.launches) return "not compared: it is never launched, or all its launches are too large";
  if (!c.differing) return formatv("the same bits on {0} launches", c.launches);
  return formatv("other bits in {0} of {1} results on {2} launches, by at most {3:E2} of the largest",
                 c.differing, c.elements, c.launches, c.relative);
}

std::string checkSubstituted(fb::ArtifactT &artifact, ModuleOp module, ArrayRef<Replaced> replaced,
                             bool check,
                             llvm::function_ref<void(const Replaced &, const std::string &)> say) {
  constexpr size_t kMostLaunches = 6;
  for (const Replaced &r : replaced) {
    int number = -1;
    for (auto [i, kernel] : llvm::enumerate(artifact.kernels))
      if (kernel->name == r.name) number = int(i);
    fb::KernelT &kernel = *artifact.kernels[number];
    Operation *was = cpu::kernelOpOf(findKernel(*r.original, r.name)),
              *is = cpu::kernelOpOf(findKernel(module, r.name));
    std::vector<const fb::LaunchT *> launches;
    for (auto &stage : artifact.stages)
      for (auto &entry : stage->entries) gather(entry->body, number, launches);
    llvm::stable_sort(launches, [](auto *a, auto *b) { return a->flops > b->flops; });
    if (launches.size() > kMostLaunches) launches.resize(kMostLaunches);
    std::vector<launch_data::Launch> before, after;
    size_t own = kernel::SizeLayout(was).numDims;
    for (const fb::LaunchT *launch : launches) {
      after.push_back(planLaunch(*launch, is, kernel.scratch_bytes));
      before.push_back(after.back());
      before.back().items = kernel::numWorkItems(was, ArrayRef(launch->sizes).take_front(own));
      before.back().scratch_bytes = cpu::scratchBytes(findKernel(*r.original, r.name));
    }
    std::string compared;
    for (auto &object : artifact.objects) {
      if (!r.objects.empty() && !r.objects.count(object->level)) continue;
      bool has = false;
      for (int l = int(CpuLevel::avx2); l <= int(DetectCpuLevel()); ++l)
        has |= object->level == CpuLevelName(CpuLevel(l));
      if (!check || !has) continue;
      auto image = cpu::compileKernels(*r.original, *cpu::findCpuLevel(object->level));
      if (failed(image)) return "kernel " + r.name + " does not compile";
      auto result = compareKernels(
          *image, StringRef(reinterpret_cast<const char *>(object->image.data()), object->image.size()),
          r.name, before, after);
      const std::string at = "kernel " + r.name + " of " + r.file + " (" + object->level + "): ";
      if (auto *problem = std::get_if<std::string>(&result)) return at + *problem;
      const KernelComparison &c = std::get<KernelComparison>(result);
      compared += (compared.empty() ? "" : "; ") + object->level + ": " + compareText(c);
      if (c.differing && r.objects.empty())
        return at + compareText(c) +
               ": another schedule must not change a bit; this is a mistake of the compiler's\nhint: go back "
               "to the schedule that it had";
      bool bf16 = llvm::any_of(after.empty() ? std::vector<launch_data::Buffer>() : after[0].buffers,
                               [](auto &b) { return b.type == launch_data::bf16; });
      if (!(c.relative <= (bf16 ? kMostBf16 : kMostF32)))
        return at + compareText(c) +
               ": it computes something else\nhint: --no-substitution-check takes it all the same";
    }
    if (check && compared.empty())
      return "kernel " + r.name +
             " cannot be compared with the compiler's own: this machine has no level that it is for\nhint: "
             "--no-substitution-check takes it unseen";
    if (!check) compared = "not compared with the compiler's own";
    kernel.substituted = (r.objects.empty() ? "schedule from " : "code from ") + r.file + "; " + compared;
    say(r, kernel.substituted);
  }
  return "";
}

} // namespace weft
