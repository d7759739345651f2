// From LLVM IR to the bytes of a shared object. Internal to compile.cpp.
#pragma once
#include "passes/codegen/cpu/compile.h"

#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

namespace weft::cpu {

// Optimises lightly, generates code for `level`, and links it with ld.lld. An undefined symbol (a call to
// libm that slipped in) is an error.
llvm::Expected<std::string> compileToSharedObject(llvm::Module &module, const CpuLevel &level,
                                                  const CompileOptions &options);

} // namespace weft::cpu
