// From a planned module to the artifact's tables.
#pragma once
#include "dialects/graph/graph.h"
#include "dialects/program/program.h"
#include "mlir/IR/BuiltinOps.h"
#include "passes/codegen/cpu/compile.h"
#include "runtime/artifact/artifact_generated.h"
#include "llvm/ADT/StringMap.h"
#include <map>
#include <string>
#include <vector>

namespace weft {

struct Remark {
  std::string pass, kind, message;
  mlir::Location location;
};

// What a user has put in place of a kernel's code.
struct Substituted {
  std::string what; // for the artifact: the file, and how the results compare
  std::map<std::string, std::string>
      objects; // relocatable, by level; none: another schedule, compiled as any
};

struct ArtifactInputs {
  std::string model, configJson;
  std::vector<std::pair<std::string, std::string>> options;
  std::vector<std::string> levels; // of the CPU, lowest first
  std::vector<Remark> remarks;
  llvm::StringMap<Substituted> substituted; // by the kernel's name
  cpu::ObjectCache *objects = nullptr;      // of earlier compilations
  llvm::StringMap<std::string> tuned;       // likewise: what another schedule than the compiler's own gains
};

// A variable, but for where it lies, how it starts and its line.
std::unique_ptr<fb::VariableT> describeVariable(graph::VariableOp variable);
// A buffer or view of one; a launch, but for its kernel's number and its line.
std::unique_ptr<fb::RefT> describeBuffer(mlir::Value buffer);
fb::LaunchT describeLaunch(program::LaunchOp launch);

// Compiles the kernels for each level and fills the tables. Diagnostics say what failed.
mlir::FailureOr<fb::ArtifactT> makeArtifact(llvm::ArrayRef<mlir::ModuleOp> stages,
                                            const ArtifactInputs &inputs);

} // namespace weft
