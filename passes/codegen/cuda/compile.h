// The same kernel ops as PTX. So far kernel.loops without reduce_dims (elementwise code, row reductions,
// gathers): the proof that kernels name no target. matmul and attention say that they have no CUDA code yet.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include <string>

namespace weft::cuda {

// Threads of a block, whatever the kernel.
constexpr int64_t kThreads = 256;

// PTX 8.0 for `chip` (sm_80, sm_86, sm_89, sm_90, sm_90a) of every program.kernel of `module`. Each is a
//   .entry name(ptr for each access, i64 for each slot of kernel::SizeLayout, i64 begin, i64 end)
// for blocks of kThreads threads: block i of n computes items begin + i, begin + i + n, … of [begin, end).
// Reductions: thread t takes columns t, t + kThreads, … ascending; then a butterfly over the warp and one
// over the warps. Results are the same in every run, but not the CPU's bits. Errors are diagnostics at the
// kernel's op.
mlir::FailureOr<std::string> compileToPtx(mlir::ModuleOp module, llvm::StringRef chip);

} // namespace weft::cuda
