// weft compile --substitute-kernel: a user's own schedule or code in place of a kernel's.
#pragma once
#include "compiler/write_artifact.h"
#include "dialects/program/program.h"
#include <variant>

namespace weft {

struct Substitution {
  std::string kernel, level, file; // level: "" for all
};
// "KERNEL=FILE" or "KERNEL@LEVEL=FILE". Errors as text.
std::variant<Substitution, std::string> parseSubstitution(const std::string &argument);

// A kernel as the compiler made it, and what has taken its place.
struct Replaced {
  std::string name, file;
  mlir::OwningOpRef<mlir::ModuleOp> original; // a module of it alone
  std::map<std::string, std::string> objects; // by level; none: another schedule
};

// Between merging the kernels and generating code: puts schedules into the kernel ops of modules[0] and their
// work items into all launches, and reads code. What went wrong, or "".
std::string substituteKernels(llvm::ArrayRef<mlir::ModuleOp> modules, llvm::ArrayRef<Substitution> wanted,
                              llvm::ArrayRef<std::string> levels, std::vector<Replaced> &replaced);

// For code generation.
llvm::StringMap<Substituted> substitutedObjects(llvm::ArrayRef<Replaced> replaced);

// Runs each replaced kernel beside the original on the program's launches, for every level that this machine
// has, and writes into the artifact how they compare; `say` is told, too. With `check` false nothing is run,
// and the artifact says so. What went wrong, or "": another schedule must not change a bit, code must compute
// the same up to rounding.
std::string checkSubstituted(fb::ArtifactT &artifact, mlir::ModuleOp module,
                             llvm::ArrayRef<Replaced> replaced, bool check,
                             llvm::function_ref<void(const Replaced &, const std::string &)> say);

} // namespace weft
