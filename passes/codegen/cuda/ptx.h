// From LLVM IR to PTX, in process. Internal to compile.cpp.
#pragma once
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"
#include <string>

namespace weft::cuda {

// LLVM only warns of a chip it does not know, and writes a wrong .target: this says it first.
bool isKnownChip(llvm::StringRef chip);

// Optimises at O2 and writes PTX 8.0.
llvm::Expected<std::string> emitPtx(llvm::Module &module, llvm::StringRef chip);

} // namespace weft::cuda
