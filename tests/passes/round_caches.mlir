// RUN: weft-opt %s --round-caches -split-input-file 2>/dev/null | FileCheck %s

// A stack of caches that attention rounds in each layer holds bf16: rows are rounded as they are written. Prefill and decode share it.
// CHECK-LABEL: func.func private @layer
// CHECK-SAME:  (%[[X:.*]]: tensor<1x1x2x8xf32>, %[[C:.*]]: tensor<1x16x1x8xbf16>, %[[S:.*]]: tensor<1x1xi32>, %[[E:.*]]: tensor<1x1xi32>) -> (tensor<1x1x2x8xf32>, tensor<1x16x1x8xbf16>)
// CHECK:       %[[R:.*]] = graph.cast %{{.*}} to bf16 : tensor<1x1x1x8xf32>
// CHECK:       %[[K:.*]] = graph.write_rows %[[C]], %[[S]], %[[R]]
// CHECK:       %[[V:.*]] = graph.slice %[[K]] {{.*}} : tensor<1x16x1x8xbf16>
// CHECK-NOT:   graph.cast %[[K]]
// CHECK:       graph.attention %{{.*}}, %[[K]], %[[V]]
// CHECK-LABEL: func.func @decode
// CHECK:       %[[A:.*]] = graph.read @k_cache : tensor<3x1x16x1x8xbf16>
// CHECK:       %[[L:.*]]:2 = graph.repeat @layer {{.*}} -> (tensor<1x1x2x8xf32>, tensor<3x1x16x1x8xbf16>)
// CHECK:       graph.write @k_cache, %[[L]]#1 : tensor<3x1x16x1x8xbf16>
// CHECK:       graph.variable @k_cache : tensor<3x1x16x1x8xbf16>
func.func private @layer(%x: tensor<1x1x2x8xf32>, %c: tensor<1x16x1x8xf32>, %s: tensor<1x1xi32>, %e: tensor<1x1xi32>) -> (tensor<1x1x2x8xf32>, tensor<1x16x1x8xf32>) {
  %r = graph.slice %x offsets = [0, 0, 0, 0] sizes = [1, 1, 1, 8] : tensor<1x1x2x8xf32>
  %k = graph.write_rows %c, %s, %r : (tensor<1x16x1x8xf32>, tensor<1x1xi32>, tensor<1x1x1x8xf32>) -> tensor<1x16x1x8xf32>
  %v = graph.slice %k offsets = [0, 0, 0, 0] sizes = [1, 16, 1, 4] : tensor<1x16x1x8xf32>
  %q = graph.cast %x to bf16 : tensor<1x1x2x8xf32>
  %n = graph.cast %k to bf16 : tensor<1x16x1x8xf32>
  %m = graph.cast %v to bf16 : tensor<1x16x1x4xf32>
  %o, %l = graph.attention %q, %n, %m range %s, %e {scale = 0.5 : f64} : (tensor<1x1x2x8xbf16>, tensor<1x16x1x8xbf16>, tensor<1x16x1x4xbf16>, tensor<1x1xi32>, tensor<1x1xi32>) -> (tensor<1x1x2x4xbf16>, tensor<1x1x2xf32>)
  %f = graph.cast %o to f32 : tensor<1x1x2x4xbf16>
  %y = graph.concat %f, %f axis = 3 : tensor<1x1x2x4xf32>, tensor<1x1x2x4xf32>
  return %y, %k : tensor<1x1x2x8xf32>, tensor<1x16x1x8xf32>
}
func.func @decode(%x: tensor<1x1x2x8xf32>, %s: tensor<1x1xi32>, %e: tensor<1x1xi32>) -> tensor<1x1x2x8xf32> attributes {weft.entry, weft.frozen} {
  %c = graph.read @k_cache : tensor<3x1x16x1x8xf32>
  %y:2 = graph.repeat @layer carry(%x) stacked(%c) invariant(%s, %e) range(0, 3) {tied = array<i64: 0>}
    : (tensor<1x1x2x8xf32>, tensor<3x1x16x1x8xf32>, tensor<1x1xi32>, tensor<1x1xi32>) -> (tensor<1x1x2x8xf32>, tensor<3x1x16x1x8xf32>)
  graph.write @k_cache, %y#1 : tensor<3x1x16x1x8xf32>
  return %y#0 : tensor<1x1x2x8xf32>
}
graph.variable @k_cache : tensor<3x1x16x1x8xf32> {kind = 2 : i64, init = 0 : i64}

// -----

// One that an entry also reads as it is stays f32, and so does one that nothing rounds, and a parameter.
// CHECK-LABEL: func.func @decode
// CHECK-DAG:   graph.read @seen : tensor<1x16x8xf32>
// CHECK-DAG:   graph.read @wide : tensor<1x16x8xf32>
// CHECK-DAG:   graph.read @weight : tensor<1x16x8xf32>
// CHECK:       return
graph.variable @seen : tensor<1x16x8xf32> {kind = 2 : i64, init = 0 : i64}
graph.variable @wide : tensor<1x16x8xf32> {kind = 2 : i64, init = 0 : i64}
graph.variable @weight : tensor<1x16x8xf32> {kind = 0 : i64, init = 0 : i64}
func.func @decode(%x: tensor<1x1x8xf32>, %s: tensor<1x1xi32>) -> (tensor<1x16x8xf32>, tensor<1x16x8xbf16>, tensor<1x16x8xf32>, tensor<1x16x8xbf16>) attributes {weft.entry, weft.frozen} {
  %c = graph.read @seen : tensor<1x16x8xf32>
  %k = graph.write_rows %c, %s, %x : (tensor<1x16x8xf32>, tensor<1x1xi32>, tensor<1x1x8xf32>) -> tensor<1x16x8xf32>
  graph.write @seen, %k : tensor<1x16x8xf32>
  %e = graph.exp %k : tensor<1x16x8xf32>
  %n = graph.cast %k to bf16 : tensor<1x16x8xf32>
  %d = graph.read @wide : tensor<1x16x8xf32>
  %l = graph.write_rows %d, %s, %x : (tensor<1x16x8xf32>, tensor<1x1xi32>, tensor<1x1x8xf32>) -> tensor<1x16x8xf32>
  graph.write @wide, %l : tensor<1x16x8xf32>
  %w = graph.read @weight : tensor<1x16x8xf32>
  %m = graph.cast %w to bf16 : tensor<1x16x8xf32>
  return %e, %n, %l, %m : tensor<1x16x8xf32>, tensor<1x16x8xbf16>, tensor<1x16x8xf32>, tensor<1x16x8xbf16>
}
