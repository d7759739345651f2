// Kernels as MLIR text: what an artifact keeps for inspection, and what a user gives back with another
// schedule.
#include "compiler/kernels/kernel_file.h"
#include "compiler/kernels/kernel_source.h"
#include "compiler/pipeline.h"
#include "passes/codegen/cpu/emit.h"
#include "passes/codegen/cpu/schedule_candidates.h"
#include "tests/fuzz/fuzz_target.h"

namespace weft::fuzz {

std::vector<std::string> Seeds() {
  return {R"(program.kernel @matmul_0 num_sizes 19 {
^bb0(%arg0: tensor<?xf32>, %arg1: tensor<?xf32>):
  %0 = kernel.matmul %arg0, %arg1 extras() sizes [?, ?, ?, ?] {extra_access = [], lhs_access = #kernel.access<offset = 0, strides = 0, ?, 1>, output_access = [#kernel.access<offset = 0, strides = 0, ?, 1>], reduction = #kernel.reduction<unit = "fma", lanes = 16, key_block = 0>, rhs_access = #kernel.access<offset = 0, strides = 0, 1, ?>, schedule = #kernel.schedule<tile_m = 12, tile_n = 32, block_m = 96, block_n = 64, block_k = 64>} : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32> {
  ^bb0(%arg2: f32):
    %1 = arith.negf %arg2 : f32 loc(fused<"graph.neg">["model.cc":3:4])
    kernel.yield %1 : f32
  }
}
)",
          R"(program.kernel @loops_0 num_sizes 14 {
^bb0(%arg0: tensor<?xf32>, %arg1: tensor<?xi32>):
  %0 = kernel.loops domain [?, ?] ins(%arg0, %arg1) inits() {init_result = array<i64>, input_access = [#kernel.access<offset = 0, index = 1, index_stride = ?, index_limit = ?, strides = 0, 1>, #kernel.access<offset = 0, strides = 1, 0>], output_access = [#kernel.access<offset = 0, strides = ?, 1>], reduction = #kernel.reduction<unit = "fma", lanes = 16, key_block = 0>, schedule = #kernel.schedule<tile_m = 0, tile_n = 0, block_m = 0, block_n = 64, block_k = 0>, yield_result = array<i64: 0>} : (tensor<?xf32>, tensor<?xi32>) -> tensor<?xf32> {
  ^bb0(%arg2: f32, %arg3: i32):
    %cst = arith.constant 0x7F800000 : f32
    %1 = arith.minimumf %arg2, %cst : f32
    %2 = kernel.reduce sum %1 : f32
    kernel.yield %2 : f32
  }
}
)"};
}

std::vector<std::string> Words() {
  return {"?",
          "kernel.reduce max %1 : f32",
          "kernel.index 0",
          "schedule",
          "strides = 0",
          "sizes [?, ?]",
          "tensor<?xbf16>",
          "i64"};
}

} // namespace weft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace weft;
  static mlir::MLIRContext &context = *[] {
    mlir::DialectRegistry registry;
    registerDialects(registry);
    auto *made = new mlir::MLIRContext(registry, mlir::MLIRContext::Threading::DISABLED);
    made->loadAllAvailableDialects();
    return made;
  }();
  auto parsed = parseKernels(context, std::string(reinterpret_cast<const char *>(data), size), "kernel");
  if (auto *problem = std::get_if<std::string>(&parsed)) {
    // Without the place: what was said, not where.
    fuzz::Outcome(llvm::StringRef(*problem).split(": ").second.str());
    return 0;
  }
  for (auto kernel : (*std::get<mlir::OwningOpRef<mlir::ModuleOp>>(parsed)).getOps<program::KernelOp>()) {
    mlir::Operation *op = cpu::kernelOpOf(kernel);
    if (!op) continue;
    fuzz::Outcome(cpu::scheduleProblem(op));
    kernelBuffers(op);
    makesInfinity(op);
    explainReduction(op);
    explainSchedule(op);
    fuzz::Require(differenceBesideSchedule(kernel, kernel).empty(), "a kernel is like itself");
    fuzz::Require(!kernelText(kernel).empty(), "a kernel has a text");
  }
  return 0;
}
