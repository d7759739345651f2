// RUN: weft-opt %s --peel-repeats=first=1 -split-input-file | FileCheck %s
// RUN: weft-opt %s --peel-repeats=last=6 -split-input-file | FileCheck %s --check-prefix=ALL

// The first layer in place, on its slice; a slice that updates a stack goes back among the others.
// CHECK-LABEL: func.func @caches
// CHECK:         %[[S:.*]] = graph.slice %[[C:.*]] offsets = [0, 0] sizes = [1, 4]
// CHECK:         %[[V:.*]] = graph.reshape %[[S]] shape = [4]
// CHECK:         %[[D:.*]] = graph.add %[[V]], %{{.*}}
// CHECK:         %[[N:.*]] = graph.reshape %[[D]] shape = [1, 4]
// CHECK:         %[[R:.*]] = graph.slice %[[C]] offsets = [1, 0] sizes = [5, 4]
// CHECK:         %[[J:.*]] = graph.concat %[[N]], %[[R]] axis = 0
// CHECK:         graph.repeat @layer carry(%[[D]]) stacked(%[[J]]) invariant() range(1, 6)
// ALL-LABEL:   func.func @caches
// ALL-COUNT-6:   graph.add
// ALL-NOT:       graph.repeat
func.func private @layer(%x: tensor<4xf32>, %c: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %d = graph.add %c, %x : tensor<4xf32>
  return %d, %d : tensor<4xf32>, tensor<4xf32>
}
func.func @caches(%x: tensor<4xf32>, %c: tensor<6x4xf32>) -> (tensor<4xf32>, tensor<6x4xf32>) {
  %y:2 = graph.repeat @layer carry(%x) stacked(%c) invariant() range(0, 6) {tied = array<i64: 0>}
    : (tensor<4xf32>, tensor<6x4xf32>) -> (tensor<4xf32>, tensor<6x4xf32>)
  return %y#0, %y#1 : tensor<4xf32>, tensor<6x4xf32>
}

// -----

// Downwards the first to run is the last index: first=1 still means index 0, which comes last.
// CHECK-LABEL: func.func @downwards
// CHECK:         %[[Y:.*]] = graph.repeat @layer {{.*}} range(1, 6) {reverse
// CHECK:         graph.slice %{{.*}} offsets = [0, 0] sizes = [1, 4]
// CHECK:         graph.mul %[[Y]]
func.func private @layer(%x: tensor<4xf32>, %w: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.mul %x, %w : tensor<4xf32>
  return %y : tensor<4xf32>
}
func.func @downwards(%x: tensor<4xf32>, %w: tensor<6x4xf32>) -> tensor<4xf32> {
  %y = graph.repeat @layer carry(%x) stacked(%w) invariant() range(0, 6) {tied = array<i64>, reverse}
    : (tensor<4xf32>, tensor<6x4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
