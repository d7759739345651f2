// What passes say while a program is compiled.
#pragma once
#include "compiler/write_artifact.h"
#include "mlir/IR/Diagnostics.h"

namespace weft {

// As long as it lives, remarks go to `remarks`, as of `phase`, and all else to `errors`: "file:line: text".
class DiagnosticLog {
public:
  DiagnosticLog(mlir::MLIRContext &context, std::vector<Remark> &remarks);
  DiagnosticLog(const DiagnosticLog &) = delete;
  std::string errors;
  const char *phase = "trace";

private:
  mlir::LogicalResult take(mlir::Diagnostic &d);
  std::vector<Remark> &remarks;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace weft
