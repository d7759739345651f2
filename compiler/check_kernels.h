// --check-phases behind the last phase that can be interpreted: the machine code of every kernel, as the
// artifact holds it, runs on the values that reach it, and so does the whole program.
#pragma once
#include "compiler/check_phases.h"
#include "runtime/artifact/reader.h"
#include "llvm/ADT/StringMap.h"
#include <variant>

namespace weft {

// Kernels by the text of their op as it was outlined: those that a scheduled module's ops have become.
llvm::StringMap<std::string> kernelsByContent(mlir::ModuleOp lowered);

struct KernelCheck {
  int64_t kernels = 0, launches = 0, results = 0;
  int64_t unbounded = 0; // results of which no declared error says anything
  struct Worst {
    double error = 0;   // of what is tolerated
    std::string kernel; // and where it is
  };
  std::map<std::string, Worst> worst; // of the others, by family
  std::vector<std::string> levels;    // that ran
  bool program = false;               // the program as a whole, too
};

// Runs the entries of `scheduled`, with each kernel's code in place of the interpreter, and holds every
// result against the kernel's op interpreted in f64 on the same operands, within the errors that
// docs/numerics.md declares. Every level that this machine has must give the same bits. Then a session runs
// the entries: each launch must leave the bits that it left here, whatever the plan of memory, the loops and
// the threads. `kernels` is the module whose kernels the artifact was made of. In a process of its own: code
// that crashes or does not end is an error. The text of an error names the kernel, its lines of the model,
// the place, the numbers, and a way on.
std::variant<KernelCheck, std::string>
checkKernels(mlir::ModuleOp scheduled, const llvm::StringMap<std::string> &byContent, mlir::ModuleOp kernels,
             std::shared_ptr<const LoadedArtifact> artifact, const CheckOptions &options);

} // namespace weft
