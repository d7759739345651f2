#include "passes/codegen/cpu/compile.h"

#include "passes/codegen/cpu/bf16.h"
#include "passes/codegen/cpu/emit.h"
#include "passes/codegen/cpu/lower.h"
#include "passes/codegen/cpu/object.h"
#include "passes/codegen/cpu/share_code.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/Transforms/Passes.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Threading.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"

#include <deque>

using namespace mlir;
namespace weft::cpu {

void registerCodegenDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, cf::ControlFlowDialect, LLVM::LLVMDialect, math::MathDialect,
                  scf::SCFDialect, vector::VectorDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}

namespace {
// Some of the code, in an LLVM context of its own.
struct Part {
  OwningOpRef<ModuleOp> module;
  size_t size = 0;
  llvm::LLVMContext context;
  CompileOptions options;
  std::string llvmIr, assembly, object, error;
};
constexpr size_t kMaxParts = 8;

// A scope for the locations of each function: LLVM keeps none without.
LogicalResult addLines(ModuleOp module) {
  PassManager passes(module.getContext(), ModuleOp::getOperationName());
  passes.addPass(LLVM::createDIScopeForLLVMFuncOpPass());
  return passes.run(module);
}

// Threads for what is compiled here; weftc does without elsewhere, where ops are made one after another.
class Threads {
public:
  explicit Threads(MLIRContext *context) : context(context), had(context->isMultithreadingEnabled()) {
    context->enableMultithreading();
  }
  ~Threads() { context->disableMultithreading(!had); }

private:
  MLIRContext *context;
  bool had;
};

// The largest first, each to the part that has least so far.
void deal(ArrayRef<CodeUnit> units, std::deque<Part> &parts) {
  SmallVector<const CodeUnit *> bySize;
  for (const CodeUnit &unit : units) bySize.push_back(&unit);
  llvm::stable_sort(bySize, [](const CodeUnit *a, const CodeUnit *b) { return a->size > b->size; });
  for (const CodeUnit *unit : bySize) {
    Part &part =
        *std::min_element(parts.begin(), parts.end(), [](Part &a, Part &b) { return a.size < b.size; });
    part.size += unit->size;
    Block *to = part.module->getBody();
    for (Operation *symbol : unit->symbols) symbol->moveBefore(to, to->end());
  }
}

void compilePart(Part &part, const CpuLevel &level, bool lines) {
  declareHelpers(*part.module);
  std::unique_ptr<llvm::Module> code;
  if (!lines || succeeded(addLines(*part.module)))
    code = translateModuleToLLVMIR(*part.module, part.context, "weft", /*disableVerification=*/true);
  if (!code) {
    part.error = "generated code does not translate to LLVM IR";
    return;
  }
  auto object = compileToObject(*code, level, part.options);
  if (object)
    part.object = std::move(*object);
  else
    part.error = llvm::toString(object.takeError());
}
} // namespace

FailureOr<std::string> compileKernels(ModuleOp module, const CpuLevel &level, const CompileOptions &options) {
  MLIRContext *context = module.getContext();
  DialectRegistry registry;
  registerCodegenDialects(registry);
  context->appendDialectRegistry(registry);
  for (StringRef name : {"arith", "cf", "llvm", "math", "scf", "vector"}) context->getOrLoadDialect(name);
  Threads threads(context);

  SmallVector<program::KernelOp> kernels;
  std::vector<std::string> objects;
  for (auto kernel : module.getOps<program::KernelOp>())
    if (kernel.getSymName().contains('.'))
      return kernel.emitOpError("has a name with a '.', as the compiler's own functions have");
    else if (options.replaced && options.replaced->contains(kernel.getSymName()))
      objects.push_back(options.replaced->find(kernel.getSymName())->second);
    else
      kernels.push_back(kernel);

  // The number of pieces and of parts does not depend on the machine's cores, so that the bytes do not
  // either.
  const size_t numPieces = std::clamp<size_t>(kernels.size(), 1, kMaxParts),
               each = llvm::divideCeil(kernels.size(), numPieces);
  SmallVector<OwningOpRef<ModuleOp>> pieces;
  SmallVector<ModuleOp> emitted;
  for (size_t i = 0; i < numPieces; ++i)
    emitted.push_back(*pieces.emplace_back(ModuleOp::create(module.getLoc())));
  std::vector<LogicalResult> done(numPieces, success());
  auto emit = [&](size_t i) -> LogicalResult {
    for (size_t k = i * each; k < std::min((i + 1) * each, kernels.size()); ++k)
      if (failed(emitKernel(kernels[k], emitted[i], level))) return failure();
    expandBf16(emitted[i], level);
    if (succeeded(lowerToLLVM(emitted[i]))) return success();
    return emitted[i].emitError("generated code does not convert to LLVM");
  };
  parallelFor(context, 0, numPieces, [&](size_t i) { done[i] = emit(i); });
  if (llvm::any_of(done, [](LogicalResult r) { return failed(r); })) return failure();

  SmallVector<CodeUnit> units = shareCode(emitted, options.only);
  const size_t numUnits = llvm::count_if(units, [](const CodeUnit &u) { return !u.kernels.empty(); });
  std::deque<Part> parts(std::clamp<size_t>(numUnits, 1, kMaxParts));
  if (parts.size() == 1) keepHelpers(units); // an object of one kernel has no other global symbol
  for (Part &part : parts) {
    part.module = ModuleOp::create(module.getLoc());
    if (options.llvmIr) part.options.llvmIr = &part.llvmIr;
    if (options.assembly) part.options.assembly = &part.assembly;
  }
  deal(units, parts);
  parallelForEach(context, parts, [&](Part &part) { compilePart(part, level, options.lines); });
  if (options.sharers)
    for (CodeUnit &unit : units)
      if (!unit.kernels.empty()) options.sharers->assign(unit.kernels.begin(), unit.kernels.end());

  auto failedWith = [&](const std::string &why) {
    return module.emitError() << "compiling kernels for " << level.name << ": " << why;
  };
  for (Part &part : parts) {
    if (!part.error.empty()) return failedWith(part.error);
    objects.push_back(std::move(part.object));
    if (options.llvmIr) *options.llvmIr += part.llvmIr;
    if (options.assembly) *options.assembly += part.assembly;
  }
  if (!options.link) return objects.front();
  auto image = linkSharedObject(objects);
  if (!image) return failedWith(llvm::toString(image.takeError()));
  return std::move(*image);
}

} // namespace weft::cpu
