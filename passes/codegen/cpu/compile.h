// From outlined kernels to a shared object, in process but for the linker.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "passes/codegen/cpu/level.h"
#include "llvm/ADT/StringMap.h"
#include <string>
#include <vector>

namespace weft::cpu {

// Objects of kernels' code that were compiled before. Called by several threads.
class ObjectCache {
public:
  virtual ~ObjectCache() = default;
  // The object kept under `key`, a name of letters and digits that stands for the code and the level; "" =
  // none.
  virtual std::string find(llvm::StringRef key) = 0;
  virtual void keep(llvm::StringRef key, llvm::StringRef object) = 0;
};

struct CompileOptions {
  // Filled with the LLVM IR, as it is before instructions are chosen, and the assembly where set.
  std::string *llvmIr = nullptr;
  std::string *assembly = nullptr;
  // A line table from the locations of the kernels' ops. The code is the same with it.
  bool lines = false;
  // False: the relocatable object of the only kernel instead of a shared one.
  bool link = true;
  // The name of a kernel that alone is compiled, though not otherwise than among all; "" = all.
  std::string only;
  // With `only`: filled with the kernels that share its code, itself among them (share_code.h).
  std::vector<std::string> *sharers = nullptr;
  // Relocatable objects in place of the kernels of these names, of which no code is generated.
  const llvm::StringMap<std::string> *replaced = nullptr;
  // Where objects are looked up and kept. The result's bytes are the same without.
  ObjectCache *cache = nullptr;
};

// Compiles every program.kernel of `module` for `level`: the bytes of an ELF shared object that needs no
// library and exports one symbol a kernel. Equal input gives equal bytes. Errors are diagnostics on the
// kernel's op.
mlir::FailureOr<std::string> compileKernels(mlir::ModuleOp module, const CpuLevel &level,
                                            const CompileOptions &options = {});

// The dialects the generated code uses; a context that compiles kernels loads them.
void registerCodegenDialects(mlir::DialectRegistry &registry);

} // namespace weft::cpu
