// RUN: weft-opt %s --segment-sorts=shards=2 -split-input-file -verify-diagnostics

func.func private @odd(%acc: tensor<6xi32>, %i: tensor<3x2xi32>) -> tensor<6xi32> {
  // expected-error@+1 {{sorts the choices of 3 tokens, not a multiple of 2 virtual shards}}
  %o, %t, %p, %f = graph.sort_by_expert %i experts = 3 segments = 1
    : (tensor<3x2xi32>) -> (tensor<6xi32>, tensor<6xi32>, tensor<3x2xi32>, tensor<4xi32>)
  return %o : tensor<6xi32>
}
func.func @entry(%acc: tensor<6xi32>, %i: tensor<?x3x2xi32>) -> tensor<6xi32> {
  %r = graph.repeat @odd carry(%acc) stacked(%i) invariant() range(0, 0) {tied = array<i64>, dynamic}
    : (tensor<6xi32>, tensor<?x3x2xi32>) -> tensor<6xi32>
  return %r : tensor<6xi32>
}

// -----

func.func private @reads(%acc: tensor<4xi32>, %i: tensor<4x2xi32>) -> tensor<4xi32> {
  %o, %t, %p, %f = graph.sort_by_expert %i experts = 3 segments = 1
    : (tensor<4x2xi32>) -> (tensor<8xi32>, tensor<8xi32>, tensor<4x2xi32>, tensor<4xi32>)
  // expected-error@+1 {{reads where each expert's choices begin, which virtual shards cut finer}}
  %s = graph.add %f, %acc : tensor<4xi32>
  return %s : tensor<4xi32>
}
func.func @entry(%acc: tensor<4xi32>, %i: tensor<?x4x2xi32>) -> tensor<4xi32> {
  %r = graph.repeat @reads carry(%acc) stacked(%i) invariant() range(0, 0) {tied = array<i64>, dynamic}
    : (tensor<4xi32>, tensor<?x4x2xi32>) -> tensor<4xi32>
  return %r : tensor<4xi32>
}
