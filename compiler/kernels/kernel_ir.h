// Kernels as an artifact keeps them, for inspection: MLIR text with locations, deflated.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "runtime/artifact/reader.h"
#include <string>
#include <variant>
#include <vector>

namespace weft {

struct PackedKernels {
  std::string deflated; // zlib
  int64_t bytes = 0;    // of the text
};
// Every program.kernel of `module`. Equal kernels and locations give equal bytes.
PackedKernels packKernels(mlir::ModuleOp module);

// The module, or an error's text: none kept (an artifact of an older weftc), damaged, or of another dialect.
std::variant<mlir::OwningOpRef<mlir::ModuleOp>, std::string> unpackKernels(mlir::MLIRContext &context,
                                                                           const LoadedArtifact &artifact);

// Parses text whose errors are returned, as "NAME:LINE:COLUMN: what". `name` is the file of the ops'
// locations where the text gives none. A string, since MLIR's lexer reads the zero behind it.
std::variant<mlir::OwningOpRef<mlir::ModuleOp>, std::string>
parseKernels(mlir::MLIRContext &context, const std::string &text, llvm::StringRef name);

// A dtype of the artifact.
fb::DType dtypeOf(mlir::Type element);
// What a launch's buffers are to a kernel op, in their order.
std::vector<std::unique_ptr<fb::KernelBufferT>> kernelBuffers(mlir::Operation *kernelOp);
// Whether the op's region has an infinite constant.
bool makesInfinity(mlir::Operation *kernelOp);

} // namespace weft
