// RUN: weft-opt %s --hoist-invariants --canonicalize -split-input-file | FileCheck %s

// Arithmetic on invariants alone happens once, in the caller, and its result is one more invariant.
// CHECK-LABEL: func.func private @layer
// CHECK-SAME:  (%[[X:.*]]: tensor<4xf32>, %[[POS:.*]]: tensor<4xf32>, %[[COS:.*]]: tensor<4xf32>)
// CHECK-NEXT:  %[[Y:.*]] = graph.mul %[[X]], %[[COS]]
// CHECK-NEXT:  return %[[Y]]
// CHECK-LABEL: func.func @caller
// CHECK-SAME:  (%[[X:.*]]: tensor<4xf32>, %[[POS:.*]]: tensor<4xf32>)
// CHECK:       %[[SCALED:.*]] = graph.mul %[[POS]]
// CHECK:       %[[COS:.*]] = graph.cos %[[SCALED]]
// CHECK:       graph.repeat @layer carry(%[[X]]) stacked() invariant(%[[POS]], %[[COS]]) range(0, 6)
func.func private @layer(%x: tensor<4xf32>, %pos: tensor<4xf32>) -> tensor<4xf32> {
  %f = graph.constant dense<0.5> : tensor<4xf32>
  %a = graph.mul %pos, %f : tensor<4xf32>
  %c = graph.cos %a : tensor<4xf32>
  %y = graph.mul %x, %c : tensor<4xf32>
  return %y : tensor<4xf32>
}
func.func @caller(%x: tensor<4xf32>, %pos: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.repeat @layer carry(%x) stacked() invariant(%pos) range(0, 6) {tied = array<i64>}
    : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// What reads the carry or a slice of a stacked operand stays, and so does what reads that.
// CHECK-LABEL: func.func private @layer
// CHECK-SAME:  (%[[X:.*]]: tensor<4xf32>, %[[W:.*]]: tensor<4xf32>, %[[S:.*]]: tensor<4xf32>) -> tensor<4xf32>
// CHECK-DAG:   %[[E:.*]] = graph.exp %[[W]]
// CHECK-DAG:   %[[M:.*]] = graph.mul %[[E]], %[[S]]
// CHECK-DAG:   %[[T:.*]] = graph.tanh %[[X]]
// CHECK:       graph.add %[[M]], %[[T]]
// CHECK-LABEL: func.func @caller
// CHECK-NEXT:  graph.repeat @layer carry(%{{.*}}) stacked(%{{.*}}) invariant(%{{[a-z0-9]*}}) range(0, 2)
// CHECK-NEXT:  return
func.func private @layer(%x: tensor<4xf32>, %w: tensor<4xf32>, %s: tensor<4xf32>) -> tensor<4xf32> {
  %e = graph.exp %w : tensor<4xf32>
  %m = graph.mul %e, %s : tensor<4xf32>
  %t = graph.tanh %x : tensor<4xf32>
  %y = graph.add %m, %t : tensor<4xf32>
  return %y : tensor<4xf32>
}
func.func @caller(%x: tensor<4xf32>, %w: tensor<2x4xf32>, %s: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.repeat @layer carry(%x) stacked(%w) invariant(%s) range(0, 2) {tied = array<i64>}
    : (tensor<4xf32>, tensor<2x4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Views and constants cost no arithmetic: with nothing else to move, the repeat keeps its operands.
// CHECK-LABEL: func.func private @layer
// CHECK:       graph.constant
// CHECK:       graph.broadcast
// CHECK-LABEL: func.func @caller
// CHECK-NEXT:  graph.repeat @layer carry(%{{.*}}) stacked() invariant(%{{[a-z0-9]*}}) range(0, 2)
// CHECK-NEXT:  return
func.func private @layer(%x: tensor<2x4xf32>, %s: tensor<4xf32>) -> tensor<2x4xf32> {
  %b = graph.broadcast %s dims = [1] shape = [2, 4] : tensor<4xf32>
  %c = graph.constant dense<2.0> : tensor<2x4xf32>
  %m = graph.mul %x, %b : tensor<2x4xf32>
  %y = graph.mul %m, %c : tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}
func.func @caller(%x: tensor<2x4xf32>, %s: tensor<4xf32>) -> tensor<2x4xf32> {
  %y = graph.repeat @layer carry(%x) stacked() invariant(%s) range(0, 2) {tied = array<i64>}
    : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// -----

// Between the arithmetic and its use, a broadcast: the small value before it is passed, and the body
// broadcasts.
// CHECK-LABEL: func.func private @layer
// CHECK-SAME:  %[[ONCE:[a-z0-9]*]]: tensor<4xf32>) -> tensor<2x4xf32>
// CHECK:       %[[B:.*]] = graph.broadcast %[[ONCE]]
// CHECK:       graph.mul %{{.*}}, %[[B]] : tensor<2x4xf32>
// CHECK-LABEL: func.func @caller
// CHECK-SAME:  %[[S:[a-z0-9]*]]: tensor<4xf32>)
// CHECK-NEXT:  %[[E:.*]] = graph.exp %[[S]]
// CHECK-NEXT:  graph.repeat @layer carry(%{{.*}}) stacked() invariant(%[[S]], %[[E]]) range(0, 2)
func.func private @layer(%x: tensor<2x4xf32>, %s: tensor<4xf32>) -> tensor<2x4xf32> {
  %e = graph.exp %s : tensor<4xf32>
  %b = graph.broadcast %e dims = [1] shape = [2, 4] : tensor<4xf32>
  %y = graph.mul %x, %b : tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}
func.func @caller(%x: tensor<2x4xf32>, %s: tensor<4xf32>) -> tensor<2x4xf32> {
  %y = graph.repeat @layer carry(%x) stacked() invariant(%s) range(0, 2) {tied = array<i64>}
    : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// -----

// Two repeats of one body share its new signature: each caller computes the value from its own operand.
// CHECK-LABEL: func.func private @layer
// CHECK-NOT:   graph.exp
// CHECK-LABEL: func.func @caller
// CHECK-SAME:  %[[S:[a-z0-9]*]]: tensor<4xf32>, %[[T:[a-z0-9]*]]: tensor<4xf32>)
// CHECK:       %[[ES:.*]] = graph.exp %[[S]]
// CHECK:       graph.repeat @layer carry(%{{.*}}) stacked() invariant(%[[S]], %[[ES]]) range(0, 2)
// CHECK:       %[[ET:.*]] = graph.exp %[[T]]
// CHECK:       graph.repeat @layer carry(%{{.*}}) stacked() invariant(%[[T]], %[[ET]]) range(2, 5)
func.func private @layer(%x: tensor<4xf32>, %s: tensor<4xf32>) -> tensor<4xf32> {
  %e = graph.exp %s : tensor<4xf32>
  %y = graph.mul %x, %e : tensor<4xf32>
  return %y : tensor<4xf32>
}
func.func @caller(%x: tensor<4xf32>, %s: tensor<4xf32>, %t: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.repeat @layer carry(%x) stacked() invariant(%s) range(0, 2) {tied = array<i64>}
    : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %z = graph.repeat @layer carry(%y) stacked() invariant(%t) range(2, 5) {tied = array<i64>}
    : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %z : tensor<4xf32>
}

// -----

// A repeat in a repeat: what depends on neither index leaves both bodies.
// CHECK-LABEL: func.func private @inner
// CHECK-NOT:   graph.exp
// CHECK-LABEL: func.func private @outer
// CHECK-NOT:   graph.exp
// CHECK-LABEL: func.func @caller
// CHECK:       graph.exp
// CHECK-NEXT:  graph.repeat @outer
func.func private @inner(%x: tensor<4xf32>, %s: tensor<4xf32>) -> tensor<4xf32> {
  %e = graph.exp %s : tensor<4xf32>
  %y = graph.mul %x, %e : tensor<4xf32>
  return %y : tensor<4xf32>
}
func.func private @outer(%x: tensor<4xf32>, %s: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.repeat @inner carry(%x) stacked() invariant(%s) range(0, 2) {tied = array<i64>}
    : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
func.func @caller(%x: tensor<4xf32>, %s: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.repeat @outer carry(%x) stacked() invariant(%s) range(0, 3) {tied = array<i64>}
    : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Through two repeats at once, though the outer body stands before the inner one.
// CHECK-LABEL: func.func @through_two
// CHECK:         %[[E:.*]] = graph.exp
// CHECK-NEXT:    graph.repeat @outer
// CHECK-SAME:      invariant({{.*}}%[[E]])
// CHECK-LABEL: func.func private @outer
// CHECK-NOT:     graph.exp
// CHECK-LABEL: func.func private @inner
// CHECK-NOT:     graph.exp
// CHECK:         return
func.func @through_two(%x: tensor<4xf32>, %s: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.repeat @outer carry(%x) stacked() invariant(%s) range(0, 3) {tied = array<i64>}
    : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
func.func private @outer(%x: tensor<4xf32>, %s: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.repeat @inner carry(%x) stacked() invariant(%s) range(0, 2) {tied = array<i64>}
    : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
func.func private @inner(%x: tensor<4xf32>, %s: tensor<4xf32>) -> tensor<4xf32> {
  %e = graph.exp %s : tensor<4xf32>
  %y = graph.mul %x, %e : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// In an entry that changes no parameter, rounded views of a slice become slices of rounded views of the stack.
// CHECK-LABEL: func.func private @layer
// CHECK-SAME:  (%[[X:.*]]: tensor<1x4xf32>, %{{.*}}: tensor<2x16xf32>, %[[B:.*]]: tensor<4x6xbf16>, %[[A:.*]]: tensor<2x4xbf16>)
// CHECK-NOT:   graph.cast
// CHECK:       graph.matmul %[[A]], %[[B]]
// CHECK:       return
// CHECK-LABEL: func.func @decode
// CHECK-DAG:   %[[W:.*]] = graph.read @w
// CHECK-DAG:   %[[S:.*]] = graph.slice %{{.*}} offsets = [0, 0, 0] sizes = [3, 2, 4]
// CHECK-DAG:   %[[A:.*]] = graph.cast %[[S]] to bf16
// CHECK-DAG:   %[[R:.*]] = graph.reshape %[[W]] shape = [3, 8, 4]
// CHECK-DAG:   %[[U:.*]] = graph.slice %[[R]] offsets = [0, 2, 0] sizes = [3, 6, 4]
// CHECK-DAG:   %[[T:.*]] = graph.transpose %[[U]] permutation = [0, 2, 1]
// CHECK-DAG:   %[[B:.*]] = graph.cast %[[T]] to bf16
// CHECK:       graph.repeat @layer carry(%{{.*}}) stacked(%[[W]], %[[B]], %[[A]])
func.func private @layer(%x: tensor<1x4xf32>, %w: tensor<2x16xf32>) -> tensor<1x4xf32> {
  %r = graph.reshape %w shape = [8, 4] : tensor<2x16xf32>
  %a = graph.slice %r offsets = [0, 0] sizes = [2, 4] : tensor<8x4xf32>
  %b = graph.slice %r offsets = [2, 0] sizes = [6, 4] : tensor<8x4xf32>
  %t = graph.transpose %b permutation = [1, 0] : tensor<6x4xf32>
  %c = graph.cast %a to bf16 : tensor<2x4xf32>
  %d = graph.cast %t to bf16 : tensor<4x6xf32>
  %e = graph.matmul %c, %d : (tensor<2x4xbf16>, tensor<4x6xbf16>) -> tensor<2x6xf32>
  %m = graph.reduce sum %e axes = [0, 1] : (tensor<2x6xf32>) -> tensor<f32>
  %f = graph.broadcast %m dims = [] shape = [1, 4] : tensor<f32>
  %y = graph.add %x, %f : tensor<1x4xf32>
  return %y : tensor<1x4xf32>
}
func.func @decode(%x: tensor<1x4xf32>) -> tensor<1x4xf32> attributes {weft.entry, weft.frozen} {
  %w = graph.read @w : tensor<3x2x16xf32>
  %y = graph.repeat @layer carry(%x) stacked(%w) invariant() range(0, 3) {tied = array<i64>} : (tensor<1x4xf32>, tensor<3x2x16xf32>) -> tensor<1x4xf32>
  return %y : tensor<1x4xf32>
}
graph.variable @w : tensor<3x2x16xf32> {kind = 0 : i64, init = 0 : i64}

// -----

// Elsewhere they stay where they are.
// CHECK-LABEL: func.func private @layer
// CHECK:       graph.cast
// CHECK:       return
func.func private @layer(%x: tensor<1x4xbf16>, %w: tensor<2x8xf32>) -> tensor<1x4xbf16> {
  %r = graph.reshape %w shape = [4, 4] : tensor<2x8xf32>
  %c = graph.cast %r to bf16 : tensor<4x4xf32>
  %y = graph.matmul %x, %c : (tensor<1x4xbf16>, tensor<4x4xbf16>) -> tensor<1x4xf32>
  %n = graph.cast %y to bf16 : tensor<1x4xf32>
  return %n : tensor<1x4xbf16>
}
func.func @train(%x: tensor<1x4xbf16>) -> tensor<1x4xbf16> attributes {weft.entry} {
  %w = graph.read @w : tensor<3x2x8xf32>
  %y = graph.repeat @layer carry(%x) stacked(%w) invariant() range(0, 3) {tied = array<i64>} : (tensor<1x4xbf16>, tensor<3x2x8xf32>) -> tensor<1x4xbf16>
  return %y : tensor<1x4xbf16>
}
graph.variable @w : tensor<3x2x8xf32> {kind = 0 : i64, init = 0 : i64}
