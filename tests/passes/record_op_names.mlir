// RUN: weft-opt %s --record-op-names --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %s

// The op's name goes around its place; what has no place stays without, and so do ops of other dialects.
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: graph.cos {{.*}} loc(fused<"graph.cos">["layers.mlp"("model.cc":3:4)])
  %a = graph.cos %x : tensor<4xf32> loc("layers.mlp"("model.cc":3:4))
  // CHECK: graph.exp {{.*}} loc(unknown)
  %b = graph.exp %a : tensor<4xf32> loc(unknown)
  // CHECK: return {{.*}} loc("model.cc":5:1)
  return %b : tensor<4xf32> loc("model.cc":5:1)
}
