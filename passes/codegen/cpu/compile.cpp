#include "passes/codegen/cpu/compile.h"

#include "passes/codegen/cpu/bf16.h"
#include "passes/codegen/cpu/emit.h"
#include "passes/codegen/cpu/lower.h"
#include "passes/codegen/cpu/object.h"
#include "passes/codegen/cpu/unit_code.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Threading.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"

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
// Pieces that ops are emitted in: not a matter of the machine's cores, so that the bytes are not either.
constexpr size_t kMaxPieces = 8;

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

// A unit each, so that it can be found again whatever else there is; a single kernel's has its helpers too,
// and no other global symbol.
std::deque<UnitCode> unitCodes(ArrayRef<CodeUnit> units, Location loc) {
  std::deque<UnitCode> codes;
  const bool together = llvm::count_if(units, [](const CodeUnit &u) { return !u.kernels.empty(); }) <= 1;
  if (together) keepHelpers(units);
  if (units.empty()) codes.emplace_back().module = ModuleOp::create(loc); // the linker wants something
  for (const CodeUnit &unit : units) {
    if (codes.empty() || !together) codes.emplace_back().module = ModuleOp::create(loc);
    codes.back().size += unit.size;
    Block *to = codes.back().module->getBody();
    for (Operation *symbol : unit.symbols) symbol->moveBefore(to, to->end());
  }
  return codes;
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

  const size_t numPieces = std::clamp<size_t>(kernels.size(), 1, kMaxPieces),
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
  std::deque<UnitCode> codes = unitCodes(units, module.getLoc());
  SmallVector<UnitCode *> largestFirst;
  for (UnitCode &code : codes) largestFirst.push_back(&code);
  llvm::stable_sort(largestFirst, [](UnitCode *a, UnitCode *b) { return a->size > b->size; });
  parallelForEach(context, largestFirst, [&](UnitCode *code) { compileUnit(*code, level, options); });
  if (options.sharers)
    for (CodeUnit &unit : units)
      if (!unit.kernels.empty()) options.sharers->assign(unit.kernels.begin(), unit.kernels.end());

  auto failedWith = [&](const std::string &why) {
    return module.emitError() << "compiling kernels for " << level.name << ": " << why;
  };
  for (UnitCode &code : codes) {
    if (!code.error.empty()) return failedWith(code.error);
    objects.push_back(std::move(code.object));
    if (options.llvmIr) *options.llvmIr += code.llvmIr;
    if (options.assembly) *options.assembly += code.assembly;
  }
  if (!options.link) return objects.front();
  auto image = linkSharedObject(objects);
  if (!image) return failedWith(llvm::toString(image.takeError()));
  return std::move(*image);
}

} // namespace weft::cpu
