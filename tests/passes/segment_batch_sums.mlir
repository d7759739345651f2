// RUN: weft-opt %s --segment-batch-sums=shards=3 -split-input-file -verify-diagnostics | FileCheck %s
// RUN: weft-opt %s --segment-batch-sums=shards=1 -split-input-file | FileCheck %s --check-prefix=ONE
// RUN: weft-opt %s --segment-batch-sums -split-input-file | FileCheck %s --check-prefix=ONE

// With one shard, the default, nothing changes, and neither a number of rows nor a transposition is refused.

// A weight's gradient sums over the rows of the micro-batch: a batched product of one chain a shard, whose
// slices are added as (0 + 1) + 2. The running gradient is added last, once.
// CHECK-LABEL: func.func private @weight_gradient
// CHECK-SAME:  (%[[ACC:[a-z0-9]*]]: tensor<4x5xf32>, %[[X:[a-z0-9]*]]: tensor<6x4xf32>,
// CHECK-SAME:     %[[DY:[a-z0-9]*]]: tensor<6x5xf32>)
// CHECK-DAG:   %[[XS:.*]] = graph.reshape %[[X]] shape = [3, 2, 4]
// CHECK-DAG:   %[[DYS:.*]] = graph.reshape %[[DY]] shape = [3, 2, 5]
// CHECK-DAG:   %[[P:.*]] = graph.matmul %[[XS]], %[[DYS]] {transpose_lhs} : {{.*}} -> tensor<3x4x5xf32>
// CHECK-DAG:   %[[S0:.*]] = graph.slice %[[P]] offsets = [0, 0, 0] sizes = [1, 4, 5]
// CHECK-DAG:   %[[S1:.*]] = graph.slice %[[P]] offsets = [1, 0, 0] sizes = [1, 4, 5]
// CHECK-DAG:   %[[S2:.*]] = graph.slice %[[P]] offsets = [2, 0, 0] sizes = [1, 4, 5]
// CHECK-DAG:   %[[V0:.*]] = graph.reshape %[[S0]] shape = [4, 5]
// CHECK-DAG:   %[[V1:.*]] = graph.reshape %[[S1]] shape = [4, 5]
// CHECK-DAG:   %[[V2:.*]] = graph.reshape %[[S2]] shape = [4, 5]
// CHECK-DAG:   %[[V01:.*]] = graph.add %[[V0]], %[[V1]] :
// CHECK-DAG:   %[[V012:.*]] = graph.add %[[V01]], %[[V2]] :
// CHECK:       %[[SUM:.*]] = graph.add %[[ACC]], %[[V012]] :
// CHECK-NEXT:  return %[[SUM]]
// ONE-LABEL: func.func private @weight_gradient
// ONE-NEXT:    graph.matmul %{{.*}}, %{{.*}} acc %{{.*}} {transpose_lhs}
func.func private @weight_gradient(%acc: tensor<4x5xf32>, %x: tensor<6x4xf32>, %dy: tensor<6x5xf32>)
    -> tensor<4x5xf32> {
  %d = graph.matmul %x, %dy acc %acc {transpose_lhs} : (tensor<6x4xf32>, tensor<6x5xf32>, tensor<4x5xf32>)
      -> tensor<4x5xf32>
  return %d : tensor<4x5xf32>
}
func.func @entry(%acc: tensor<4x5xf32>, %x: tensor<?x6x4xf32>, %dy: tensor<?x6x5xf32>) -> tensor<4x5xf32> {
  %r = graph.repeat @weight_gradient carry(%acc) stacked(%x, %dy) invariant() range(0, 0)
      {tied = array<i64>, dynamic}
    : (tensor<4x5xf32>, tensor<?x6x4xf32>, tensor<?x6x5xf32>) -> tensor<4x5xf32>
  return %r : tensor<4x5xf32>
}

// -----

// A bias's gradient, from rows that views and elementwise ops made of the batch (batch, seq, dim).
// CHECK-LABEL: func.func private @bias_gradient
// CHECK-SAME:  (%[[ACC:[a-z0-9]*]]: tensor<4xf32>, %[[X:[a-z0-9]*]]: tensor<6x2x4xf32>)
// CHECK:       %[[E:.*]] = graph.exp %[[X]]
// CHECK:       %[[ROWS:.*]] = graph.reshape %[[E]] shape = [12, 4]
// CHECK:       %[[PARTS:.*]] = graph.reshape %[[ROWS]] shape = [3, 4, 4]
// CHECK:       %[[SUMS:.*]] = graph.reduce sum %[[PARTS]] axes = [1] : (tensor<3x4x4xf32>) -> tensor<3x4xf32>
// CHECK-DAG:   graph.slice %[[SUMS]] offsets = [0, 0] sizes = [1, 4]
// CHECK-DAG:   graph.slice %[[SUMS]] offsets = [1, 0] sizes = [1, 4]
// CHECK-DAG:   graph.slice %[[SUMS]] offsets = [2, 0] sizes = [1, 4]
// CHECK:       graph.add %[[ACC]], %{{.*}} :
// ONE-LABEL: func.func private @bias_gradient
// ONE:         graph.reduce sum %{{.*}} acc %{{.*}} axes = [0]
func.func private @bias_gradient(%acc: tensor<4xf32>, %x: tensor<6x2x4xf32>) -> tensor<4xf32> {
  %e = graph.exp %x : tensor<6x2x4xf32>
  %rows = graph.reshape %e shape = [12, 4] : tensor<6x2x4xf32>
  %d = graph.reduce sum %rows acc %acc axes = [0] : (tensor<12x4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %d : tensor<4xf32>
}
func.func @entry(%acc: tensor<4xf32>, %x: tensor<?x6x2x4xf32>) -> tensor<4xf32> {
  %r = graph.repeat @bias_gradient carry(%acc) stacked(%x) invariant() range(0, 0) {tied = array<i64>, dynamic}
    : (tensor<4xf32>, tensor<?x6x2x4xf32>) -> tensor<4xf32>
  return %r : tensor<4xf32>
}

// -----

// An embedding's gradient: each shard adds its tokens to a table of zeros, then the tables are added, then
// the running gradient.
// CHECK-LABEL: func.func private @table_gradient
// CHECK-SAME:  (%[[ACC:[a-z0-9]*]]: tensor<16x4xf32>
// CHECK-DAG:   %[[ZEROS:.*]] = graph.constant dense<0.0{{.*}}> : tensor<16x4xf32>
// CHECK-DAG:   %[[T0:.*]] = graph.scatter_add %[[ZEROS]], {{.*}} : ({{.*}}, tensor<2x2xi32>, tensor<2x2x4xf32>)
// CHECK:       %[[T1:.*]] = graph.scatter_add %[[ZEROS]], {{.*}} : ({{.*}}, tensor<2x2xi32>, tensor<2x2x4xf32>)
// CHECK:       %[[T2:.*]] = graph.scatter_add %[[ZEROS]], {{.*}} : ({{.*}}, tensor<2x2xi32>, tensor<2x2x4xf32>)
// CHECK:       %[[T01:.*]] = graph.add %[[T0]], %[[T1]] :
// CHECK:       %[[T012:.*]] = graph.add %[[T01]], %[[T2]] :
// CHECK:       graph.add %[[ACC]], %[[T012]] :
// ONE-LABEL: func.func private @table_gradient
// ONE-NEXT:    graph.scatter_add
// ONE-NEXT:    return
func.func private @table_gradient(%acc: tensor<16x4xf32>, %tokens: tensor<6x2xi32>, %dx: tensor<6x2x4xf32>)
    -> tensor<16x4xf32> {
  %d = graph.scatter_add %acc, %tokens, %dx : (tensor<16x4xf32>, tensor<6x2xi32>, tensor<6x2x4xf32>)
      -> tensor<16x4xf32>
  return %d : tensor<16x4xf32>
}
func.func @entry(%acc: tensor<16x4xf32>, %tokens: tensor<?x6x2xi32>, %dx: tensor<?x6x2x4xf32>)
    -> tensor<16x4xf32> {
  %r = graph.repeat @table_gradient carry(%acc) stacked(%tokens, %dx) invariant() range(0, 0)
      {tied = array<i64>, dynamic}
    : (tensor<16x4xf32>, tensor<?x6x2xi32>, tensor<?x6x2x4xf32>) -> tensor<16x4xf32>
  return %r : tensor<16x4xf32>
}

// -----

// What does not sum over the batch stays whole: products over features, row sums, maxima, and sums over
// parameters.
// CHECK-LABEL: func.func private @other_sums
// CHECK-NEXT:  graph.matmul %{{.*}}, %{{.*}} : (tensor<6x4xf32>, tensor<4x4xf32>)
// CHECK-NEXT:  graph.reduce sum %{{.*}} axes = [1]
// CHECK-NEXT:  graph.reduce max %{{.*}} axes = [0]
// CHECK-NEXT:  graph.reduce sum %{{.*}} axes = [0] : (tensor<4x4xf32>)
// CHECK-NEXT:  graph.matmul %{{.*}}, %{{.*}} {transpose_lhs} : (tensor<4x4xf32>, tensor<4x4xf32>)
// CHECK-NEXT:  return
func.func private @other_sums(%c: tensor<4xf32>, %x: tensor<6x4xf32>, %w: tensor<4x4xf32>)
    -> (tensor<4xf32>) {
  %y = graph.matmul %x, %w : (tensor<6x4xf32>, tensor<4x4xf32>) -> tensor<6x4xf32>
  %row = graph.reduce sum %y axes = [1] : (tensor<6x4xf32>) -> tensor<6xf32>
  %top = graph.reduce max %y axes = [0] : (tensor<6x4xf32>) -> tensor<4xf32>
  %column = graph.reduce sum %w axes = [0] : (tensor<4x4xf32>) -> tensor<4xf32>
  %square = graph.matmul %w, %w {transpose_lhs} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %column : tensor<4xf32>
}
func.func @entry(%c: tensor<4xf32>, %x: tensor<?x6x4xf32>, %w: tensor<4x4xf32>) -> tensor<4xf32> {
  %r = graph.repeat @other_sums carry(%c) stacked(%x) invariant(%w) range(0, 0) {tied = array<i64>, dynamic}
    : (tensor<4xf32>, tensor<?x6x4xf32>, tensor<4x4xf32>) -> tensor<4xf32>
  return %r : tensor<4xf32>
}

// -----

// Sums in a layer's body are cut too: there the batch comes in as the carry.
// CHECK-LABEL: func.func private @layer
// CHECK:       graph.matmul %{{.*}}, %{{.*}} {transpose_lhs} : (tensor<3x2x4xf32>, tensor<3x2x4xf32>)
// CHECK-SAME:     -> tensor<3x4x4xf32>
// CHECK-COUNT-2: graph.add
// CHECK:       return
func.func private @layer(%x: tensor<6x4xf32>, %w: tensor<4x4xf32>) -> (tensor<6x4xf32>, tensor<4x4xf32>) {
  %y = graph.matmul %x, %w : (tensor<6x4xf32>, tensor<4x4xf32>) -> tensor<6x4xf32>
  %d = graph.matmul %y, %x {transpose_lhs} : (tensor<6x4xf32>, tensor<6x4xf32>) -> tensor<4x4xf32>
  return %y, %d : tensor<6x4xf32>, tensor<4x4xf32>
}
func.func private @step(%c: tensor<2x4x4xf32>, %x: tensor<6x4xf32>, %w: tensor<2x4x4xf32>)
    -> tensor<2x4x4xf32> {
  %y, %d = graph.repeat @layer carry(%x) stacked(%w) invariant() range(0, 2) {tied = array<i64: -1>}
    : (tensor<6x4xf32>, tensor<2x4x4xf32>) -> (tensor<6x4xf32>, tensor<2x4x4xf32>)
  return %d : tensor<2x4x4xf32>
}
func.func @entry(%c: tensor<2x4x4xf32>, %x: tensor<?x6x4xf32>, %w: tensor<2x4x4xf32>) -> tensor<2x4x4xf32> {
  %r = graph.repeat @step carry(%c) stacked(%x) invariant(%w) range(0, 0) {tied = array<i64>, dynamic}
    : (tensor<2x4x4xf32>, tensor<?x6x4xf32>, tensor<2x4x4xf32>) -> tensor<2x4x4xf32>
  return %r : tensor<2x4x4xf32>
}

// -----

// Outside a loop over micro-batches there is no batch: nothing is cut.
// CHECK-LABEL: func.func @no_micro_batches
// CHECK-NEXT:  graph.matmul %{{.*}}, %{{.*}} {transpose_lhs}
// CHECK-NEXT:  return
func.func @no_micro_batches(%x: tensor<6x4xf32>, %dy: tensor<6x5xf32>) -> tensor<4x5xf32> {
  %d = graph.matmul %x, %dy {transpose_lhs} : (tensor<6x4xf32>, tensor<6x5xf32>) -> tensor<4x5xf32>
  return %d : tensor<4x5xf32>
}

// -----

// Rows that the shards do not divide.
// ONE-LABEL: func.func private @seven_rows
// ONE-NEXT:    graph.reduce sum %{{.*}} acc %{{.*}} axes = [0]
func.func private @seven_rows(%acc: tensor<4xf32>, %x: tensor<7x4xf32>) -> tensor<4xf32> {
  // expected-error@below {{sums over 7 rows, not a multiple of 3 virtual shards}}
  %d = graph.reduce sum %x acc %acc axes = [0] : (tensor<7x4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %d : tensor<4xf32>
}
func.func @entry(%acc: tensor<4xf32>, %x: tensor<?x7x4xf32>) -> tensor<4xf32> {
  %r = graph.repeat @seven_rows carry(%acc) stacked(%x) invariant() range(0, 0) {tied = array<i64>, dynamic}
    : (tensor<4xf32>, tensor<?x7x4xf32>) -> tensor<4xf32>
  return %r : tensor<4xf32>
}

// -----

// A batch that does not stay in front cannot be followed.
// ONE-LABEL: func.func private @batch_behind
// ONE-NEXT:    graph.transpose
func.func private @batch_behind(%acc: tensor<4xf32>, %x: tensor<6x4xf32>) -> tensor<4xf32> {
  // expected-error@below {{moves the batch dimension, which virtual shards need first}}
  %t = graph.transpose %x permutation = [1, 0] : tensor<6x4xf32>
  %d = graph.reduce sum %t axes = [1] : (tensor<4x6xf32>) -> tensor<4xf32>
  return %d : tensor<4xf32>
}
func.func @entry(%acc: tensor<4xf32>, %x: tensor<?x6x4xf32>) -> tensor<4xf32> {
  %r = graph.repeat @batch_behind carry(%acc) stacked(%x) invariant() range(0, 0) {tied = array<i64>, dynamic}
    : (tensor<4xf32>, tensor<?x6x4xf32>) -> tensor<4xf32>
  return %r : tensor<4xf32>
}

// -----

// A weight's gradient is a sum over the batch, and no batch itself: its own sum and its transpose stay whole.
// CHECK-LABEL: func.func private @weight_layer
// CHECK:         graph.add
// CHECK:         %[[D:.*]] = graph.add
// CHECK:         graph.transpose %[[D]]
// CHECK:         graph.reduce sum %[[D]] axes = [0] : (tensor<4x4xf32>) -> tensor<4xf32>
func.func private @weight_layer(%dy: tensor<6x4xf32>, %x: tensor<6x4xf32>)
    -> (tensor<6x4xf32>, tensor<4xf32>, tensor<4x4xf32>) {
  %d = graph.matmul %x, %dy {transpose_lhs} : (tensor<6x4xf32>, tensor<6x4xf32>) -> tensor<4x4xf32>
  %u = graph.transpose %d permutation = [1, 0] : tensor<4x4xf32>
  %t = graph.reduce sum %d axes = [0] : (tensor<4x4xf32>) -> tensor<4xf32>
  return %dy, %t, %u : tensor<6x4xf32>, tensor<4xf32>, tensor<4x4xf32>
}
func.func private @weight_step(%g: tensor<2x4xf32>, %u: tensor<2x4x4xf32>, %dy: tensor<6x4xf32>, %x: tensor<2x6x4xf32>)
    -> (tensor<2x4xf32>, tensor<2x4x4xf32>) {
  %y, %ds, %us = graph.repeat @weight_layer carry(%dy) stacked(%x) invariant() range(0, 2) {tied = array<i64: -1, -1>}
    : (tensor<6x4xf32>, tensor<2x6x4xf32>) -> (tensor<6x4xf32>, tensor<2x4xf32>, tensor<2x4x4xf32>)
  %h = graph.add %ds, %g : tensor<2x4xf32>
  %v = graph.add %us, %u : tensor<2x4x4xf32>
  return %h, %v : tensor<2x4xf32>, tensor<2x4x4xf32>
}
func.func @weight_entry(%g: tensor<2x4xf32>, %u: tensor<2x4x4xf32>, %dy: tensor<?x6x4xf32>, %x: tensor<?x2x6x4xf32>)
    -> (tensor<2x4xf32>, tensor<2x4x4xf32>) {
  %r:2 = graph.repeat @weight_step carry(%g, %u) stacked(%dy, %x) invariant() range(0, 0) {tied = array<i64>, dynamic}
    : (tensor<2x4xf32>, tensor<2x4x4xf32>, tensor<?x6x4xf32>, tensor<?x2x6x4xf32>) -> (tensor<2x4xf32>, tensor<2x4x4xf32>)
  return %r#0, %r#1 : tensor<2x4xf32>, tensor<2x4x4xf32>
}

// -----

// Learned positions: the indices are every batch's, the updates are this one's.
// CHECK-LABEL: func.func private @positions_step
// CHECK-COUNT-3: graph.scatter_add {{.*}} tensor<2x4xi32>, tensor<2x4x3xf32>
func.func private @positions_step(%g: tensor<4x3xf32>, %dy: tensor<6x4x3xf32>) -> tensor<4x3xf32> {
  %i = graph.iota tensor<6x4xi32> axis = 1
  %d = graph.scatter_add %g, %i, %dy : (tensor<4x3xf32>, tensor<6x4xi32>, tensor<6x4x3xf32>) -> tensor<4x3xf32>
  return %d : tensor<4x3xf32>
}
func.func @positions_entry(%g: tensor<4x3xf32>, %dy: tensor<?x6x4x3xf32>) -> tensor<4x3xf32> {
  %r = graph.repeat @positions_step carry(%g) stacked(%dy) invariant() range(0, 0) {tied = array<i64>, dynamic}
    : (tensor<4x3xf32>, tensor<?x6x4x3xf32>) -> tensor<4x3xf32>
  return %r : tensor<4x3xf32>
}

// -----

// A product whose right side alone is the batch's.
// CHECK-LABEL: func.func private @right_step
// CHECK:         graph.matmul {{.*}} {transpose_lhs} : (tensor<3x2x4xf32>, tensor<3x2x3xf32>) -> tensor<3x4x3xf32>
func.func private @right_step(%g: tensor<4x3xf32>, %dy: tensor<6x3xf32>) -> tensor<4x3xf32> {
  %i = graph.iota tensor<6x4xi32> axis = 0
  %x = graph.cast %i to f32 : tensor<6x4xi32>
  %d = graph.matmul %x, %dy acc %g {transpose_lhs} : (tensor<6x4xf32>, tensor<6x3xf32>, tensor<4x3xf32>) -> tensor<4x3xf32>
  return %d : tensor<4x3xf32>
}
func.func @right_entry(%g: tensor<4x3xf32>, %dy: tensor<?x6x3xf32>) -> tensor<4x3xf32> {
  %r = graph.repeat @right_step carry(%g) stacked(%dy) invariant() range(0, 0) {tied = array<i64>, dynamic}
    : (tensor<4x3xf32>, tensor<?x6x3xf32>) -> tensor<4x3xf32>
  return %r : tensor<4x3xf32>
}
