// From a planned module to the artifact's tables.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "runtime/artifact/artifact_generated.h"
#include <string>
#include <vector>

namespace weft {

struct Remark {
  std::string pass, kind, message;
  mlir::Location location;
};

struct ArtifactInputs {
  std::string model, configJson;
  std::vector<std::pair<std::string, std::string>> options;
  std::vector<std::string> levels; // of the CPU, lowest first
  std::vector<Remark> remarks;
};

// Compiles the kernels for each level and fills the tables. Diagnostics say what failed.
mlir::FailureOr<fb::ArtifactT> makeArtifact(llvm::ArrayRef<mlir::ModuleOp> stages,
                                            const ArtifactInputs &inputs);

} // namespace weft
