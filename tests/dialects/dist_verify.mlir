// RUN: weft-opt %s -split-input-file -verify-diagnostics

func.func @send_to_before_the_first(%x: tensor<4xf32>) {
  // expected-error @below {{has peer -1 and tag 0}}
  dist.send pipeline %x peer -1 tag 0 : tensor<4xf32>
  return
}

// -----

func.func @send_with_a_negative_tag(%x: tensor<4xf32>) {
  // expected-error @below {{has peer 1 and tag -2}}
  dist.send data %x peer 1 tag -2 : tensor<4xf32>
  return
}

// -----

func.func @receive_from_before_the_first() {
  // expected-error @below {{has peer -1 and tag 0}}
  %x = dist.receive pipeline peer -1 tag 0 : tensor<4xf32>
  return
}
