// What one kernel of an artifact is at every level: lines of the model, graph ops, the kernel op, LLVM IR,
// machine code. `weft inspect F.weft --source KERNEL` prints it.
#pragma once
#include "compiler/check/op_origin.h"
#include "compiler/kernels/disassemble.h"
#include "compiler/kernels/kernel_ir.h"
#include "dialects/program/program.h"

namespace weft {

struct ModelLine {
  std::string file, path; // path: the module's, as layers.self_attn
  int line = 0, column = 0;
  std::string text;     // "" where the file cannot be read
  bool changed = false; // since it was compiled
};

struct KernelTextLine {
  std::string text;
  std::vector<OpOrigin> origins;
};
// The text of a program.kernel, and where the op of each line comes from.
std::vector<KernelTextLine> kernelText(program::KernelOp kernel);

// Launches of one kernel with equal sizes, from one line of the model.
struct LaunchGroup {
  const fb::Launch *launch = nullptr; // the first
  std::string entry;
  int64_t times = 0;      // in one call of the entry
  bool eachBatch = false; // times for each micro-batch
};
std::vector<LaunchGroup> launchesOf(const fb::Artifact &artifact, int kernel);

struct KernelSource {
  std::string name, family, level, substituted, tuned;
  std::vector<ModelLine> model;
  std::vector<KernelTextLine> text;
  std::vector<LaunchGroup> launches;
  std::vector<std::string> reduction, schedule; // in words
  std::string llvmIr;                           // "" where the code is a user's own
  std::vector<std::string> sharers; // other kernels whose code it is too, but for numbers in a table
  Disassembly code;
  bool hasLines = false; // of `text`, in `code`
  std::string note;      // why not, or what is not as it was
};

// `level`: "" for the best that the artifact and the machine have. Errors as text.
std::variant<KernelSource, std::string>
kernelSource(mlir::MLIRContext &context, const LoadedArtifact &artifact, int kernel, std::string level);

// In words, a line each: what fixes the bits, and how it is computed.
std::vector<std::string> explainReduction(mlir::Operation *kernelOp);
std::vector<std::string> explainSchedule(mlir::Operation *kernelOp);

std::string kernelSourceText(const LoadedArtifact &artifact, const KernelSource &source);
std::string kernelSourceJson(const LoadedArtifact &artifact, const KernelSource &source);

// The kernel of that name in a module of kernels. Null when there is none.
program::KernelOp findKernel(mlir::ModuleOp module, llvm::StringRef name);
// The level that a session would choose, or an error's text.
std::variant<const cpu::CpuLevel *, std::string> chooseLevel(const LoadedArtifact &artifact,
                                                             const std::string &level);

} // namespace weft
