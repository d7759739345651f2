// RUN: weft-opt %s -split-input-file -verify-diagnostics

func.func @loops_without_a_domain() {
  // expected-error @below {{has an empty domain; the last dimension is the column}}
  kernel.loops domain [] ins() inits() {input_access = [], output_access = [],
    yield_result = array<i64>, init_result = array<i64>} : () -> () {
  }
  return
}

// -----

func.func @loops_reduce_the_column() {
  // expected-error @below {{reduces 2 of 2 dimensions; the column stays}}
  kernel.loops domain [4, 8] ins() inits() {input_access = [], output_access = [],
    yield_result = array<i64>, init_result = array<i64>, reduce_dims = 2 : i64} : () -> () {
  }
  return
}

// -----

func.func @loops_input_without_access(%x: tensor<4xf32>) {
  // expected-error @below {{has 0 input accesses when it should have 1}}
  kernel.loops domain [4] ins(%x) inits() {input_access = [], output_access = [],
    yield_result = array<i64>, init_result = array<i64>} : (tensor<4xf32>) -> () {
  ^bb0(%a: f32):
  }
  return
}

// -----

func.func @loops_access_of_too_few_strides(%x: tensor<4x8xf32>) {
  // expected-error @below {{input access 0 has 1 strides when the iteration space has 2 dimensions}}
  kernel.loops domain [4, 8] ins(%x) inits() {input_access = [#kernel.access<offset = 0, strides = 1>],
    output_access = [], yield_result = array<i64>, init_result = array<i64>} : (tensor<4x8xf32>) -> () {
  ^bb0(%a: f32):
  }
  return
}

// -----

func.func @loops_access_past_the_end(%x: tensor<4x8xf32>) {
  // expected-error @below {{input access 0 reaches element 32 of 32}}
  kernel.loops domain [4, 8] ins(%x) inits() {input_access = [#kernel.access<offset = 1, strides = 8, 1>],
    output_access = [], yield_result = array<i64>, init_result = array<i64>} : (tensor<4x8xf32>) -> () {
  ^bb0(%a: f32):
  }
  return
}

// -----

func.func @loops_gather_past_the_end(%i: tensor<2xi32>, %x: tensor<4x8xf32>) {
  // expected-error @below {{input access 1 reaches element 39 of 32}}
  kernel.loops domain [2, 8] ins(%i, %x) inits() {
    input_access = [#kernel.access<offset = 0, strides = 1, 0>,
      #kernel.access<offset = 0, index = 0, index_stride = 8, index_limit = 5, strides = 0, 1>],
    output_access = [], yield_result = array<i64>, init_result = array<i64>}
    : (tensor<2xi32>, tensor<4x8xf32>) -> () {
  ^bb0(%n: i32, %a: f32):
  }
  return
}

// -----

func.func @loops_yield_too_few(%x: tensor<4xf32>) {
  // expected-error @below {{yields 0 values when yield_result names 1}}
  %y = kernel.loops domain [4] ins(%x) inits() {input_access = [#kernel.access<offset = 0, strides = 1>],
    output_access = [#kernel.access<offset = 0, strides = 1>], yield_result = array<i64: 0>,
    init_result = array<i64>} : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32):
  }
  return
}

// -----

func.func @loops_yield_into_no_result(%x: tensor<4xf32>) {
  // expected-error @below {{yield_result 1 of 1 results}}
  %y = kernel.loops domain [4] ins(%x) inits() {input_access = [#kernel.access<offset = 0, strides = 1>],
    output_access = [#kernel.access<offset = 0, strides = 1>], yield_result = array<i64: 1>,
    init_result = array<i64>} : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  }
  return
}

// -----

func.func @loops_output_without_access(%x: tensor<4xf32>) {
  // expected-error @below {{has 0 output accesses when it should have 1}}
  %y = kernel.loops domain [4] ins(%x) inits() {input_access = [#kernel.access<offset = 0, strides = 1>],
    output_access = [], yield_result = array<i64: 0>, init_result = array<i64>} : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  }
  return
}

// -----

func.func @loops_region_without_the_input(%x: tensor<4xf32>) {
  // expected-error @below {{region has 0 arguments when there are 1 inputs}}
  kernel.loops domain [4] ins(%x) inits() {input_access = [#kernel.access<offset = 0, strides = 1>],
    output_access = [], yield_result = array<i64>, init_result = array<i64>} : (tensor<4xf32>) -> () {
  }
  return
}

// -----

func.func @loops_region_of_another_type(%x: tensor<4xf32>) {
  // expected-error @below {{region argument 0 is 'f64' when the input holds 'f32'}}
  kernel.loops domain [4] ins(%x) inits() {input_access = [#kernel.access<offset = 0, strides = 1>],
    output_access = [], yield_result = array<i64>, init_result = array<i64>} : (tensor<4xf32>) -> () {
  ^bb0(%a: f64):
  }
  return
}

// -----

func.func @loops_yield_another_type(%x: tensor<4xf32>) {
  // expected-error @below {{yields 'f32' into a result of 'f64'}}
  %y = kernel.loops domain [4] ins(%x) inits() {input_access = [#kernel.access<offset = 0, strides = 1>],
    output_access = [#kernel.access<offset = 0, strides = 1>], yield_result = array<i64: 0>,
    init_result = array<i64>} : (tensor<4xf32>) -> tensor<4xf64> {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  }
  return
}

// -----

func.func @loops_reduce_rows_and_columns(%x: tensor<4x8xf32>) {
  // expected-error @below {{has both a row reduction and reduce_dims}}
  %y = kernel.loops domain [4, 8] ins(%x) inits() {input_access = [#kernel.access<offset = 0, strides = 8, 1>],
    output_access = [#kernel.access<offset = 0, strides = 0, 1>], yield_result = array<i64: 0>,
    init_result = array<i64>, reduce_dims = 1 : i64} : (tensor<4x8xf32>) -> tensor<8xf32> {
  ^bb0(%a: f32):
    %s = kernel.reduce sum %a : f32
    kernel.yield %s : f32
  }
  return
}

// -----

func.func @loops_init_without_result(%x: tensor<4xf32>) {
  // expected-error @below {{init_result names 0 results when there are 1 inits}}
  %y = kernel.loops domain [4] ins(%x) inits(%x) {input_access = [#kernel.access<offset = 0, strides = 1>],
    output_access = [#kernel.access<offset = 0, strides = 1>], yield_result = array<i64: 0>,
    init_result = array<i64>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  }
  return
}

// -----

func.func @loops_init_of_no_result(%x: tensor<4xf32>) {
  // expected-error @below {{init_result 1 of 1 results}}
  %y = kernel.loops domain [4] ins(%x) inits(%x) {input_access = [#kernel.access<offset = 0, strides = 1>],
    output_access = [#kernel.access<offset = 0, strides = 1>], yield_result = array<i64: 0>,
    init_result = array<i64: 1>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  }
  return
}

// -----

func.func @loops_init_of_another_type(%x: tensor<4xf32>, %init: tensor<8xf32>) {
  // expected-error @below {{init is 'tensor<8xf32>' when result 0 is 'tensor<4xf32>'}}
  %y = kernel.loops domain [4] ins(%x) inits(%init) {input_access = [#kernel.access<offset = 0, strides = 1>],
    output_access = [#kernel.access<offset = 0, strides = 1>], yield_result = array<i64: 0>,
    init_result = array<i64: 0>} : (tensor<4xf32>, tensor<8xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  }
  return
}

// -----

func.func @matmul_without_a_batch(%a: tensor<4x8xf32>, %b: tensor<8x2xf32>) {
  // expected-error @below {{has 3 sizes when it should have 4: batch, m, n, k}}
  kernel.matmul %a, %b extras() sizes [4, 2, 8] {lhs_access = #kernel.access<offset = 0, strides = 0, 8, 1>,
    rhs_access = #kernel.access<offset = 0, strides = 0, 2, 1>, extra_access = [], output_access = []}
    : (tensor<4x8xf32>, tensor<8x2xf32>) -> () {
  ^bb0(%acc: f32):
  }
  return
}

// -----

func.func @matmul_lhs_past_the_end(%a: tensor<4x8xf32>, %b: tensor<8x2xf32>) {
  // expected-error @below {{lhs access 0 reaches element 63 of 32}}
  kernel.matmul %a, %b extras() sizes [2, 4, 2, 8] {lhs_access = #kernel.access<offset = 0, strides = 32, 8, 1>,
    rhs_access = #kernel.access<offset = 0, strides = 0, 2, 1>, extra_access = [], output_access = []}
    : (tensor<4x8xf32>, tensor<8x2xf32>) -> () {
  ^bb0(%acc: f32):
  }
  return
}

// -----

func.func @matmul_rhs_of_too_few_strides(%a: tensor<4x8xf32>, %b: tensor<8x2xf32>) {
  // expected-error @below {{rhs access 0 has 2 strides when the iteration space has 3 dimensions}}
  kernel.matmul %a, %b extras() sizes [1, 4, 2, 8] {lhs_access = #kernel.access<offset = 0, strides = 0, 8, 1>,
    rhs_access = #kernel.access<offset = 0, strides = 2, 1>, extra_access = [], output_access = []}
    : (tensor<4x8xf32>, tensor<8x2xf32>) -> () {
  ^bb0(%acc: f32):
  }
  return
}

// -----

func.func @matmul_extra_without_access(%a: tensor<4x8xf32>, %b: tensor<8x2xf32>, %bias: tensor<2xf32>) {
  // expected-error @below {{has 0 extra accesses when it should have 1}}
  kernel.matmul %a, %b extras(%bias) sizes [1, 4, 2, 8] {lhs_access = #kernel.access<offset = 0, strides = 0, 8, 1>,
    rhs_access = #kernel.access<offset = 0, strides = 0, 2, 1>, extra_access = [], output_access = []}
    : (tensor<4x8xf32>, tensor<8x2xf32>, tensor<2xf32>) -> () {
  ^bb0(%acc: f32, %e: f32):
  }
  return
}

// -----

func.func @matmul_region_without_the_sum(%a: tensor<4x8xf32>, %b: tensor<8x2xf32>) {
  // expected-error @below {{region has 0 arguments when it should have 1}}
  kernel.matmul %a, %b extras() sizes [1, 4, 2, 8] {lhs_access = #kernel.access<offset = 0, strides = 0, 8, 1>,
    rhs_access = #kernel.access<offset = 0, strides = 0, 2, 1>, extra_access = [], output_access = []}
    : (tensor<4x8xf32>, tensor<8x2xf32>) -> () {
  }
  return
}

// -----

func.func @matmul_yields_nothing(%a: tensor<4x8xf32>, %b: tensor<8x2xf32>) {
  // expected-error @below {{yields 0 values for 1 results}}
  %y = kernel.matmul %a, %b extras() sizes [1, 4, 2, 8] {lhs_access = #kernel.access<offset = 0, strides = 0, 8, 1>,
    rhs_access = #kernel.access<offset = 0, strides = 0, 2, 1>, extra_access = [],
    output_access = [#kernel.access<offset = 0, strides = 0, 2, 1>]}
    : (tensor<4x8xf32>, tensor<8x2xf32>) -> tensor<4x2xf32> {
  ^bb0(%acc: f32):
  }
  return
}

// -----

func.func @attention_without_a_value_width(%q: tensor<1x4x2x8xf32>, %i: tensor<1x4xi32>) {
  // expected-error @below {{has 6 sizes when it should have 7: B, T, S, H, G, D, E}}
  kernel.attention forward %q, %q, %q, %i, %i sizes [1, 4, 4, 2, 2, 8]
    {input_access = [], output_access = [], scale = 0.5 : f64}
    : (tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4xi32>, tensor<1x4xi32>) -> ()
  return
}

// -----

func.func @attention_without_an_end(%q: tensor<1x4x2x8xf32>, %i: tensor<1x4xi32>) {
  // expected-error @below {{has 4 inputs when it should have 5}}
  kernel.attention forward %q, %q, %q, %i sizes [1, 4, 4, 2, 2, 8, 8]
    {input_access = [], output_access = [], scale = 0.5 : f64}
    : (tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4xi32>) -> ()
  return
}

// -----

func.func @attention_gradient_without_what_was_saved(%q: tensor<1x4x2x8xf32>, %i: tensor<1x4xi32>) {
  // expected-error @below {{has 5 inputs when it should have 8}}
  kernel.attention grad_query %q, %q, %q, %i, %i sizes [1, 4, 4, 2, 2, 8, 8]
    {input_access = [], output_access = [], scale = 0.5 : f64}
    : (tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4xi32>, tensor<1x4xi32>) -> ()
  return
}

// -----

func.func @attention_without_lse(%q: tensor<1x4x2x8xf32>, %i: tensor<1x4xi32>) {
  // expected-error @below {{has 1 results when it should have 2}}
  %o = kernel.attention forward %q, %q, %q, %i, %i sizes [1, 4, 4, 2, 2, 8, 8]
    {input_access = [], output_access = [], scale = 0.5 : f64}
    : (tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4xi32>, tensor<1x4xi32>)
    -> tensor<1x4x2x8xf32>
  return
}

// -----

func.func @attention_backward_of_one_side(%q: tensor<1x4x2x8xf32>, %i: tensor<1x4xi32>, %l: tensor<1x4x2xf32>) {
  // expected-error @below {{has 2 results when it should have 3}}
  %r:2 = kernel.attention backward %q, %q, %q, %i, %i, %l, %l, %q sizes [1, 4, 4, 2, 2, 8, 8]
    {input_access = [], output_access = [], scale = 0.5 : f64}
    : (tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4xi32>, tensor<1x4xi32>,
       tensor<1x4x2xf32>, tensor<1x4x2xf32>, tensor<1x4x2x8xf32>) -> (tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>)
  return
}

// -----

func.func @attention_without_accesses(%q: tensor<1x4x2x8xf32>, %i: tensor<1x4xi32>) {
  // expected-error @below {{needs an access for each input and result}}
  %o, %l = kernel.attention forward %q, %q, %q, %i, %i sizes [1, 4, 4, 2, 2, 8, 8]
    {input_access = [], output_access = [], scale = 0.5 : f64}
    : (tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4xi32>, tensor<1x4xi32>)
    -> (tensor<1x4x2x8xf32>, tensor<1x4x2xf32>)
  return
}

// -----

func.func @packed_rhs_of_cut_panels(%a: tensor<4x64xbf16>, %b: tensor<48x64xbf16>) {
  // expected-error @below {{has a packed rhs of 'tensor<48x64xbf16>', too small for panels of n 48 and k 64, each filled up to a multiple of 32}}
  %y = kernel.matmul %a, %b extras() sizes [1, 4, 48, 64] {packed_rhs,
    lhs_access = #kernel.access<offset = 0, strides = 0, 64, 1>, rhs_access = #kernel.access<offset = 0, strides = 0, 48, 1>,
    extra_access = [], output_access = [#kernel.access<offset = 0, strides = 0, 48, 1>]} : (tensor<4x64xbf16>, tensor<48x64xbf16>) -> tensor<4x48xf32> {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  }
  return
}

// -----

func.func @packed_rhs_that_is_not_whole(%a: tensor<4x64xbf16>, %b: tensor<64x64xbf16>) {
  // expected-error @below {{has a packed rhs with strides 0 and 1 when they should be n and 1}}
  %y = kernel.matmul %a, %b extras() sizes [1, 4, 64, 64] {packed_rhs,
    lhs_access = #kernel.access<offset = 0, strides = 0, 64, 1>, rhs_access = #kernel.access<offset = 0, strides = 0, 0, 1>,
    extra_access = [], output_access = [#kernel.access<offset = 0, strides = 0, 64, 1>]} : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xf32> {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  }
  return
}

// -----

func.func @packed_rhs_whose_k_is_cut(%a: tensor<64x4xbf16>, %b: tensor<64x64xbf16>, %g: tensor<2xi32>) {
  // expected-error @below {{has a packed rhs, whose k its groups would cut}}
  %y = kernel.matmul %a, %b extras() groups %g sizes [1, 4, 64, 64] {packed_rhs, grouped = 1 : i64, group_access = #kernel.access<offset = 0, strides = 1>,
    lhs_access = #kernel.access<offset = 0, strides = 0, 1, 4>, rhs_access = #kernel.access<offset = 0, strides = 0, 64, 1>,
    extra_access = [], output_access = [#kernel.access<offset = 0, strides = 0, 64, 1>]} : (tensor<64x4xbf16>, tensor<64x64xbf16>, tensor<2xi32>) -> tensor<4x64xf32> {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  }
  return
}

// -----

func.func @rows_without_groups(%a: tensor<8x4xf32>, %b: tensor<4x4xf32>, %r: tensor<4xi32>) {
  // expected-error @below {{has rows without row_access or groups, or row_access without rows}}
  %y = kernel.matmul %a, %b extras() rows %r sizes [1, 4, 4, 4] {row_access = #kernel.access<offset = 0, strides = 1>,
    lhs_access = #kernel.access<offset = 0, index = 2, index_stride = 4, index_limit = 8, strides = 0, 0, 1>, rhs_access = #kernel.access<offset = 0, strides = 0, 4, 1>,
    extra_access = [], output_access = [#kernel.access<offset = 0, strides = 0, 4, 1>]} : (tensor<8x4xf32>, tensor<4x4xf32>, tensor<4xi32>) -> tensor<4x4xf32> {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  }
  return
}

// -----

func.func @rows_for_nothing(%a: tensor<4x4xf32>, %b: tensor<4x4xf32>, %g: tensor<2xi32>, %r: tensor<4xi32>) {
  // expected-error @below {{has rows that index nothing}}
  %y = kernel.matmul %a, %b extras() groups %g rows %r sizes [1, 4, 4, 4] {grouped = 0 : i64, group_access = #kernel.access<offset = 0, strides = 1>, row_access = #kernel.access<offset = 0, strides = 1>,
    lhs_access = #kernel.access<offset = 0, strides = 0, 4, 1>, rhs_access = #kernel.access<offset = 0, strides = 0, 4, 1>,
    extra_access = [], output_access = [#kernel.access<offset = 0, strides = 0, 4, 1>]} : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<2xi32>, tensor<4xi32>) -> tensor<4x4xf32> {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  }
  return
}

// -----

func.func @matrices_looked_up(%a: tensor<4x4xf32>, %b: tensor<8x4xf32>, %g: tensor<2xi32>, %r: tensor<4xi32>) {
  // expected-error @below {{rhs is indexed by buffer 3; there are no rows for it}}
  %y = kernel.matmul %a, %b extras() groups %g rows %r sizes [1, 4, 4, 4] {grouped = 0 : i64, group_access = #kernel.access<offset = 0, strides = 1>, row_access = #kernel.access<offset = 0, strides = 1>,
    lhs_access = #kernel.access<offset = 0, strides = 0, 4, 1>, rhs_access = #kernel.access<offset = 0, index = 3, index_stride = 4, index_limit = 8, strides = 0, 0, 1>,
    extra_access = [], output_access = [#kernel.access<offset = 0, strides = 0, 4, 1>]} : (tensor<4x4xf32>, tensor<8x4xf32>, tensor<2xi32>, tensor<4xi32>) -> tensor<4x4xf32> {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  }
  return
}

// -----

func.func @looked_up_by_groups(%a: tensor<8x4xf32>, %b: tensor<4x4xf32>, %g: tensor<2xi32>, %r: tensor<4xi32>) {
  // expected-error @below {{lhs is indexed by buffer 2; only rows may index it}}
  %y = kernel.matmul %a, %b extras() groups %g rows %r sizes [1, 4, 4, 4] {grouped = 0 : i64, group_access = #kernel.access<offset = 0, strides = 1>, row_access = #kernel.access<offset = 0, strides = 1>,
    lhs_access = #kernel.access<offset = 0, index = 2, index_stride = 4, index_limit = 8, strides = 0, 0, 1>, rhs_access = #kernel.access<offset = 0, strides = 0, 4, 1>,
    extra_access = [], output_access = [#kernel.access<offset = 0, strides = 0, 4, 1>]} : (tensor<8x4xf32>, tensor<4x4xf32>, tensor<2xi32>, tensor<4xi32>) -> tensor<4x4xf32> {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  }
  return
}

// -----

func.func @looked_up_across(%a: tensor<8x4xf32>, %b: tensor<4x4xf32>, %g: tensor<2xi32>, %r: tensor<4xi32>) {
  // expected-error @below {{has an indexed lhs with strides 0, 4, 1 when they should be 0, 0, 1}}
  %y = kernel.matmul %a, %b extras() groups %g rows %r sizes [1, 4, 4, 4] {grouped = 0 : i64, group_access = #kernel.access<offset = 0, strides = 1>, row_access = #kernel.access<offset = 0, strides = 1>,
    lhs_access = #kernel.access<offset = 0, index = 3, index_stride = 1, index_limit = 4, strides = 0, 4, 1>, rhs_access = #kernel.access<offset = 0, strides = 0, 4, 1>,
    extra_access = [], output_access = [#kernel.access<offset = 0, strides = 0, 4, 1>]} : (tensor<8x4xf32>, tensor<4x4xf32>, tensor<2xi32>, tensor<4xi32>) -> tensor<4x4xf32> {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  }
  return
}

// -----

func.func @extra_looked_up_by_columns(%a: tensor<4x4xf32>, %b: tensor<4x4xf32>, %i: tensor<4xi32>, %t: tensor<8x4xf32>) {
  // expected-error @below {{extra access 1 is indexed by buffer 2, which should be an extra of i32 that is the same in all of a row}}
  %y = kernel.matmul %a, %b extras(%i, %t) sizes [1, 4, 4, 4] {
    lhs_access = #kernel.access<offset = 0, strides = 0, 4, 1>, rhs_access = #kernel.access<offset = 0, strides = 0, 4, 1>,
    extra_access = [#kernel.access<offset = 0, strides = 0, 0, 1>, #kernel.access<offset = 0, index = 2, index_stride = 4, index_limit = 8, strides = 0, 0, 1>],
    output_access = [#kernel.access<offset = 0, strides = 0, 4, 1>]} : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4xi32>, tensor<8x4xf32>) -> tensor<4x4xf32> {
  ^bb0(%acc: f32, %p: i32, %e: f32):
    kernel.yield %acc : f32
  }
  return
}
