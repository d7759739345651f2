// The kernel dialect: see kernel.td.
#pragma once
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/kernel/kernel_dialect.h.inc"
#include "dialects/kernel/kernel_enums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/kernel/kernel_attrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/kernel/kernel_ops.h.inc"

namespace weft::kernel {

// A stride or size that an outlined kernel takes as an argument. Strides 0 and 1 stay static, since they
// shape the code.
constexpr int64_t kDynamic = mlir::ShapedType::kDynamic;
// Columns of a panel of kernel.matmul's packed rhs, and what k is a multiple of there.
constexpr int64_t kPanelColumns = 32, kPanelDepth = 32;

// The slots of a compiled kernel's `sizes` argument. First the op's own sizes (loops: domain; matmul: batch,
// m, n, k; attention: B, T, S, H, G, D, E; sort: N, k, experts, segments), then for each access, inputs
// before results: its strides, index_stride, index_limit. Static entries have slots too. Access offsets have
// none: the launch adds them to the buffer's address.
struct SizeLayout {
  explicit SizeLayout(mlir::Operation *kernelOp);
  int64_t numDims;                        // the op's own sizes
  llvm::SmallVector<AccessAttr> accesses; // inputs (matmul: lhs, rhs, extras, groups), then results
  int64_t numInputs;
  int64_t stride(int64_t access, int64_t dim) const { return bases[access] + dim; }
  int64_t indexStride(int64_t access) const { return bases[access] + rank(access); }
  int64_t indexLimit(int64_t access) const { return bases[access] + rank(access) + 1; }
  int64_t rank(int64_t access) const { return accesses[access].getStrides().size(); }
  int64_t numSlots() const { return slots; }

private:
  llvm::SmallVector<int64_t> bases;
  int64_t slots;
};

// Work items of a launch, for sizes known when compiling; `sizes` are the op's own. The emitters decode items
// exactly so:
//   loops, with a row reduction:   product of domain but its last
//   loops, without:                the same times ceil(columns / schedule.block_n), column blocks innermost
//   loops with reduce_dims:        product of the unreduced dims but the last, times
//                                  ceil(columns / schedule.block_n)
//   matmul:                        batch * ceil(n / block_n) * ceil(m / block_m), m innermost: a call packs
//                                  a block of rhs once for its run of m
//   attention forward, grad_query: B * H * ceil(T / tile_m), query tiles innermost
//   attention backward:            B * G
//   attention grad_key_value:      B * G * ceil(S / tile_n), chunks of the buffer's keys innermost
//   A grouped matmul has no batch there: an item is a block of the sorted rows, or of every group's result,
//   so that threads share the work evenly whatever the groups' sizes. sort: one.
int64_t numWorkItems(mlir::Operation *kernelOp, llvm::ArrayRef<int64_t> sizes);
// Items that a thread should compute in one call, at the least, since they share what a call does: packing
// the block of rhs of a matmul's run, or going over the rows that columns are summed over. 1 where items
// share next to nothing. No result depends on it.
int64_t itemsTogether(mlir::Operation *kernelOp, llvm::ArrayRef<int64_t> sizes);

// The op's own sizes: what comes first in `sizes`.
llvm::ArrayRef<int64_t> sizesOf(mlir::Operation *kernelOp);
// Whether it is one of the ops that become kernels.
bool isKernel(mlir::Operation *op);
// Access number i's operand, or result after the inputs.
mlir::Value accessedValue(mlir::Operation *kernelOp, int64_t i);
// The iteration space that access number i addresses.
llvm::SmallVector<int64_t> accessSpace(mlir::Operation *kernelOp, int64_t i);

// Whether the region of loops holds a kernel.reduce.
bool hasRowReduction(LoopsOp op);

} // namespace weft::kernel
