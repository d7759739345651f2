// RUN: weft-opt %s --canonicalize | FileCheck %s

// A repeat that runs no iteration gives back what it was given.
// CHECK-LABEL: func.func @never(
// CHECK-SAME:    %[[X:.*]]: tensor<4xf32>, %[[C:.*]]: tensor<6x4xf32>)
// CHECK-NEXT:    return %[[X]], %[[C]]
func.func private @cached(%x: tensor<4xf32>, %c: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  return %c, %x : tensor<4xf32>, tensor<4xf32>
}
func.func @never(%x: tensor<4xf32>, %c: tensor<6x4xf32>) -> (tensor<4xf32>, tensor<6x4xf32>) {
  %y:2 = graph.repeat @cached carry(%x) stacked(%c) invariant() range(2, 2) {tied = array<i64: 0>}
    : (tensor<4xf32>, tensor<6x4xf32>) -> (tensor<4xf32>, tensor<6x4xf32>)
  return %y#0, %y#1 : tensor<4xf32>, tensor<6x4xf32>
}
