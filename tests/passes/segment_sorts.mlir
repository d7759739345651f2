// RUN: weft-opt %s --segment-sorts=shards=2 -split-input-file -verify-diagnostics | FileCheck %s
// RUN: weft-opt %s --segment-sorts -split-input-file | FileCheck %s --check-prefix=ONE

// In a micro-batch step, and in what it calls, a sort says where each shard's choices begin within an expert.
// CHECK-LABEL: func.func private @loss
// CHECK:       graph.sort_by_expert %{{.*}} experts = 3 segments = 2 : {{.*}}tensor<7xi32>)
// CHECK:       graph.grouped_matmul {{.*}} : (tensor<8x5xf32>, tensor<3x5x6xf32>, tensor<7xi32>)
// ONE-LABEL:   func.func private @loss
// ONE:         graph.sort_by_expert %{{.*}} experts = 3 segments = 1 : {{.*}}tensor<4xi32>)
func.func private @loss(%i: tensor<4x2xi32>, %x: tensor<8x5xf32>, %w: tensor<3x5x6xf32>) -> tensor<8x6xf32> {
  %o, %t, %p, %f = graph.sort_by_expert %i experts = 3 segments = 1
    : (tensor<4x2xi32>) -> (tensor<8xi32>, tensor<8xi32>, tensor<4x2xi32>, tensor<4xi32>)
  %y = graph.grouped_matmul %x, %w, %f : (tensor<8x5xf32>, tensor<3x5x6xf32>, tensor<4xi32>) -> tensor<8x6xf32>
  return %y : tensor<8x6xf32>
}
func.func private @step(%acc: tensor<3x5x6xf32>, %i: tensor<4x2xi32>, %x: tensor<8x5xf32>, %w: tensor<3x5x6xf32>)
    -> tensor<3x5x6xf32> {
  %y = graph.repeat @loss_of carry(%acc) stacked() invariant(%i, %x, %w) range(0, 1) {tied = array<i64>}
    : (tensor<3x5x6xf32>, tensor<4x2xi32>, tensor<8x5xf32>, tensor<3x5x6xf32>) -> tensor<3x5x6xf32>
  return %y : tensor<3x5x6xf32>
}
func.func private @loss_of(%acc: tensor<3x5x6xf32>, %i: tensor<4x2xi32>, %x: tensor<8x5xf32>, %w: tensor<3x5x6xf32>)
    -> tensor<3x5x6xf32> {
  %y = func.call @loss(%i, %x, %w) : (tensor<4x2xi32>, tensor<8x5xf32>, tensor<3x5x6xf32>) -> tensor<8x6xf32>
  return %acc : tensor<3x5x6xf32>
}
func.func @entry(%acc: tensor<3x5x6xf32>, %i: tensor<?x4x2xi32>, %x: tensor<?x8x5xf32>, %w: tensor<3x5x6xf32>)
    -> tensor<3x5x6xf32> {
  %r = graph.repeat @step carry(%acc) stacked(%i, %x) invariant(%w) range(0, 0) {tied = array<i64>, dynamic}
    : (tensor<3x5x6xf32>, tensor<?x4x2xi32>, tensor<?x8x5xf32>, tensor<3x5x6xf32>) -> tensor<3x5x6xf32>
  return %r : tensor<3x5x6xf32>
}
// What no step calls (a prefill) keeps its sort, whatever its tokens.
// CHECK-LABEL: func.func @prefill
// CHECK:       experts = 3 segments = 1
func.func @prefill(%i: tensor<3x2xi32>) -> tensor<4xi32> {
  %o, %t, %p, %f = graph.sort_by_expert %i experts = 3 segments = 1
    : (tensor<3x2xi32>) -> (tensor<6xi32>, tensor<6xi32>, tensor<3x2xi32>, tensor<4xi32>)
  return %f : tensor<4xi32>
}
