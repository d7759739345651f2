// RUN: weft-opt %s -split-input-file -verify-diagnostics

// expected-error @below {{of 6 layers has the type 'tensor<4x8xf32>', whose first dimension should be the layers}}
graph.variable @w : tensor<4x8xf32> {kind = 0 : i64, init = 0 : i64, layers = 6 : i64}

// -----

func.func private @layer(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
func.func @wrong_body(%x: tensor<5xf32>) -> tensor<5xf32> {
  // expected-error @below {{body arguments 0 is 'tensor<4xf32>' when it should be 'tensor<5xf32>'}}
  %y = graph.repeat @layer carry(%x) stacked() invariant() range(0, 2) {tied = array<i64>}
    : (tensor<5xf32>) -> tensor<5xf32>
  return %y : tensor<5xf32>
}

// -----

func.func private @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
func.func @no_scalar(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @below {{differentiates @f, whose first result is not a scalar float}}
  %v, %d = graph.value_and_grad @f(%x) acc() wrt [0] : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
  return %d : tensor<4xf32>
}

// -----

func.func private @forward(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
func.func private @backward(%x: tensor<4xf32>, %dy: tensor<4xf32>) -> tensor<4xf32> {
  return %dy : tensor<4xf32>
}
func.func @backward_takes_the_result_too(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @below {{has 2 backward arguments when it should have 3}}
  %y = graph.custom_gradient @forward(%x) kept() backward @backward {num_differentiated = 1 : i64}
    : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
