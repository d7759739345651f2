// RUN: weft-opt %s -split-input-file --canonicalize | FileCheck %s

// What nothing reads is no input; what is read twice in the same way is one.
// CHECK-LABEL: func.func @inputs(
// CHECK-SAME:    %[[X:.*]]: tensor<8xf32>, %[[Z:.*]]: tensor<8xf32>)
// CHECK:         kernel.loops domain [8] ins(%[[X]]) inits()
// CHECK:         ^bb0(%[[A:.*]]: f32):
// CHECK-NEXT:      arith.mulf %[[A]], %[[A]]
#row = #kernel.access<offset = 0, strides = 1>
func.func @inputs(%x: tensor<8xf32>, %z: tensor<8xf32>) -> tensor<8xf32> {
  %y = kernel.loops domain [8] ins(%x, %z, %x) inits() {input_access = [#row, #row, #row], output_access = [#row],
      yield_result = array<i64: 0>, init_result = array<i64>} : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32> {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %v = arith.mulf %a, %c : f32
    kernel.yield %v : f32
  }
  return %y : tensor<8xf32>
}

// -----

// The same value at another place is another input.
// CHECK-LABEL: func.func @shifted
// CHECK:         ins(%[[X:.*]], %[[X]])
#low = #kernel.access<offset = 0, strides = 1>
#high = #kernel.access<offset = 4, strides = 1>
func.func @shifted(%x: tensor<8xf32>) -> tensor<4xf32> {
  %y = kernel.loops domain [4] ins(%x, %x) inits() {input_access = [#low, #high], output_access = [#low],
      yield_result = array<i64: 0>, init_result = array<i64>} : (tensor<8xf32>, tensor<8xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32, %b: f32):
    %v = arith.mulf %a, %b : f32
    kernel.yield %v : f32
  }
  return %y : tensor<4xf32>
}
