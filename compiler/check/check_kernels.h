// --check-phases behind the last phase that can be interpreted: the machine code of every kernel, as the
// artifact holds it, runs on the values that reach it, and so does the whole program.
#pragma once
#include "compiler/check/check_phases.h"
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
  std::map<std::string, Worst> worst;                // of the others, by family
  std::vector<std::string> levels;                   // that ran
  std::set<int> used;                                // numbers of the kernels, while they run
  KernelCheck &operator+=(const KernelCheck &other); // another stage's
};

// Runs the entries of `scheduled`, a module a stage, with each kernel's code in place of the interpreter, and
// holds every result against the kernel's op interpreted in f64 on the same operands, within the errors that
// docs/numerics.md declares. Every level that this machine has must give the same bits. Then sessions run the
// entries, one a pipeline stage, for the first of the data-parallel ranks as if it were alone: each launch
// must leave the bits that it left here, whatever the plan of memory, the loops and the threads. `kernels` is
// the module whose kernels the artifact was made of. In a process of its own: code that crashes or does not
// end is an error. The text of an error names the kernel, its lines of the model, the place, the numbers, and
// a way on.
std::variant<KernelCheck, std::string>
checkKernels(Stages scheduled, const llvm::StringMap<std::string> &byContent, mlir::ModuleOp kernels,
             std::shared_ptr<const LoadedArtifact> artifact, const CheckOptions &options);

} // namespace weft
