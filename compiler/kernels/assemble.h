// Assembly text to a relocatable object, in process.
#pragma once
#include "passes/codegen/cpu/level.h"
#include "llvm/Support/Error.h"
#include <string>

namespace weft {

// AT&T's syntax, or Intel's behind `.intel_syntax noprefix`. Errors name the line: "NAME:12: unknown
// instruction".
llvm::Expected<std::string> assemble(llvm::StringRef text, llvm::StringRef name, const cpu::CpuLevel &level);

} // namespace weft
