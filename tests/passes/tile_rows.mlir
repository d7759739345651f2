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

// -----

// All rows times all rows: h is a row value and whole, also through a view. The whole one is an invariant of its own.
// CHECK-LABEL: func.func @similarity
// CHECK-SAME:  (%[[H:.*]]: tensor<64x4xf32>)
// CHECK:       %[[B:.*]] = graph.reshape %[[H]] shape = [2, 32, 4]
// CHECK:       graph.repeat @similarity_rows carry() stacked(%[[B]]) invariant(%[[H]]) range(0, 2)
// CHECK-LABEL: func.func private @similarity_rows
// CHECK-SAME:  (%[[X:.*]]: tensor<32x4xf32>, %[[ALL:.*]]: tensor<64x4xf32>)
// CHECK:       %[[T:.*]] = graph.transpose %[[ALL]]
// CHECK:       graph.matmul %[[X]], %[[T]]
func.func @similarity(%h: tensor<64x4xf32>) -> tensor<64xf32> {
  %t = graph.transpose %h permutation = [1, 0] : tensor<64x4xf32>
  // expected-remark @below {{computed in blocks of 32 rows}}
  %s = graph.matmul %h, %t : (tensor<64x4xf32>, tensor<4x64xf32>) -> tensor<64x64xf32>
  %m = graph.reduce max %s axes = [1] : (tensor<64x64xf32>) -> tensor<64xf32>
  return %m : tensor<64xf32>
}

// -----

// A constant that is a row value here, the start of a sum there, and returned as well: the block has its own, and the sum starts
// at the one outside.
// CHECK-LABEL: func.func @shared
// CHECK:       %[[ONE:.*]] = graph.constant dense<1.000000e+00> : tensor<64x64xf32>
// CHECK:       %[[R:.*]]:2 = graph.repeat @shared_rows carry(%[[ONE]])
// CHECK:       return %{{.*}}, %[[R]]#0, %[[ONE]]
func.func @shared(%h: tensor<64x4xf32>, %w: tensor<64x4xf32>) -> (tensor<64xf32>, tensor<64x64xf32>, tensor<64x64xf32>) {
  %one = graph.constant dense<1.0> : tensor<64x64xf32>
  // expected-remark @below {{computed in blocks of 32 rows}}
  %x = graph.matmul %h, %w {transpose_rhs} : (tensor<64x4xf32>, tensor<64x4xf32>) -> tensor<64x64xf32>
  %y = graph.max %x, %one : tensor<64x64xf32>
  %m = graph.reduce max %y axes = [1] : (tensor<64x64xf32>) -> tensor<64xf32>
  %d = graph.matmul %y, %y acc %one {transpose_lhs} : (tensor<64x64xf32>, tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  return %m, %d, %one : tensor<64xf32>, tensor<64x64xf32>, tensor<64x64xf32>
}

// -----

// A send that waits for the blocks may not come after a receive that stood behind it, also not inside a repeat.
// CHECK-LABEL: func.func @sends_first
// CHECK-NOT:   stacked(%{{.*}}) invariant
// CHECK:       dist.receive
func.func private @sends(%x: tensor<64xf32>) -> tensor<64xf32> {
  dist.send pipeline %x peer 1 tag 0 : tensor<64xf32>
  return %x : tensor<64xf32>
}
func.func @sends_first(%h: tensor<64x4xf32>, %w: tensor<96x4xf32>) -> (tensor<64xf32>, tensor<64xf32>, tensor<96x4xf32>) {
  // expected-remark @below {{kept whole, 24576 bytes: effects would change their order}}
  %x = graph.matmul %h, %w {transpose_rhs} : (tensor<64x4xf32>, tensor<96x4xf32>) -> tensor<64x96xf32>
  %m = graph.reduce max %x axes = [1] : (tensor<64x96xf32>) -> tensor<64xf32>
  %s = graph.repeat @sends carry(%m) stacked() invariant() range(0, 2) {tied = array<i64>} : (tensor<64xf32>) -> tensor<64xf32>
  %r = dist.receive pipeline peer 1 tag 1 : tensor<64xf32>
  %d = graph.matmul %x, %h {transpose_lhs} : (tensor<64x96xf32>, tensor<64x4xf32>) -> tensor<96x4xf32>
  return %s, %r, %d : tensor<64xf32>, tensor<64xf32>, tensor<96x4xf32>
}
