// RUN: weft-opt %s --tile-rows="at-least=4096 rows=32" --canonicalize -split-input-file -verify-diagnostics | FileCheck %s

// The head, the loss of each row, and backward, in blocks of 32 of 64 rows (two sequences of 32): the logits are as large as
// one block; the sum over rows is carried, what each row has is stacked. Blocks are runs of rows: here a sequence each.
// CHECK-LABEL: func.func @step
// CHECK-SAME:  (%[[H:.*]]: tensor<2x32x4xf32>, %[[W:.*]]: tensor<64x4xf32>, %[[ACC:.*]]: tensor<64x4xf32>, %[[S:.*]]: tensor<f32>)
// CHECK:       %[[BLOCKS:.*]] = graph.reshape %[[H]] shape = [2, 1, 32, 4]
// CHECK:       %[[R:.*]]:3 = graph.repeat @step_rows carry(%[[ACC]]) stacked(%[[BLOCKS]]) invariant(%[[W]], %[[S]]) range(0, 2)
// CHECK-SAME:    -> (tensor<64x4xf32>, tensor<2x1x32xf32>, tensor<2x1x32x4xf32>)
// CHECK-DAG:   graph.reshape %[[R]]#1 shape = [2, 32]
// CHECK-DAG:   graph.reshape %[[R]]#2 shape = [2, 32, 4]
// CHECK:       return
// CHECK-LABEL: func.func private @step_rows
// CHECK-SAME:  (%[[SUM:.*]]: tensor<64x4xf32>, %[[X:.*]]: tensor<1x32x4xf32>, %{{.*}}: tensor<64x4xf32>, %{{.*}}: tensor<f32>)
// CHECK:       graph.matmul %[[X]], %{{.*}} {transpose_rhs} : {{.*}} -> tensor<1x32x64xf32>
// CHECK:       graph.matmul %{{.*}}, %{{.*}} acc %[[SUM]] {transpose_lhs} : (tensor<32x64xf32>, tensor<32x4xf32>, tensor<64x4xf32>)
func.func @step(%h: tensor<2x32x4xf32>, %w: tensor<64x4xf32>, %acc: tensor<64x4xf32>, %s: tensor<f32>) -> (tensor<f32>, tensor<2x32x4xf32>, tensor<64x4xf32>) {
  // expected-remark @below {{computed in blocks of 32 rows: 32768 bytes become 16384, for 11 operations, 1 sums over rows}}
  %logits = graph.matmul %h, %w {transpose_rhs} : (tensor<2x32x4xf32>, tensor<64x4xf32>) -> tensor<2x32x64xf32>
  %e = graph.exp %logits : tensor<2x32x64xf32>
  %z = graph.reduce sum %e axes = [2] : (tensor<2x32x64xf32>) -> tensor<2x32xf32>
  %lse = graph.log %z : tensor<2x32xf32>
  %loss = graph.reduce sum %lse axes = [0, 1] : (tensor<2x32xf32>) -> tensor<f32>
  %zb = graph.broadcast %z dims = [0, 1] shape = [2, 32, 64] : tensor<2x32xf32>
  %p = graph.div %e, %zb : tensor<2x32x64xf32>
  %sb = graph.broadcast %s dims = [] shape = [2, 32, 64] : tensor<f32>
  %d = graph.mul %p, %sb : tensor<2x32x64xf32>
  %dh = graph.matmul %d, %w : (tensor<2x32x64xf32>, tensor<64x4xf32>) -> tensor<2x32x4xf32>
  %d2 = graph.reshape %d shape = [64, 64] : tensor<2x32x64xf32>
  %h2 = graph.reshape %h shape = [64, 4] : tensor<2x32x4xf32>
  %dw = graph.matmul %d2, %h2 acc %acc {transpose_lhs} : (tensor<64x64xf32>, tensor<64x4xf32>, tensor<64x4xf32>) -> tensor<64x4xf32>
  return %loss, %dh, %dw : tensor<f32>, tensor<2x32x4xf32>, tensor<64x4xf32>
}

// -----

// The loss's gradient waits for the loss of all rows: the logits stay whole, and a remark says because of what.
// CHECK-LABEL: func.func @waits
// CHECK-NOT:   graph.repeat
func.func @waits(%h: tensor<64x4xf32>, %w: tensor<16x4xf32>) -> tensor<64x4xf32> {
  // expected-remark @below {{kept whole, 4096 bytes: graph.reduce needs all of its rows at once}}
  %logits = graph.matmul %h, %w {transpose_rhs} : (tensor<64x4xf32>, tensor<16x4xf32>) -> tensor<64x16xf32>
  %all = graph.reduce sum %logits axes = [0, 1] : (tensor<64x16xf32>) -> tensor<f32>
  %b = graph.broadcast %all dims = [] shape = [64, 16] : tensor<f32>
  %d = graph.mul %logits, %b : tensor<64x16xf32>
  %dh = graph.matmul %d, %w : (tensor<64x16xf32>, tensor<16x4xf32>) -> tensor<64x4xf32>
  return %dh : tensor<64x4xf32>
}

// -----

// A value that is returned has to exist whole.
// CHECK-LABEL: func.func @returned
// CHECK-NOT:   graph.repeat
func.func @returned(%h: tensor<64x4xf32>, %w: tensor<16x4xf32>) -> tensor<64x16xf32> {
  // expected-remark @below {{kept whole, 4096 bytes: func.return needs all of its rows at once}}
  %logits = graph.matmul %h, %w {transpose_rhs} : (tensor<64x4xf32>, tensor<16x4xf32>) -> tensor<64x16xf32>
  return %logits : tensor<64x16xf32>
}

// -----

// Blocks of a part of a sequence: 96 rows of a sequence in three blocks. What reads a result before the last op of the blocks
// waits for them; a sum without a start starts at zero. The vocabulary has as many rows as there are tokens: W is no row value.
// CHECK-LABEL: func.func @parts
// CHECK:       %[[ZERO:.*]] = graph.constant dense<0.000000e+00> : tensor<96x4xf32>
// CHECK:       %[[R:.*]]:2 = graph.repeat @parts_rows carry(%[[ZERO]]) stacked(%{{.*}}) invariant(%{{.*}}) range(0, 3)
// CHECK:       graph.reshape %[[R]]#1 shape = [1, 96]
// CHECK:       graph.neg
func.func @parts(%h: tensor<1x96x4xf32>, %w: tensor<96x4xf32>) -> (tensor<1x96xf32>, tensor<96x4xf32>) {
  // expected-remark @below {{computed in blocks of 32 rows}}
  %logits = graph.matmul %h, %w {transpose_rhs} : (tensor<1x96x4xf32>, tensor<96x4xf32>) -> tensor<1x96x96xf32>
  %m = graph.reduce max %logits axes = [2] : (tensor<1x96x96xf32>) -> tensor<1x96xf32>
  %n = graph.neg %m : tensor<1x96xf32>
  %d = graph.reshape %logits shape = [96, 96] : tensor<1x96x96xf32>
  %h2 = graph.reshape %h shape = [96, 4] : tensor<1x96x4xf32>
  %dw = graph.matmul %d, %h2 {transpose_lhs} : (tensor<96x96xf32>, tensor<96x4xf32>) -> tensor<96x4xf32>
  return %n, %dw : tensor<1x96xf32>, tensor<96x4xf32>
}
