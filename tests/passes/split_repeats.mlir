// RUN: weft-opt %s --split-repeats=at=4 -split-input-file | FileCheck %s

// The second part goes on with what the first carried out; what was stacked anew is joined.
// CHECK-LABEL: func.func @layers
// CHECK:         %[[A:.*]]:2 = graph.repeat @layer carry(%{{.*}}) stacked(%[[W:.*]]) invariant() range(0, 4)
// CHECK-SAME:      -> (tensor<4xf32>, tensor<4x4xf32>)
// CHECK:         %[[B:.*]]:2 = graph.repeat @layer carry(%[[A]]#0) stacked(%[[W]]) invariant() range(4, 6)
// CHECK-SAME:      -> (tensor<4xf32>, tensor<2x4xf32>)
// CHECK:         %[[C:.*]] = graph.concat %[[A]]#1, %[[B]]#1 axis = 0
// CHECK:         return %[[B]]#0, %[[C]]
// Downwards, the upper part runs first.
// CHECK:       func.func @downwards
// CHECK:         %[[A:.*]]:2 = graph.repeat @layer {{.*}} range(4, 6) {reverse
// CHECK:         %[[B:.*]]:2 = graph.repeat @layer carry(%[[A]]#0) {{.*}} range(0, 4) {reverse
// CHECK:         graph.concat %[[B]]#1, %[[A]]#1 axis = 0
// A range that does not reach there stays.
// CHECK:       func.func @below
// CHECK-COUNT-1: graph.repeat
// CHECK-NOT:     graph.repeat
func.func private @layer(%x: tensor<4xf32>, %w: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %y = graph.mul %x, %w : tensor<4xf32>
  return %y, %x : tensor<4xf32>, tensor<4xf32>
}
func.func @layers(%x: tensor<4xf32>, %w: tensor<6x4xf32>) -> (tensor<4xf32>, tensor<6x4xf32>) {
  %y:2 = graph.repeat @layer carry(%x) stacked(%w) invariant() range(0, 6) {tied = array<i64: -1>}
    : (tensor<4xf32>, tensor<6x4xf32>) -> (tensor<4xf32>, tensor<6x4xf32>)
  return %y#0, %y#1 : tensor<4xf32>, tensor<6x4xf32>
}
func.func @downwards(%x: tensor<4xf32>, %w: tensor<6x4xf32>) -> (tensor<4xf32>, tensor<6x4xf32>) {
  %y:2 = graph.repeat @layer carry(%x) stacked(%w) invariant() range(0, 6) {tied = array<i64: -1>, reverse}
    : (tensor<4xf32>, tensor<6x4xf32>) -> (tensor<4xf32>, tensor<6x4xf32>)
  return %y#0, %y#1 : tensor<4xf32>, tensor<6x4xf32>
}
func.func @below(%x: tensor<4xf32>, %w: tensor<6x4xf32>) -> tensor<4xf32> {
  %y:2 = graph.repeat @layer carry(%x) stacked(%w) invariant() range(0, 4) {tied = array<i64: -1>}
    : (tensor<4xf32>, tensor<6x4xf32>) -> (tensor<4xf32>, tensor<4x4xf32>)
  return %y#0 : tensor<4xf32>
}

// -----

// A stack that the first part updated is what the second part updates further (a cache).
// CHECK-LABEL: func.func @caches
// CHECK:         %[[A:.*]]:2 = graph.repeat @layer carry(%{{.*}}) stacked(%{{.*}}) invariant() range(0, 4)
// CHECK:         %[[B:.*]]:2 = graph.repeat @layer carry(%[[A]]#0) stacked(%[[A]]#1) invariant() range(4, 6)
// CHECK:         return %[[B]]#0, %[[B]]#1
func.func private @layer(%x: tensor<4xf32>, %c: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %d = graph.add %c, %x : tensor<4xf32>
  return %d, %d : tensor<4xf32>, tensor<4xf32>
}
func.func @caches(%x: tensor<4xf32>, %c: tensor<6x4xf32>) -> (tensor<4xf32>, tensor<6x4xf32>) {
  %y:2 = graph.repeat @layer carry(%x) stacked(%c) invariant() range(0, 6) {tied = array<i64: 0>}
    : (tensor<4xf32>, tensor<6x4xf32>) -> (tensor<4xf32>, tensor<6x4xf32>)
  return %y#0, %y#1 : tensor<4xf32>, tensor<6x4xf32>
}
