// RUN: weft-opt %s --differentiate --canonicalize --cse --symbol-dce -split-input-file -verify-diagnostics \
// RUN:   | FileCheck %s

// The function's ops, then their adjoints; the sum that makes the gradient continues the chain that starts at
// acc.
// CHECK-LABEL: func.func @step
// CHECK-SAME:  (%[[W:[a-z0-9]*]]: tensor<4x3xf32>, %[[X:[a-z0-9]*]]: tensor<2x4xf32>,
// CHECK-SAME:     %[[ACC:[a-z0-9]*]]: tensor<4x3xf32>)
// CHECK:       %[[Y:.*]] = graph.matmul %[[X]], %[[W]]
// CHECK:       %[[E:.*]] = graph.exp %[[Y]]
// CHECK:       %[[LOSS:.*]] = graph.reduce sum %[[E]]
// CHECK:       %[[DW:.*]] = graph.matmul %[[X]], %[[E]] acc %[[ACC]] {transpose_lhs}
// CHECK:       return %[[LOSS]], %[[DW]]
func.func private @loss(%w: tensor<4x3xf32>, %x: tensor<2x4xf32>) -> tensor<f32> {
  %y = graph.matmul %x, %w : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  %e = graph.exp %y : tensor<2x3xf32>
  %l = graph.reduce sum %e axes = [0, 1] : (tensor<2x3xf32>) -> tensor<f32>
  return %l : tensor<f32>
}
func.func @step(%w: tensor<4x3xf32>, %x: tensor<2x4xf32>, %acc: tensor<4x3xf32>)
    -> (tensor<f32>, tensor<4x3xf32>) {
  %l, %d = graph.value_and_grad @loss(%w, %x) acc(%acc) wrt [0]
    : (tensor<4x3xf32>, tensor<2x4xf32>, tensor<4x3xf32>) -> (tensor<f32>, tensor<4x3xf32>)
  return %l, %d : tensor<f32>, tensor<4x3xf32>
}

// -----

// Nothing flows through stop_gradient, which is gone afterwards: of d(x w w) only the factor outside it
// counts.
// CHECK-LABEL: func.func @step
// CHECK-SAME:  (%[[W:[a-z0-9]*]]: tensor<4xf32>, %[[X:[a-z0-9]*]]: tensor<4xf32>)
// CHECK-NEXT:  %[[Y:.*]] = graph.mul %[[X]], %[[W]]
// CHECK-NEXT:  %[[Z:.*]] = graph.mul %[[Y]], %[[W]]
// CHECK-NEXT:  %[[LOSS:.*]] = graph.reduce sum %[[Z]]
// CHECK-NEXT:  return %[[LOSS]], %[[Y]]
func.func private @loss(%w: tensor<4xf32>, %x: tensor<4xf32>) -> tensor<f32> {
  %s = graph.stop_gradient %w : tensor<4xf32>
  %y = graph.mul %x, %s : tensor<4xf32>
  %z = graph.mul %y, %w : tensor<4xf32>
  %l = graph.reduce sum %z axes = [0] : (tensor<4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}
func.func @step(%w: tensor<4xf32>, %x: tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>) {
  %l, %d = graph.value_and_grad @loss(%w, %x) acc() wrt [0]
    : (tensor<4xf32>, tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>)
  return %l, %d : tensor<f32>, tensor<4xf32>
}

// -----

// What the loss does not depend on has the gradient it started with: acc, or zeros.
// CHECK-LABEL: func.func @step
// CHECK-SAME:  %[[ACC:[a-z0-9]*]]: tensor<3xf32>)
// CHECK:       %[[ZEROS:.*]] = graph.constant dense<0.000000e+00> : tensor<2xf32>
// CHECK:       return %{{.*}}, %[[ACC]], %[[ZEROS]]
func.func private @loss(%u: tensor<3xf32>, %v: tensor<2xf32>, %x: tensor<4xf32>) -> tensor<f32> {
  %l = graph.reduce sum %x axes = [0] : (tensor<4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}
func.func @step(%u: tensor<3xf32>, %v: tensor<2xf32>, %x: tensor<4xf32>, %acc: tensor<3xf32>)
    -> (tensor<f32>, tensor<3xf32>, tensor<2xf32>) {
  %l, %d, %e = graph.value_and_grad @loss(%u, %v, %x) acc(%acc) wrt [0, 1]
    : (tensor<3xf32>, tensor<2xf32>, tensor<4xf32>, tensor<3xf32>)
        -> (tensor<f32>, tensor<3xf32>, tensor<2xf32>)
  return %l, %d, %e : tensor<f32>, tensor<3xf32>, tensor<2xf32>
}

// -----

// A value passed for two arguments has two gradients: each is that argument's own.
// CHECK-LABEL: func.func @step
// CHECK-SAME:  (%[[W:[a-z0-9]*]]: tensor<4xf32>)
// CHECK-DAG:   %[[EXP:.*]] = graph.exp %[[W]]
// CHECK-DAG:   %[[COS:.*]] = graph.cos %[[W]]
// CHECK:       return %{{.*}}, %[[EXP]], %[[COS]]
func.func private @loss(%u: tensor<4xf32>, %v: tensor<4xf32>) -> tensor<f32> {
  %a = graph.exp %u : tensor<4xf32>
  %b = graph.sin %v : tensor<4xf32>
  %c = graph.add %a, %b : tensor<4xf32>
  %l = graph.reduce sum %c axes = [0] : (tensor<4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}
func.func @step(%w: tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>, tensor<4xf32>) {
  %l, %d, %e = graph.value_and_grad @loss(%w, %w) acc() wrt [0, 1]
    : (tensor<4xf32>, tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>, tensor<4xf32>)
  return %l, %d, %e : tensor<f32>, tensor<4xf32>, tensor<4xf32>
}

// -----

// A repeat becomes two: forward also returns what the product made and what it read, stacked, with a remark
// for each; backward runs down, computes the cheap product and exponential again, and ties the parameter's
// gradient to acc.
// CHECK-LABEL: func.func private @layer.forward
// CHECK-SAME:  (%[[X:[a-z0-9]*]]: tensor<2x4xf32>, %[[W:[a-z0-9]*]]: tensor<4x4xf32>,
// CHECK-SAME:     %[[S:[a-z0-9]*]]: tensor<2x4xf32>)
// CHECK:       %[[P:.*]] = graph.matmul %[[X]], %[[W]]
// CHECK:       %[[Y:.*]] = graph.exp
// CHECK:       return %[[Y]], %[[P]], %[[X]]
// CHECK-LABEL: func.func private @layer.backward
// CHECK-SAME:  (%[[DY:[a-z0-9]*]]: tensor<2x4xf32>, %[[ACC:[a-z0-9]*]]: tensor<4x4xf32>,
// CHECK-SAME:     %[[P:[a-z0-9]*]]: tensor<2x4xf32>,
// CHECK-SAME:   %[[W:[a-z0-9]*]]: tensor<4x4xf32>, %[[X:[a-z0-9]*]]: tensor<2x4xf32>,
// CHECK-SAME:     %[[S:[a-z0-9]*]]: tensor<2x4xf32>)
// CHECK-NEXT:  %[[Q:.*]] = graph.mul %[[P]], %[[S]]
// CHECK-NEXT:  %[[Y:.*]] = graph.exp %[[Q]]
// CHECK-NEXT:  %[[DQ:.*]] = graph.mul %[[DY]], %[[Y]]
// CHECK-NEXT:  %[[DP:.*]] = graph.mul %[[DQ]], %[[S]]
// CHECK-NEXT:  %[[DX:.*]] = graph.matmul %[[DP]], %[[W]] {transpose_rhs}
// CHECK-NEXT:  %[[DW:.*]] = graph.matmul %[[X]], %[[DP]] acc %[[ACC]] {transpose_lhs}
// CHECK-NEXT:  return %[[DX]], %[[DW]]
// CHECK-LABEL: func.func @step
// CHECK-SAME:  (%[[W:[a-z0-9]*]]: tensor<6x4x4xf32>, %[[X:[a-z0-9]*]]: tensor<2x4xf32>,
// CHECK-SAME:     %[[S:[a-z0-9]*]]: tensor<2x4xf32>,
// CHECK-SAME:   %[[ACC:[a-z0-9]*]]: tensor<6x4x4xf32>)
// CHECK:       %[[ONES:.*]] = graph.constant dense<1.0
// CHECK:       %[[F:.*]]:3 = graph.repeat @layer.forward carry(%[[X]]) stacked(%[[W]])
// CHECK-SAME:    invariant(%[[S]]) range(0, 6)
// CHECK-SAME:    {tied = array<i64: -1, -1>}
// CHECK-SAME:    -> (tensor<2x4xf32>, tensor<6x2x4xf32>, tensor<6x2x4xf32>)
// CHECK:       %[[B:.*]]:2 = graph.repeat @layer.backward carry(%[[ONES]]) stacked(%[[ACC]], %[[F]]#1,
// CHECK-SAME:     %[[W]], %[[F]]#2)
// CHECK-SAME:    invariant(%[[S]]) range(0, 6) {reverse, tied = array<i64: 0>}
// CHECK:       return %{{.*}}, %[[B]]#1
// expected-remark@below {{saved for backward: 32 bytes an iteration, the value carried into each iteration}}
func.func private @layer(%x: tensor<2x4xf32>, %w: tensor<4x4xf32>, %s: tensor<2x4xf32>) -> tensor<2x4xf32> {
  // expected-remark@below {{saved for backward: 32 bytes an iteration, costly to compute again}}
  %p = graph.matmul %x, %w : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
  %q = graph.mul %p, %s : tensor<2x4xf32>
  %y = graph.exp %q : tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}
func.func private @loss(%w: tensor<6x4x4xf32>, %x: tensor<2x4xf32>, %s: tensor<2x4xf32>) -> tensor<f32> {
  %y = graph.repeat @layer carry(%x) stacked(%w) invariant(%s) range(0, 6) {tied = array<i64>}
    : (tensor<2x4xf32>, tensor<6x4x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %l = graph.reduce sum %y axes = [0, 1] : (tensor<2x4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}
func.func @step(%w: tensor<6x4x4xf32>, %x: tensor<2x4xf32>, %s: tensor<2x4xf32>, %acc: tensor<6x4x4xf32>)
    -> (tensor<f32>, tensor<6x4x4xf32>) {
  %l, %d = graph.value_and_grad @loss(%w, %x, %s) acc(%acc) wrt [0]
    : (tensor<6x4x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>, tensor<6x4x4xf32>)
        -> (tensor<f32>, tensor<6x4x4xf32>)
  return %l, %d : tensor<f32>, tensor<6x4x4xf32>
}

// -----

// The gradient of an invariant is carried from iteration to iteration, from zeros where there is nothing to
// add to.
// CHECK-LABEL: func.func private @layer.backward
// CHECK-SAME:  (%[[DY:[a-z0-9]*]]: tensor<4xf32>, %[[SO_FAR:[a-z0-9]*]]: tensor<4xf32>,
// CHECK-SAME:     %[[X:[a-z0-9]*]]: tensor<4xf32>, %[[B:[a-z0-9]*]]: tensor<4xf32>)
// CHECK-DAG:   %[[DX:.*]] = graph.mul %[[DY]], %[[B]]
// CHECK-DAG:   %[[HERE:.*]] = graph.mul %[[DY]], %[[X]]
// CHECK-DAG:   %[[SUM:.*]] = graph.add %[[SO_FAR]], %[[HERE]]
// CHECK:       return %[[DX]], %[[SUM]]
// CHECK-LABEL: func.func @step
// CHECK-SAME:  (%[[B:[a-z0-9]*]]: tensor<4xf32>
// CHECK-DAG:   %[[ONES:.*]] = graph.constant dense<1.0
// CHECK-DAG:   %[[ZEROS:.*]] = graph.constant dense<0.0
// CHECK:       %[[GRAD:.*]]:2 = graph.repeat @layer.backward carry(%[[ONES]], %[[ZEROS]])
// CHECK-SAME:    stacked(%{{.*}}) invariant(%[[B]])
// CHECK-SAME:    {reverse, tied = array<i64>}
// CHECK:       return %{{.*}}, %[[GRAD]]#1
// expected-remark@below {{saved for backward: 16 bytes an iteration, the value carried into each iteration}}
func.func private @layer(%x: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.mul %x, %b : tensor<4xf32>
  return %y : tensor<4xf32>
}
func.func private @loss(%b: tensor<4xf32>, %x: tensor<4xf32>) -> tensor<f32> {
  %y = graph.repeat @layer carry(%x) stacked() invariant(%b) range(0, 3) {tied = array<i64>}
    : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %l = graph.reduce sum %y axes = [0] : (tensor<4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}
func.func @step(%b: tensor<4xf32>, %x: tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>) {
  %l, %d = graph.value_and_grad @loss(%b, %x) acc() wrt [0]
    : (tensor<4xf32>, tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>)
  return %l, %d : tensor<f32>, tensor<4xf32>
}

// -----

// A repeat over part of a stack: its layers are sliced out, and the others' gradients are zeros. A repeat
// upwards gives one downwards, and here one downwards gives one upwards.
// CHECK-LABEL: func.func @step
// CHECK-SAME:  (%[[W:[a-z0-9]*]]: tensor<6x4xf32>
// CHECK:       %[[PART:.*]] = graph.slice %[[W]] offsets = [2, 0] sizes = [3, 4]
// CHECK:       %[[F:.*]]:2 = graph.repeat @layer.forward carry(%{{.*}}) stacked(%[[PART]])
// CHECK-SAME:    invariant() range(0, 3) {reverse, tied
// CHECK:       %[[B:.*]]:2 = graph.repeat @layer.backward carry(%{{.*}}) stacked(%[[PART]], %[[F]]#1)
// CHECK-SAME:    invariant() range(0, 3) {tied
// CHECK:       %[[DW:.*]] = graph.pad %[[B]]#1 low = [2, 0] high = [1, 0]
// CHECK:       return %{{.*}}, %[[DW]]
// expected-remark@below {{saved for backward}}
func.func private @layer(%x: tensor<4xf32>, %w: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.mul %x, %w : tensor<4xf32>
  return %y : tensor<4xf32>
}
func.func private @loss(%w: tensor<6x4xf32>, %x: tensor<4xf32>) -> tensor<f32> {
  %y = graph.repeat @layer carry(%x) stacked(%w) invariant() range(2, 5) {reverse, tied = array<i64>}
    : (tensor<4xf32>, tensor<6x4xf32>) -> tensor<4xf32>
  %l = graph.reduce sum %y axes = [0] : (tensor<4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}
func.func @step(%w: tensor<6x4xf32>, %x: tensor<4xf32>) -> (tensor<f32>, tensor<6x4xf32>) {
  %l, %d = graph.value_and_grad @loss(%w, %x) acc() wrt [0]
    : (tensor<6x4xf32>, tensor<4xf32>) -> (tensor<f32>, tensor<6x4xf32>)
  return %l, %d : tensor<f32>, tensor<6x4xf32>
}

// -----

// No gradient is asked of a module without value_and_grad: nothing changes, repeats included.
// CHECK-LABEL: func.func private @layer
// CHECK-NOT:   .forward
// CHECK-LABEL: func.func @forward
// CHECK-NEXT:  graph.repeat @layer
// CHECK-NEXT:  return
func.func private @layer(%x: tensor<4xf32>, %w: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.mul %x, %w : tensor<4xf32>
  return %y : tensor<4xf32>
}
func.func @forward(%w: tensor<6x4xf32>, %x: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.repeat @layer carry(%x) stacked(%w) invariant() range(0, 6) {tied = array<i64>}
    : (tensor<4xf32>, tensor<6x4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// An op without a rule, on the way from an argument to the loss.
func.func private @loss(%x: tensor<4xf32>) -> tensor<f32> {
  // expected-error@below {{'dist.all_reduce' op has no gradient}}
  %y = dist.all_reduce data %x : tensor<4xf32>
  %l = graph.reduce sum %y axes = [0] : (tensor<4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}
func.func @step(%x: tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>) {
  %l, %d = graph.value_and_grad @loss(%x) acc() wrt [0] : (tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>)
  return %l, %d : tensor<f32>, tensor<4xf32>
}

// -----

// Micro-batches: how many residuals to keep is not known.
func.func private @body(%x: tensor<4xf32>, %w: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %y = graph.mul %x, %w : tensor<4xf32>
  return %y, %y : tensor<4xf32>, tensor<4xf32>
}
func.func private @loss(%w: tensor<?x4xf32>, %x: tensor<4xf32>) -> tensor<f32> {
  // expected-error@below {{with a trip count known only at run time cannot be differentiated}}
  %y, %z = graph.repeat @body carry(%x) stacked(%w) invariant() range(0, 0) {tied = array<i64: 0>, dynamic}
    : (tensor<4xf32>, tensor<?x4xf32>) -> (tensor<4xf32>, tensor<?x4xf32>)
  %l = graph.reduce sum %y axes = [0] : (tensor<4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}
func.func @step(%w: tensor<?x4xf32>, %x: tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>) {
  %l, %d = graph.value_and_grad @loss(%w, %x) acc() wrt [1]
    : (tensor<?x4xf32>, tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>)
  return %l, %d : tensor<f32>, tensor<4xf32>
}

// -----

// Slices updated in place, of part of a stack and of all of it.
func.func private @body(%x: tensor<4xf32>, %w: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %y = graph.mul %x, %w : tensor<4xf32>
  return %y, %y : tensor<4xf32>, tensor<4xf32>
}
func.func private @loss(%w: tensor<5x4xf32>, %x: tensor<4xf32>) -> tensor<f32> {
  // expected-error@below {{begins at 2 and has tied slice results, which cannot be differentiated}}
  %y, %z = graph.repeat @body carry(%x) stacked(%w) invariant() range(2, 5) {tied = array<i64: 0>}
    : (tensor<4xf32>, tensor<5x4xf32>) -> (tensor<4xf32>, tensor<5x4xf32>)
  %l = graph.reduce sum %y axes = [0] : (tensor<4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}
func.func @step(%w: tensor<5x4xf32>, %x: tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>) {
  %l, %d = graph.value_and_grad @loss(%w, %x) acc() wrt [1]
    : (tensor<5x4xf32>, tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>)
  return %l, %d : tensor<f32>, tensor<4xf32>
}

// -----

func.func private @body(%x: tensor<4xf32>, %w: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %y = graph.mul %x, %w : tensor<4xf32>
  return %y, %y : tensor<4xf32>, tensor<4xf32>
}
func.func private @loss(%w: tensor<5x4xf32>, %x: tensor<4xf32>) -> tensor<f32> {
  // expected-error@below {{has a tied slice result, which cannot be differentiated}}
  %y, %z = graph.repeat @body carry(%x) stacked(%w) invariant() range(0, 5) {tied = array<i64: 0>}
    : (tensor<4xf32>, tensor<5x4xf32>) -> (tensor<4xf32>, tensor<5x4xf32>)
  %l = graph.reduce sum %z axes = [0, 1] : (tensor<5x4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}
func.func @step(%w: tensor<5x4xf32>, %x: tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>) {
  %l, %d = graph.value_and_grad @loss(%w, %x) acc() wrt [1]
    : (tensor<5x4xf32>, tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>)
  return %l, %d : tensor<f32>, tensor<4xf32>
}

// -----

// What the model marks is computed again behind the forward ops, by a copy that is not merged with the original.
// CHECK-LABEL: func.func @again
// CHECK: %[[Y:.*]] = graph.matmul %{{.*}}, %{{.*}} {graph.recompute}
// CHECK: graph.reduce sum
// CHECK: %[[AGAIN:.*]] = graph.matmul %{{.*}}, %{{.*}} : (tensor<2x4xf32>, tensor<4x3xf32>)
// CHECK: graph.exp %[[AGAIN]]
func.func private @loss(%w: tensor<4x3xf32>, %x: tensor<2x4xf32>) -> tensor<f32> {
  %y = graph.matmul %x, %w {graph.recompute} : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  %e = graph.exp %y {graph.recompute} : tensor<2x3xf32>
  %l = graph.reduce sum %e axes = [0, 1] : (tensor<2x3xf32>) -> tensor<f32>
  return %l : tensor<f32>
}
func.func @again(%w: tensor<4x3xf32>, %x: tensor<2x4xf32>) -> (tensor<f32>, tensor<4x3xf32>) {
  %l, %d = graph.value_and_grad @loss(%w, %x) acc() wrt [0]
    : (tensor<4x3xf32>, tensor<2x4xf32>) -> (tensor<f32>, tensor<4x3xf32>)
  return %l, %d : tensor<f32>, tensor<4x3xf32>
}
