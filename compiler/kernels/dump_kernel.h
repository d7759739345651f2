// One kernel of an artifact as a folder of its own: text at each level, and a program that times it.
#pragma once
#include "compiler/kernels/kernel_source.h"

namespace weft {

struct DumpedKernel {
  std::string report; // for the terminal
};

// Writes kernel.mlir, kernel.ll, kernel.s, the launches and a driver for them, a Makefile and a README into
// `folder`, which is made, or empty. Errors as text.
std::variant<DumpedKernel, std::string> dumpKernel(mlir::MLIRContext &context, const LoadedArtifact &artifact,
                                                   int kernel, const std::string &level,
                                                   const std::string &folder);

} // namespace weft
