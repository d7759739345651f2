#include "passes/codegen/cpu/unit_code.h"

#include "passes/codegen/cpu/object.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"

using namespace mlir;
namespace weft::cpu {
namespace {

// A scope for the locations of each function: LLVM keeps none without.
LogicalResult addLines(ModuleOp module) {
  PassManager passes(module.getContext(), ModuleOp::getOperationName());
  passes.addPass(LLVM::createDIScopeForLLVMFuncOpPass());
  return passes.run(module);
}

std::string compile(UnitCode &unit, const CpuLevel &level, const CompileOptions &options) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code;
  if (!options.lines || succeeded(addLines(*unit.module)))
    code = translateModuleToLLVMIR(*unit.module, context, "weft", /*disableVerification=*/true);
  if (!code) {
    unit.error = "generated code does not translate to LLVM IR";
    return "";
  }
  CompileOptions texts;
  if (options.llvmIr) texts.llvmIr = &unit.llvmIr;
  if (options.assembly) texts.assembly = &unit.assembly;
  auto object = compileToObject(*code, level, texts);
  if (object) return std::move(*object);
  unit.error = llvm::toString(object.takeError());
  return "";
}

// The kernels' names count them, so that one kernel more gives others to those behind it. An object is made
// under names of its own, therefore, and given the program's when it is known.
llvm::StringMap<std::string> renameSymbols(ModuleOp module) {
  llvm::StringMap<std::string> names; // own name → the program's
  SmallVector<Operation *> symbols;
  for (Operation &op : *module.getBody())
    if (auto f = dyn_cast<LLVM::LLVMFuncOp>(op); !f || !f.isExternal())
      if (!f || f.getVisibility_() != LLVM::Visibility::Hidden) symbols.push_back(&op);
  llvm::StringMap<StringAttr> renamed;
  for (auto [i, op] : llvm::enumerate(symbols)) {
    StringAttr old = SymbolTable::getSymbolName(op);
    std::string own = "s" + std::to_string(i);
    names[own] = old.str();
    renamed[old] = StringAttr::get(op->getContext(), own);
    SymbolTable::setSymbolName(op, renamed[old]);
  }
  AttrTypeReplacer replacer;
  replacer.addReplacement([&](FlatSymbolRefAttr ref) -> std::optional<Attribute> {
    auto it = renamed.find(ref.getValue());
    return it == renamed.end() ? ref : FlatSymbolRefAttr::get(it->second);
  });
  for (Operation *op : symbols) replacer.recursivelyReplaceElementsIn(op);
  return names;
}

std::string keyOf(ModuleOp module, const CpuLevel &level) {
  std::string text = (level.name + "\n" + level.features + "\n").str();
  llvm::raw_string_ostream stream(text);
  module->print(stream, OpPrintingFlags().useLocalScope().assumeVerified());
  auto hash = llvm::BLAKE3::hash(llvm::arrayRefFromStringRef(text));
  return llvm::toHex(hash, /*LowerCase=*/true);
}

} // namespace

void compileUnit(UnitCode &unit, const CpuLevel &level, const CompileOptions &options) {
  declareHelpers(*unit.module);
  if (options.lines || options.llvmIr || options.assembly || !options.link) {
    unit.object = compile(unit, level, options);
    return;
  }
  llvm::StringMap<std::string> names = renameSymbols(*unit.module);
  std::string object;
  if (options.cache) {
    const std::string key = keyOf(*unit.module, level);
    object = options.cache->find(key);
    if (object.empty() && !(object = compile(unit, level, options)).empty()) options.cache->keep(key, object);
  } else {
    object = compile(unit, level, options);
  }
  if (object.empty()) return;
  auto named = renameInObject(object, names);
  if (named)
    unit.object = std::move(*named);
  else
    unit.error = llvm::toString(named.takeError());
}

} // namespace weft::cpu
