#include "compiler/kernels/merge_kernels.h"
#include "dialects/program/program.h"

using namespace mlir;
namespace weft {

static std::string contentOf(program::KernelOp kernel) {
  std::string text;
  llvm::raw_string_ostream out(text);
  for (Operation &op : kernel.getBody().front()) op.print(out, OpPrintingFlags().useLocalScope());
  return text;
}

SmallVector<llvm::StringMap<std::string>> mergeKernels(ArrayRef<ModuleOp> modules) {
  ModuleOp first = modules.front();
  SmallVector<llvm::StringMap<std::string>> out(1);
  llvm::StringMap<std::string> known; // content → name
  llvm::StringMap<char> names;
  for (auto k : first.getOps<program::KernelOp>()) {
    known[contentOf(k)] = k.getSymName().str();
    names[k.getSymName()];
    out[0][k.getSymName()] = k.getSymName().str();
  }
  for (ModuleOp module : modules.drop_front()) {
    llvm::StringMap<std::string> renamed;
    for (auto k : module.getOps<program::KernelOp>()) {
      std::string &name = known[contentOf(k)];
      if (name.empty()) {
        auto [family, number] = k.getSymName().rsplit('_');
        for (int i = 0; name.empty() || names.contains(name); ++i)
          name = family.str() + "_" + std::to_string(i);
        names[name];
        auto copy = cast<program::KernelOp>(k->clone());
        copy.setSymName(name);
        first.push_back(copy);
      }
      renamed[k.getSymName()] = name;
    }
    module.walk([&](program::LaunchOp launch) { launch.setKernel(renamed[launch.getKernel()]); });
    out.push_back(std::move(renamed));
  }
  return out;
}

} // namespace weft
