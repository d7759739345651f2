// RUN: weft-opt %s | weft-opt | FileCheck %s

// Sizes and strides that a launch gives are written `?`, and read again.
// CHECK-LABEL: program.kernel @loops_0
// CHECK: domain [?, 384]
// CHECK-SAME: #kernel.access<offset = 0, index = 1, index_stride = ?, index_limit = ?, strides = 0, 1>, #kernel.access<offset = 0, strides = ?, 0>
program.kernel @loops_0 num_sizes 14 {
^bb0(%x: tensor<?xf32>, %i: tensor<?xi32>):
  %0 = kernel.loops domain [?, 384] ins(%x, %i) inits() {
      input_access = [#kernel.access<offset = 0, index = 1, index_stride = ?, index_limit = ?, strides = 0, 1>, #kernel.access<offset = 0, strides = ?, 0>],
      output_access = [#kernel.access<offset = 0, strides = ?, 1>], yield_result = array<i64: 0>, init_result = array<i64>}
      : (tensor<?xf32>, tensor<?xi32>) -> tensor<?xf32> {
  ^bb0(%a: f32, %b: i32):
    kernel.yield %a : f32
  }
}
// CHECK-LABEL: program.kernel @matmul_0
// CHECK: sizes [?, ?, 16, ?]
program.kernel @matmul_0 num_sizes 19 {
^bb0(%a: tensor<?xf32>, %b: tensor<?xf32>):
  %0 = kernel.matmul %a, %b extras() sizes [?, ?, 16, ?] {lhs_access = #kernel.access<offset = 0, strides = 0, ?, 1>,
      rhs_access = #kernel.access<offset = 0, strides = 0, 1, ?>, extra_access = [], output_access = [#kernel.access<offset = 0, strides = 0, ?, 1>]}
      : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32> {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  }
}
