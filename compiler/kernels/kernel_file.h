// A kernel that a user has edited, read back: MLIR with another schedule, LLVM IR, assembly, or an object.
#pragma once
#include "dialects/program/program.h"
#include "mlir/IR/BuiltinOps.h"
#include "passes/codegen/cpu/level.h"
#include <string>
#include <variant>

namespace weft {

struct KernelFile {
  mlir::OwningOpRef<mlir::ModuleOp> module; // of FILE.mlir: one program.kernel, null otherwise
  std::string object;                       // of FILE.ll, FILE.s and FILE.o: relocatable, for the level
};

// By the file's ending. Checked: MLIR is one kernel whose schedule its emitter takes; code defines `name`, a
// function of the kernels' type where that can be seen, and nothing else, and leaves no symbol undefined.
// Errors as text that begins with the path.
std::variant<KernelFile, std::string> readKernelFile(mlir::MLIRContext &context, const std::string &path,
                                                     llvm::StringRef name, const cpu::CpuLevel &level);
// Whether it is MLIR, which is for every level.
bool isKernelText(llvm::StringRef path);

// What is wrong with a relocatable object that should define `name` alone; "" for nothing.
std::string kernelObjectProblem(llvm::StringRef bytes, llvm::StringRef name);
// Where two kernels differ in more than the schedule; "" for nowhere.
std::string differenceBesideSchedule(program::KernelOp mine, program::KernelOp theirs);

// weftc compile-kernel: what a dumped kernel's Makefile starts. The exit status.
int compileKernelCommand(int argc, char **argv);

} // namespace weft
