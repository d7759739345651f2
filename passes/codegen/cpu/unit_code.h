// The object of a unit of kernels' code (share_code.h), compiled or found. Internal to compile.cpp.
#pragma once
#include "passes/codegen/cpu/compile.h"
#include "passes/codegen/cpu/share_code.h"

namespace weft::cpu {

struct UnitCode {
  mlir::OwningOpRef<mlir::ModuleOp> module; // the unit's symbols, and nothing else
  size_t size = 0;                          // ops
  std::string object, llvmIr, assembly, error;
};

// Fills `unit` in from its module, which it spends. Threads may each compile one. With options.cache the
// object is looked up by what decides it: the text of the code, the level; and kept. It is the same with and
// without. The texts and the line table are never kept.
void compileUnit(UnitCode &unit, const CpuLevel &level, const CompileOptions &options);

} // namespace weft::cpu
