// RUN: weft-opt %s --round-factors 2>/dev/null | FileCheck %s

// What goes into a function or is a factor again is rounded; the second product's sum, which is only added, is not.
// CHECK-LABEL: @feed_forward
// CHECK-SAME: (%[[X:.*]]: tensor<4x8xf32>, %[[W:.*]]: tensor<16x8xf32>, %[[V:.*]]: tensor<8x16xf32>)
// CHECK: %[[XH:.*]] = graph.cast %[[X]] to bf16
// CHECK: %[[WH:.*]] = graph.cast %[[W]] to bf16
// CHECK: %[[A:.*]] = graph.matmul %[[XH]], %[[WH]] {transpose_rhs} : (tensor<4x8xbf16>, tensor<16x8xbf16>) -> tensor<4x16xf32>
// CHECK: %[[AH:.*]] = graph.cast %[[A]] to bf16
// CHECK: %[[AF:.*]] = graph.cast %[[AH]] to f32
// CHECK: graph.tanh %[[AF]]
// CHECK: %[[Y:.*]] = graph.matmul {{.*}} -> tensor<4x8xf32>
// CHECK-NEXT: graph.add %[[X]], %[[Y]]
func.func @feed_forward(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %v: tensor<8x16xf32>) -> tensor<4x8xf32> {
  %a = graph.matmul %x, %w {transpose_rhs} : (tensor<4x8xf32>, tensor<16x8xf32>) -> tensor<4x16xf32>
  %s = graph.tanh %a : tensor<4x16xf32>
  %b = graph.matmul %s, %v {transpose_rhs} : (tensor<4x16xf32>, tensor<8x16xf32>) -> tensor<4x8xf32>
  %y = graph.add %x, %b : tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// A factor that was rounded already is not rounded again, in another shape neither.
// CHECK-LABEL: @twice
// CHECK: %[[A:.*]] = graph.matmul
// CHECK: %[[AH:.*]] = graph.cast %[[A]] to bf16 : tensor<4x16xf32>
// CHECK: %[[R:.*]] = graph.reshape %[[AH]] shape = [16, 4] : tensor<4x16xbf16>
// CHECK: graph.matmul %[[R]], {{.*}} : (tensor<16x4xbf16>, tensor<4x2xbf16>) -> tensor<16x2xf32>
func.func @twice(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %v: tensor<4x2xf32>) -> tensor<16x2xf32> {
  %a = graph.matmul %x, %w {transpose_rhs} : (tensor<4x8xf32>, tensor<16x8xf32>) -> tensor<4x16xf32>
  %r = graph.reshape %a shape = [16, 4] : tensor<4x16xf32>
  %y = graph.matmul %r, %v : (tensor<16x4xf32>, tensor<4x2xf32>) -> tensor<16x2xf32>
  return %y : tensor<16x2xf32>
}

// f64 stays.
// CHECK-LABEL: @wide
// CHECK-NOT: graph.cast
// CHECK: return
func.func @wide(%x: tensor<4x8xf64>, %w: tensor<8x8xf64>) -> tensor<4x8xf64> {
  %a = graph.matmul %x, %w : (tensor<4x8xf64>, tensor<8x8xf64>) -> tensor<4x8xf64>
  return %a : tensor<4x8xf64>
}
