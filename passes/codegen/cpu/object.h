// From LLVM IR to objects, and from those to the bytes of a shared object. Internal to compile.cpp.
#pragma once
#include "passes/codegen/cpu/compile.h"

#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

namespace weft::cpu {

// Optimises lightly and generates code for `level`: the bytes of a relocatable object. Threads may each
// compile a module of a context of their own.
llvm::Expected<std::string> compileToObject(llvm::Module &module, const CpuLevel &level,
                                            const CompileOptions &options);

// Gives symbols other names: old → new.
llvm::Expected<std::string> renameInObject(llvm::StringRef object, const llvm::StringMap<std::string> &names);

// Links objects with ld.lld. An undefined symbol (a call to libm that slipped in) is an error.
llvm::Expected<std::string> linkSharedObject(llvm::ArrayRef<std::string> objects);

} // namespace weft::cpu
