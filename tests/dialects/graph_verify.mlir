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

// -----

func.func @repeat_of_no_function(%x: tensor<4xf32>) {
  // expected-error @below {{names @layer, which is not a function}}
  %y = graph.repeat @layer carry(%x) stacked() invariant() range(0, 2) {tied = array<i64>}
    : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func private @layer()
func.func @repeat_ends_before_it_begins() {
  // expected-error @below {{covers [2, 1)}}
  graph.repeat @layer carry() stacked() invariant() range(2, 1) {tied = array<i64>} : () -> ()
  return
}

// -----

func.func private @layer()
func.func @repeat_part_past_the_last() {
  // expected-error @below {{is part 2 of 2}}
  graph.repeat @layer carry() stacked() invariant() range(0, 0) {tied = array<i64>, dynamic, part = 2, parts = 2} : () -> ()
  return
}

// -----

func.func private @layer(tensor<f32>)
func.func @repeat_over_a_scalar(%w: tensor<f32>) {
  // expected-error @below {{has a stacked operand of rank 0}}
  graph.repeat @layer carry() stacked(%w) invariant() range(0, 1) {tied = array<i64>} : (tensor<f32>) -> ()
  return
}

// -----

func.func private @layer(tensor<4xf32>)
func.func @repeat_past_the_stack(%w: tensor<6x4xf32>) {
  // expected-error @below {{runs to 7 over a stacked operand of 6}}
  graph.repeat @layer carry() stacked(%w) invariant() range(0, 7) {tied = array<i64>} : (tensor<6x4xf32>) -> ()
  return
}

// -----

func.func private @layer(tensor<4xf32>) -> tensor<4xf32>
func.func @repeat_tied_to_nothing(%w: tensor<6x4xf32>) {
  // expected-error @below {{ties a slice result to stacked operand 1 of 1}}
  %y = graph.repeat @layer carry() stacked(%w) invariant() range(0, 6) {tied = array<i64: 1>}
    : (tensor<6x4xf32>) -> tensor<6x4xf32>
  return
}

// -----

func.func private @layer(tensor<4xf32>) -> tensor<5xf32>
func.func @repeat_tied_to_another_type(%w: tensor<6x4xf32>) {
  // expected-error @below {{ties a result of 'tensor<6x5xf32>' to a stacked operand of 'tensor<6x4xf32>'}}
  %y = graph.repeat @layer carry() stacked(%w) invariant() range(0, 6) {tied = array<i64: 0>}
    : (tensor<6x4xf32>) -> tensor<6x5xf32>
  return
}

// -----

func.func private @layer(tensor<4xf32>) -> tensor<4xf32>
func.func @repeat_stacks_more_than_it_runs(%w: tensor<6x4xf32>) {
  // expected-error @below {{stacks a result of 'tensor<6x4xf32>' over 3 iterations}}
  %y = graph.repeat @layer carry() stacked(%w) invariant() range(0, 3) {tied = array<i64: -1>}
    : (tensor<6x4xf32>) -> tensor<6x4xf32>
  return
}

// -----

func.func private @layer(tensor<4xf32>) -> tensor<4xf32>
func.func @repeat_result_not_named_by_tied(%w: tensor<6x4xf32>) {
  // expected-error @below {{has 1 slice results when `tied` names 0}}
  %y = graph.repeat @layer carry() stacked(%w) invariant() range(0, 6) {tied = array<i64>}
    : (tensor<6x4xf32>) -> tensor<6x4xf32>
  return
}

// -----

func.func private @layer(tensor<4xf32>) -> tensor<4xf32>
func.func @repeat_carries_into_another_type(%x: tensor<4xf32>) {
  // expected-error @below {{carried results 0 is 'tensor<5xf32>' when it should be 'tensor<4xf32>'}}
  %y = graph.repeat @layer carry(%x) stacked() invariant() range(0, 2) {tied = array<i64>}
    : (tensor<4xf32>) -> tensor<5xf32>
  return
}

// -----

func.func private @layer(tensor<4xf32>)
func.func @repeat_body_without_the_carry(%x: tensor<4xf32>) {
  // expected-error @below {{has 0 body results when it should have 1}}
  %y = graph.repeat @layer carry(%x) stacked() invariant() range(0, 2) {tied = array<i64>}
    : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

// expected-error @below {{has the type 'tensor<?x8xf32>' when its shape should be known}}
graph.variable @dynamic_shape : tensor<?x8xf32> {kind = 0 : i64, init = 0 : i64}

// -----

// expected-error @below {{holds -1 layers from 0 on}}
graph.variable @negative_layers : tensor<4x8xf32> {kind = 0 : i64, init = 0 : i64, layers = -1 : i64}

// -----

func.func @value_and_grad_of_no_function(%x: tensor<f32>) {
  // expected-error @below {{names @f, which is not a function}}
  %v, %d = graph.value_and_grad @f(%x) acc() wrt [0] : (tensor<f32>) -> (tensor<f32>, tensor<f32>)
  return
}

// -----

func.func private @f(tensor<f32>, tensor<f32>) -> tensor<f32>
func.func @value_and_grad_without_an_argument(%x: tensor<f32>) {
  // expected-error @below {{has 1 arguments when it should have 2}}
  %v, %d = graph.value_and_grad @f(%x) acc() wrt [0] : (tensor<f32>) -> (tensor<f32>, tensor<f32>)
  return
}

// -----

func.func private @f(tensor<f32>) -> tensor<f32>
func.func @gradient_of_no_argument(%x: tensor<f32>) {
  // expected-error @below {{differentiates with respect to argument 1 of 1}}
  %v, %d = graph.value_and_grad @f(%x) acc() wrt [1] : (tensor<f32>) -> (tensor<f32>, tensor<f32>)
  return
}

// -----

func.func private @f(tensor<i32>) -> tensor<f32>
func.func @gradient_of_an_integer(%x: tensor<i32>) {
  // expected-error @below {{differentiates with respect to argument 0 of type 'tensor<i32>'}}
  %v, %d = graph.value_and_grad @f(%x) acc() wrt [0] : (tensor<i32>) -> (tensor<f32>, tensor<i32>)
  return
}

// -----

func.func private @f(tensor<4xf32>) -> tensor<f32>
func.func @accumulator_of_another_type(%x: tensor<4xf32>, %acc: tensor<5xf32>) {
  // expected-error @below {{accumulators 0 is 'tensor<5xf32>' when it should be 'tensor<4xf32>'}}
  %v, %d = graph.value_and_grad @f(%x) acc(%acc) wrt [0]
    : (tensor<4xf32>, tensor<5xf32>) -> (tensor<f32>, tensor<4xf32>)
  return
}

// -----

func.func private @f(tensor<4xf32>) -> tensor<f32>
func.func @more_accumulators_than_gradients(%x: tensor<4xf32>) {
  // expected-error @below {{has 2 accumulators when it should have 1}}
  %v, %d = graph.value_and_grad @f(%x) acc(%x, %x) wrt [0]
    : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>)
  return
}

// -----

func.func private @f(tensor<4xf32>) -> tensor<f32>
func.func @added_onto_another_type(%x: tensor<4xf32>) {
  // expected-error @below {{values to add onto 0 is 'tensor<4xf32>' when it should be 'tensor<f32>'}}
  %v, %d = graph.value_and_grad @f(%x) acc() onto(%x) wrt [0]
    : (tensor<4xf32>, tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>)
  return
}

// -----

func.func private @f(tensor<4xf32>) -> tensor<f32>
func.func @value_and_grad_without_the_gradient(%x: tensor<4xf32>) {
  // expected-error @below {{has 1 results when it should have 2}}
  %v = graph.value_and_grad @f(%x) acc() wrt [0] : (tensor<4xf32>) -> tensor<f32>
  return
}

// -----

func.func private @f(tensor<4xf32>) -> tensor<4xf32>
func.func @custom_gradient_without_backward(%x: tensor<4xf32>) {
  // expected-error @below {{names @b, which is not a function}}
  %y = graph.custom_gradient @f(%x) kept() backward @b {num_differentiated = 1 : i64}
    : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func private @f(tensor<4xf32>) -> tensor<4xf32>
func.func private @b(tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
func.func @custom_gradient_of_too_many(%x: tensor<4xf32>) {
  // expected-error @below {{differentiates 2 of 1 arguments}}
  %y = graph.custom_gradient @f(%x) kept() backward @b {num_differentiated = 2 : i64}
    : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func private @f(tensor<4xi32>) -> tensor<4xf32>
func.func private @b(tensor<4xi32>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xi32>
func.func @custom_gradient_of_an_integer(%x: tensor<4xi32>) {
  // expected-error @below {{differentiates an argument of type 'tensor<4xi32>'}}
  %y = graph.custom_gradient @f(%x) kept() backward @b {num_differentiated = 1 : i64}
    : (tensor<4xi32>) -> tensor<4xf32>
  return
}

// -----

func.func private @f(tensor<4xf32>) -> tensor<4xf32>
func.func private @b(tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<5xf32>
func.func @backward_of_another_type(%x: tensor<4xf32>) {
  // expected-error @below {{backward results 0 is 'tensor<5xf32>' when it should be 'tensor<4xf32>'}}
  %y = graph.custom_gradient @f(%x) kept() backward @b {num_differentiated = 1 : i64}
    : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @read_of_no_variable() {
  // expected-error @below {{names @w, which is not a variable}}
  %w = graph.read @w : tensor<4xf32>
  return
}

// -----

graph.variable @w : tensor<4xf32> {kind = 0 : i64, init = 0 : i64}
func.func @write_of_another_type(%x: tensor<5xf32>) {
  // expected-error @below {{has type 'tensor<5xf32>' when the variable is 'tensor<4xf32>'}}
  graph.write @w, %x : tensor<5xf32>
  return
}

// -----

func.func @reduce_axes_descend(%x: tensor<2x4x8xf32>) {
  // expected-error @below {{graph.reduce's axes should ascend within rank 3}}
  // expected-error @below {{failed to infer returned types}}
  %y = graph.reduce sum %x axes = [1, 0] : (tensor<2x4x8xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @reduce_onto_another_type(%x: tensor<4x8xf32>, %acc: tensor<4xf32>) {
  // expected-error @below {{graph.reduce's acc is 'tensor<4xf32>' when the result is 'tensor<8xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = graph.reduce sum %x acc %acc axes = [0] : (tensor<4x8xf32>, tensor<4xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @reduce_the_first_and_last(%x: tensor<2x4x8xf32>) {
  // expected-error @below {{reduces the last dimension but not a run of last dimensions; reduce in two steps}}
  %y = graph.reduce sum %x axes = [0, 2] : (tensor<2x4x8xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @reduce_rows_onto_a_value(%x: tensor<4x8xf32>, %acc: tensor<4xf32>) {
  // expected-error @below {{takes acc only for sums that leave the last dimension}}
  %y = graph.reduce sum %x acc %acc axes = [1] : (tensor<4x8xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @matmul_of_unequal_ranks(%a: tensor<4x8xf32>, %b: tensor<2x8x4xf32>) {
  // expected-error @below {{graph.matmul of 'tensor<4x8xf32>' and 'tensor<2x8x4xf32>' when the ranks should be equal, or rhs 2}}
  // expected-error @below {{failed to infer returned types}}
  %y = graph.matmul %a, %b : (tensor<4x8xf32>, tensor<2x8x4xf32>) -> tensor<2x4x4xf32>
  return
}

// -----

func.func @matmul_of_rows_transposed(%a: tensor<2x4x8xf32>, %b: tensor<4x4xf32>) {
  // expected-error @below {{'tensor<4x4xf32>' with transpose_lhs when the ranks should be equal, or rhs 2}}
  // expected-error @below {{failed to infer returned types}}
  %y = graph.matmul %a, %b {transpose_lhs} : (tensor<2x4x8xf32>, tensor<4x4xf32>) -> tensor<2x8x4xf32>
  return
}

// -----

func.func @matmul_of_two_types(%a: tensor<4x8xf32>, %b: tensor<8x4xf64>) {
  // expected-error @below {{graph.matmul of 'tensor<4x8xf32>' and 'tensor<8x4xf64>' when the element types should be equal}}
  // expected-error @below {{failed to infer returned types}}
  %y = graph.matmul %a, %b : (tensor<4x8xf32>, tensor<8x4xf64>) -> tensor<4x4xf32>
  return
}

// -----

func.func @matmul_of_unequal_k(%a: tensor<4x8xf32>, %b: tensor<9x4xf32>) {
  // expected-error @below {{when K and the batch should be equal: K is 8 and 9}}
  // expected-error @below {{failed to infer returned types}}
  %y = graph.matmul %a, %b : (tensor<4x8xf32>, tensor<9x4xf32>) -> tensor<4x4xf32>
  return
}

// -----

func.func @matmul_onto_another_type(%a: tensor<4x8xf32>, %b: tensor<8x4xf32>) {
  // expected-error @below {{graph.matmul's acc is 'tensor<4x8xf32>' when the result is 'tensor<4x4xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = graph.matmul %a, %b acc %a : (tensor<4x8xf32>, tensor<8x4xf32>, tensor<4x8xf32>) -> tensor<4x4xf32>
  return
}

// -----

func.func @gather_from_a_scalar(%x: tensor<f32>, %i: tensor<2xi32>) {
  // expected-error @below {{graph.gather's table has rank 0}}
  // expected-error @below {{failed to infer returned types}}
  %y = graph.gather %x, %i : (tensor<f32>, tensor<2xi32>) -> tensor<2xf32>
  return
}

// -----

func.func @gather_from_nothing(%x: tensor<0x4xf32>, %i: tensor<2xi32>) {
  // expected-error @below {{graph.gather's table has no rows when 2 are asked for}}
  // expected-error @below {{failed to infer returned types}}
  %y = graph.gather %x, %i : (tensor<0x4xf32>, tensor<2xi32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @scatter_of_too_few_updates(%x: tensor<4x8xf32>, %i: tensor<2xi32>, %u: tensor<1x8xf32>) {
  // expected-error @below {{graph.scatter_add's updates are 'tensor<1x8xf32>' when acc and indices are 'tensor<4x8xf32>' and 'tensor<2xi32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = graph.scatter_add %x, %i, %u : (tensor<4x8xf32>, tensor<2xi32>, tensor<1x8xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @write_rows_without_a_batch(%x: tensor<2x4x8xf32>, %i: tensor<3xi32>, %u: tensor<3x8xf32>) {
  // expected-error @below {{into 'tensor<2x4x8xf32>' when they should be (B, T, D…), (B, T) and (B, S, D…)}}
  // expected-error @below {{failed to infer returned types}}
  %y = graph.write_rows %x, %i, %u : (tensor<2x4x8xf32>, tensor<3xi32>, tensor<3x8xf32>) -> tensor<2x4x8xf32>
  return
}

// -----

func.func @iota_along_no_axis() {
  // expected-error @below {{axis is 2 when the rank is 2}}
  %i = graph.iota tensor<2x8xi32> axis = 2
  return
}

// -----

func.func @broadcast_of_too_few_dims(%x: tensor<4x8xf32>) {
  // expected-error @below {{graph.broadcast has 1 dims for a tensor of rank 2}}
  %y = graph.broadcast %x dims = [1] shape = [4, 8] : tensor<4x8xf32>
  return
}

// -----

func.func @broadcast_dims_descend(%x: tensor<4x8xf32>) {
  // expected-error @below {{graph.broadcast dims should ascend within rank 2}}
  %y = graph.broadcast %x dims = [1, 0] shape = [8, 4] : tensor<4x8xf32>
  return
}

// -----

func.func @broadcast_to_another_size(%x: tensor<8xf32>) {
  // expected-error @below {{graph.broadcast of dimension 0 of size 8 to 9}}
  %y = graph.broadcast %x dims = [1] shape = [4, 9] : tensor<8xf32>
  return
}

// -----

func.func @reshape_to_more_elements(%x: tensor<4x8xf32>) {
  // expected-error @below {{graph.reshape of 'tensor<4x8xf32>' with 32 elements to a shape with 36}}
  %y = graph.reshape %x shape = [36] : tensor<4x8xf32>
  return
}

// -----

func.func @transpose_twice_to_one_dimension(%x: tensor<4x8xf32>) {
  // expected-error @below {{graph.transpose's permutation is not one of 2 dimensions}}
  %y = graph.transpose %x permutation = [0, 0] : tensor<4x8xf32>
  return
}

// -----

func.func @transpose_of_too_few_dimensions(%x: tensor<4x8xf32>) {
  // expected-error @below {{graph.transpose permutes 1 dimensions of 2}}
  %y = graph.transpose %x permutation = [1] : tensor<4x8xf32>
  return
}

// -----

func.func @slice_of_too_few_dimensions(%x: tensor<4x8xf32>) {
  // expected-error @below {{graph.slice has 1 offsets and 2 sizes for rank 2}}
  %y = graph.slice %x offsets = [0] sizes = [2, 8] : tensor<4x8xf32>
  return
}

// -----

func.func @slice_past_the_end(%x: tensor<4x8xf32>) {
  // expected-error @below {{graph.slice takes [6, 10) of dimension 1 whose size is 8}}
  %y = graph.slice %x offsets = [0, 6] sizes = [4, 4] : tensor<4x8xf32>
  return
}

// -----

func.func @pad_of_too_few_dimensions(%x: tensor<4x8xf32>) {
  // expected-error @below {{graph.pad has 1 and 2 amounts for rank 2}}
  %y = graph.pad %x low = [0] high = [0, 4] : tensor<4x8xf32>
  return
}

// -----

func.func @pad_by_a_negative_amount(%x: tensor<4x8xf32>) {
  // expected-error @below {{graph.pad has a negative amount in dimension 1}}
  %y = graph.pad %x low = [0, -4] high = [0, 0] : tensor<4x8xf32>
  return
}

// -----

func.func @concat_of_nothing() {
  // expected-error @below {{graph.concat has no operands}}
  // expected-error @below {{failed to infer returned types}}
  %y = "graph.concat"() {axis = 0 : i64} : () -> tensor<4xf32>
  return
}

// -----

func.func @concat_along_no_axis(%x: tensor<4x8xf32>) {
  // expected-error @below {{graph.concat's axis is 2 when the rank is 2}}
  %y = graph.concat %x, %x axis = 2 : tensor<4x8xf32>, tensor<4x8xf32>
  return
}

// -----

func.func @concat_of_unequal_shapes(%a: tensor<4x8xf32>, %b: tensor<5x8xf32>) {
  // expected-error @below {{graph.concat of 'tensor<4x8xf32>' and 'tensor<5x8xf32>' along axis 1}}
  %y = graph.concat %a, %b axis = 1 : tensor<4x8xf32>, tensor<5x8xf32>
  return
}

// -----

func.func @attention_of_rank_3(%q: tensor<4x2x8xf32>, %k: tensor<1x4x2x8xf32>, %i: tensor<1x4xi32>) {
  // expected-error @below {{when all should have rank 4: (batch, seq, heads, width)}}
  // expected-error @below {{failed to infer returned types}}
  %o, %l = graph.attention %q, %k, %k range %i, %i {scale = 0.5 : f64}
    : (tensor<4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4xi32>, tensor<1x4xi32>)
    -> (tensor<1x4x2x8xf32>, tensor<1x4x2xf32>)
  return
}

// -----

func.func @attention_of_unequal_widths(%q: tensor<1x4x2x8xf32>, %k: tensor<1x4x2x4xf32>, %i: tensor<1x4xi32>) {
  // expected-error @below {{when they should be (B, T, H, D), (B, S, G, D) and (B, S, G, E)}}
  // expected-error @below {{failed to infer returned types}}
  %o, %l = graph.attention %q, %k, %k range %i, %i {scale = 0.5 : f64}
    : (tensor<1x4x2x8xf32>, tensor<1x4x2x4xf32>, tensor<1x4x2x4xf32>, tensor<1x4xi32>, tensor<1x4xi32>)
    -> (tensor<1x4x2x4xf32>, tensor<1x4x2xf32>)
  return
}

// -----

func.func @attention_heads_not_a_multiple(%q: tensor<1x4x3x8xf32>, %k: tensor<1x4x2x8xf32>, %i: tensor<1x4xi32>) {
  // expected-error @below {{graph.attention has 3 query heads, not a multiple of 2 key heads}}
  // expected-error @below {{failed to infer returned types}}
  %o, %l = graph.attention %q, %k, %k range %i, %i {scale = 0.5 : f64}
    : (tensor<1x4x3x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4xi32>, tensor<1x4xi32>)
    -> (tensor<1x4x3x8xf32>, tensor<1x4x3xf32>)
  return
}

// -----

func.func @attention_range_of_too_few_queries(%q: tensor<1x4x2x8xf32>, %i: tensor<1x4xi32>, %j: tensor<1x3xi32>) {
  // expected-error @below {{graph.attention's range is 'tensor<1x3xi32>' when the queries are 'tensor<1x4x2x8xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %o, %l = graph.attention %q, %q, %q range %i, %j {scale = 0.5 : f64}
    : (tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4xi32>, tensor<1x3xi32>)
    -> (tensor<1x4x2x8xf32>, tensor<1x4x2xf32>)
  return
}

// -----

func.func private @body(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<f32>) {
  %s = graph.reduce sum %x axes = [0] : (tensor<4xf32>) -> tensor<f32>
  return %x, %s : tensor<4xf32>, tensor<f32>
}
func.func @slice_of_rank_0(%x: tensor<4xf32>) -> tensor<f32> {
  // expected-error @below {{has a slice result of rank 0}}
  %y:2 = graph.repeat @body carry(%x) stacked() invariant() range(0, 2) {tied = array<i64: -1>}
    : (tensor<4xf32>) -> (tensor<4xf32>, tensor<f32>)
  return %y#1 : tensor<f32>
}

// -----

func.func private @body(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
func.func @no_result(%x: tensor<4xf32>) {
  // expected-error @below {{has 0 results when it carries 1}}
  graph.repeat @body carry(%x) stacked() invariant() range(0, 2) {tied = array<i64>} : (tensor<4xf32>) -> ()
  return
}
