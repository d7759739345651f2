// RUN: weft-opt %s --derive-weights --canonicalize -split-input-file | FileCheck %s

// Two entries with frozen parameters round the same weight, one of them before a repeat's stack: it is rounded once, by @derive.
// What depends on an input stays, and so do views of the rounded weight and what another entry does with it.
// CHECK-LABEL: func.func @decode
// CHECK-NOT:   to bf16 : tensor<4x8xf32>
// CHECK-DAG:   %[[W:.*]] = graph.read @w.derived
// CHECK-DAG:   graph.transpose %[[W]]
// CHECK-DAG:   %[[L:.*]] = graph.read @layers.derived
// CHECK-DAG:   graph.repeat @layer carry(%{{.*}}) stacked(%[[L]])
// CHECK-DAG:   graph.cast %{{.*}} to bf16 : tensor<1x8xf32>
// CHECK-LABEL: func.func @prefill
// CHECK:       graph.read @w.derived
// CHECK-NOT:   graph.cast %{{.*}} to bf16
// CHECK:       return
// CHECK-LABEL: func.func @train
// CHECK:       graph.cast %{{.*}} to bf16 : tensor<4x8xf32>
// CHECK-LABEL: func.func @derive() attributes {weft.entry}
// CHECK-DAG:   %[[A:.*]] = graph.read @w
// CHECK-DAG:   %[[B:.*]] = graph.cast %[[A]] to bf16
// CHECK-DAG:   graph.write @w.derived, %[[B]]
// CHECK-DAG:   graph.write @layers.derived
graph.variable @w : tensor<4x8xf32> {kind = 0 : i64, init = 0 : i64}
graph.variable @layers : tensor<2x4x4xf32> {kind = 0 : i64, init = 0 : i64}
func.func private @layer(%x: tensor<1x4xf32>, %w: tensor<4x4xbf16>) -> tensor<1x4xf32> {
  %n = graph.cast %x to bf16 : tensor<1x4xf32>
  %y = graph.matmul %n, %w : (tensor<1x4xbf16>, tensor<4x4xbf16>) -> tensor<1x4xf32>
  return %y : tensor<1x4xf32>
}
func.func @decode(%x: tensor<1x8xf32>) -> tensor<1x4xf32> attributes {weft.entry, weft.frozen} {
  %w = graph.read @w : tensor<4x8xf32>
  %r = graph.cast %w to bf16 : tensor<4x8xf32>
  %t = graph.transpose %r permutation = [1, 0] : tensor<4x8xbf16>
  %n = graph.cast %x to bf16 : tensor<1x8xf32>
  %y = graph.matmul %n, %t : (tensor<1x8xbf16>, tensor<8x4xbf16>) -> tensor<1x4xf32>
  %l = graph.read @layers : tensor<2x4x4xf32>
  %s = graph.cast %l to bf16 : tensor<2x4x4xf32>
  %z = graph.repeat @layer carry(%y) stacked(%s) invariant() range(0, 2) {tied = array<i64>} : (tensor<1x4xf32>, tensor<2x4x4xbf16>) -> tensor<1x4xf32>
  return %z : tensor<1x4xf32>
}
func.func @prefill(%x: tensor<3x8xbf16>) -> tensor<3x4xf32> attributes {weft.entry, weft.frozen} {
  %w = graph.read @w : tensor<4x8xf32>
  %r = graph.cast %w to bf16 : tensor<4x8xf32>
  %y = graph.matmul %x, %r {transpose_rhs} : (tensor<3x8xbf16>, tensor<4x8xbf16>) -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}
func.func @train(%x: tensor<3x8xbf16>) -> tensor<3x4xf32> attributes {weft.entry} {
  %w = graph.read @w : tensor<4x8xf32>
  %r = graph.cast %w to bf16 : tensor<4x8xf32>
  %y = graph.matmul %x, %r {transpose_rhs} : (tensor<3x8xbf16>, tensor<4x8xbf16>) -> tensor<3x4xf32>
  graph.write @w, %w : tensor<4x8xf32>
  return %y : tensor<3x4xf32>
}

// -----

// A rounded weight that products alone read, here the slices of a stack, is kept in panels: 64 rows are two of them, k in pairs.
// The body reads a panel's slice as the matrix it stands for.
// CHECK-LABEL: func.func private @layer
// CHECK-SAME:  (%[[X:.*]]: tensor<1x64xbf16>, %[[P:.*]]: tensor<2x32x32x2xbf16>)
// CHECK-NEXT:  %[[T:.*]] = graph.transpose %[[P]] permutation = [0, 2, 1, 3]
// CHECK-NEXT:  %[[W:.*]] = graph.reshape %[[T]] shape = [64, 64]
// CHECK-NEXT:  %[[Y:.*]] = graph.matmul %[[X]], %[[W]] {transpose_rhs}
// CHECK-LABEL: func.func @decode
// CHECK:       %[[R:.*]] = graph.read @w.derived : tensor<3x2x32x32x2xbf16>
// CHECK:       graph.repeat @layer carry(%{{.*}}) stacked(%[[R]])
// CHECK-LABEL: func.func @derive
// CHECK:       %[[F:.*]] = graph.read @w : tensor<3x64x64xf32>
// CHECK:       %[[S:.*]] = graph.reshape %[[F]] shape = [3, 2, 32, 32, 2]
// CHECK:       %[[Q:.*]] = graph.transpose %[[S]] permutation = [0, 1, 3, 2, 4]
// CHECK:       %[[C:.*]] = graph.cast %[[Q]] to bf16
// CHECK:       graph.write @w.derived, %[[C]]
graph.variable @w : tensor<3x64x64xf32> {kind = 0 : i64, init = 0 : i64}
func.func private @layer(%x: tensor<1x64xbf16>, %w: tensor<64x64xbf16>) -> tensor<1x64xbf16> {
  %y = graph.matmul %x, %w {transpose_rhs} : (tensor<1x64xbf16>, tensor<64x64xbf16>) -> tensor<1x64xf32>
  %n = graph.cast %y to bf16 : tensor<1x64xf32>
  return %n : tensor<1x64xbf16>
}
func.func @decode(%x: tensor<1x64xbf16>) -> tensor<1x64xbf16> attributes {weft.entry, weft.frozen} {
  %l = graph.read @w : tensor<3x64x64xf32>
  %s = graph.cast %l to bf16 : tensor<3x64x64xf32>
  %z = graph.repeat @layer carry(%x) stacked(%s) invariant() range(0, 3) {tied = array<i64>} : (tensor<1x64xbf16>, tensor<3x64x64xbf16>) -> tensor<1x64xbf16>
  return %z : tensor<1x64xbf16>
}

// -----

// Where another op reads the rounded weight too it is kept as it is. Panels that a weight does not fill are filled up.
// CHECK-LABEL: func.func @decode
// CHECK-DAG:   graph.read @both.derived : tensor<64x64xbf16>
// CHECK-DAG:   %[[P:.*]] = graph.read @odd.derived : tensor<2x32x32x2xbf16>
// CHECK-DAG:   %[[T:.*]] = graph.transpose %[[P]] permutation = [1, 3, 0, 2]
// CHECK-DAG:   %[[W:.*]] = graph.reshape %[[T]] shape = [64, 64]
// CHECK-DAG:   %[[S:.*]] = graph.slice %[[W]] offsets = [0, 0] sizes = [64, 48]
// CHECK-DAG:   graph.matmul %{{.*}}, %[[S]]
// CHECK:       return
// CHECK-LABEL: func.func @derive
// CHECK:       %[[F:.*]] = graph.read @odd
// CHECK:       graph.pad %[[F]] low = [0, 0] high = [0, 16]
graph.variable @both : tensor<64x64xf32> {kind = 0 : i64, init = 0 : i64}
graph.variable @odd : tensor<64x48xf32> {kind = 0 : i64, init = 0 : i64}
func.func @decode(%x: tensor<1x64xbf16>, %i: tensor<1xi32>) -> (tensor<1x64xf32>, tensor<1x64xbf16>, tensor<1x48xf32>) attributes {weft.entry, weft.frozen} {
  %b = graph.read @both : tensor<64x64xf32>
  %r = graph.cast %b to bf16 : tensor<64x64xf32>
  %y = graph.matmul %x, %r {transpose_rhs} : (tensor<1x64xbf16>, tensor<64x64xbf16>) -> tensor<1x64xf32>
  %g = graph.gather %r, %i : (tensor<64x64xbf16>, tensor<1xi32>) -> tensor<1x64xbf16>
  %o = graph.read @odd : tensor<64x48xf32>
  %s = graph.cast %o to bf16 : tensor<64x48xf32>
  %z = graph.matmul %x, %s : (tensor<1x64xbf16>, tensor<64x48xbf16>) -> tensor<1x48xf32>
  return %y, %g, %z : tensor<1x64xf32>, tensor<1x64xbf16>, tensor<1x48xf32>
}

// -----

// Panels of matrices that lie one after another: those of experts, and those of heads, which are a view of a weight.
// CHECK-LABEL: func.func @decode
// CHECK-DAG:   %[[P:.*]] = graph.read @experts.derived : tensor<3x1x32x32x2xbf16>
// CHECK-DAG:   %[[T:.*]] = graph.transpose %[[P]] permutation = [0, 1, 3, 2, 4]
// CHECK-DAG:   %[[W:.*]] = graph.reshape %[[T]] shape = [3, 32, 64]
// CHECK-DAG:   graph.grouped_matmul %{{.*}}, %[[W]], %{{.*}} {transpose_rhs}
// CHECK-DAG:   %[[H:.*]] = graph.read @heads.derived : tensor<2x2x16x32x2xbf16>
// CHECK-DAG:   %[[U:.*]] = graph.transpose %[[H]] permutation = [0, 2, 4, 1, 3]
// CHECK-DAG:   %[[V:.*]] = graph.reshape %[[U]] shape = [2, 32, 64]
// CHECK-DAG:   graph.matmul %{{.*}}, %[[V]]
// CHECK:       return
graph.variable @experts : tensor<3x32x64xf32> {kind = 0 : i64, init = 0 : i64}
graph.variable @heads : tensor<96x64xf32> {kind = 0 : i64, init = 0 : i64}
func.func @decode(%x: tensor<4x64xbf16>, %o: tensor<4xi32>, %q: tensor<2x1x32xbf16>) -> (tensor<4x32xf32>, tensor<2x1x64xf32>) attributes {weft.entry, weft.frozen} {
  %e = graph.read @experts : tensor<3x32x64xf32>
  %r = graph.cast %e to bf16 : tensor<3x32x64xf32>
  %y = graph.grouped_matmul %x, %r, %o {transpose_rhs} : (tensor<4x64xbf16>, tensor<3x32x64xbf16>, tensor<4xi32>) -> tensor<4x32xf32>
  %h = graph.read @heads : tensor<96x64xf32>
  %m = graph.reshape %h shape = [2, 48, 64] : tensor<96x64xf32>
  %s = graph.slice %m offsets = [0, 16, 0] sizes = [2, 32, 64] : tensor<2x48x64xf32>
  %n = graph.cast %s to bf16 : tensor<2x32x64xf32>
  %z = graph.matmul %q, %n : (tensor<2x1x32xbf16>, tensor<2x32x64xbf16>) -> tensor<2x1x64xf32>
  return %y, %z : tensor<4x32xf32>, tensor<2x1x64xf32>
}
