// RUN: weft-opt %s --fuse-kernels -split-input-file -verify-diagnostics | FileCheck %s

// A residual addition, the sum of squares and the normalised row are one kernel, which reads each operand
// once, and computes the row's reduction and what is made of it in between. Broadcasts are strides of 0.
// CHECK-LABEL: func.func @norm
// CHECK-SAME:  (%[[X:[a-z0-9]*]]: tensor<8x16xf32>, %[[O:[a-z0-9]*]]: tensor<8x16xf32>,
// CHECK-SAME:     %[[W:[a-z0-9]*]]: tensor<16xf32>)
// CHECK:       %[[R:.*]]:2 = kernel.loops domain [8, 16] ins(%[[X]], %[[O]], %[[W]]) inits()
// CHECK-SAME:    input_access = [#kernel.access<offset = 0, strides = 16, 1>,
// CHECK-SAME:     #kernel.access<offset = 0, strides = 16, 1>,
// CHECK-SAME:                    #kernel.access<offset = 0, strides = 0, 1>]
// CHECK-NEXT:  ^bb0(%[[XE:.*]]: f32, %[[OE:.*]]: f32, %[[WE:.*]]: f32):
// CHECK-NEXT:    %[[A:.*]] = arith.addf %[[XE]], %[[OE]]
// CHECK-NEXT:    %[[SQ:.*]] = arith.mulf %[[A]], %[[A]]
// CHECK-NEXT:    %[[SUM:.*]] = kernel.reduce sum %[[SQ]]
// CHECK-NEXT:    %[[RS:.*]] = math.rsqrt %[[SUM]]
// CHECK-NEXT:    %[[N:.*]] = arith.mulf %[[A]], %[[RS]]
// CHECK-NEXT:    %[[Y:.*]] = arith.mulf %[[N]], %[[WE]]
// CHECK-NEXT:    kernel.yield %[[A]], %[[Y]]
// CHECK:       return %[[R]]#0, %[[R]]#1
func.func @norm(%x: tensor<8x16xf32>, %o: tensor<8x16xf32>, %w: tensor<16xf32>)
    -> (tensor<8x16xf32>, tensor<8x16xf32>) {
  // expected-remark@below {{fused into one kernel: 6 operations, 3 inputs, 2 results}}
  %a = graph.add %x, %o : tensor<8x16xf32>
  %sq = graph.mul %a, %a : tensor<8x16xf32>
  %s = graph.reduce sum %sq axes = [1] : (tensor<8x16xf32>) -> tensor<8xf32>
  %r = graph.rsqrt %s : tensor<8xf32>
  %rb = graph.broadcast %r dims = [0] shape = [8, 16] : tensor<8xf32>
  %n = graph.mul %a, %rb : tensor<8x16xf32>
  %wb = graph.broadcast %w dims = [1] shape = [8, 16] : tensor<16xf32>
  %y = graph.mul %n, %wb : tensor<8x16xf32>
  return %a, %y : tensor<8x16xf32>, tensor<8x16xf32>
}

// -----

// A product is a kernel of its own: what it reads is in memory before it, what reads it comes after. Rows of
// all dimensions are one, the transposition is strides, and the accumulator is what the result starts from.
// CHECK-LABEL: func.func @product
// CHECK-SAME:  (%[[X:[a-z0-9]*]]: tensor<2x4x8xf32>, %[[W:[a-z0-9]*]]: tensor<16x8xf32>,
// CHECK-SAME:     %[[ACC:[a-z0-9]*]]: tensor<2x4x16xf32>)
// CHECK:       %[[E:.*]] = kernel.loops {{.*}} ins(%[[X]])
// CHECK:         math.exp
// CHECK:       %[[Y:.*]] = kernel.matmul %[[E]], %[[W]] init %[[ACC]] extras() sizes [1, 8, 16, 8]
// CHECK-SAME:    lhs_access = #kernel.access<offset = 0, strides = 0, 8, 1>
// CHECK-SAME:    output_access = [#kernel.access<offset = 0, strides = 0, 16, 1>]
// CHECK-SAME:    rhs_access = #kernel.access<offset = 0, strides = 0, 1, 8>
// CHECK:       kernel.loops {{.*}} ins(%[[Y]])
// CHECK:         math.tanh
func.func @product(%x: tensor<2x4x8xf32>, %w: tensor<16x8xf32>, %acc: tensor<2x4x16xf32>)
    -> tensor<2x4x16xf32> {
  // expected-remark@below {{fused into one kernel}}
  %e = graph.exp %x : tensor<2x4x8xf32>
  %y = graph.matmul %e, %w acc %acc {transpose_rhs}
    : (tensor<2x4x8xf32>, tensor<16x8xf32>, tensor<2x4x16xf32>) -> tensor<2x4x16xf32>
  // expected-remark@below {{fused into one kernel}}
  %z = graph.tanh %y : tensor<2x4x16xf32>
  return %z : tensor<2x4x16xf32>
}

// -----

// A sum over leading dimensions takes in what makes its summands, and continues the chain of acc.
// CHECK-LABEL: func.func @column_sum
// CHECK-SAME:  (%[[X:[a-z0-9]*]]: tensor<8x16xf32>, %[[ACC:[a-z0-9]*]]: tensor<16xf32>)
// CHECK-NEXT:  kernel.loops domain [8, 16] ins(%[[X]]) inits(%[[ACC]]) {init_result = array<i64: 0>
// CHECK-SAME:    output_access = [#kernel.access<offset = 0, strides = 0, 1>], reduce_dims = 1
// CHECK:         %[[E:.*]] = math.exp
// CHECK-NEXT:    kernel.yield %[[E]]
func.func @column_sum(%x: tensor<8x16xf32>, %acc: tensor<16xf32>) -> tensor<16xf32> {
  %e = graph.exp %x : tensor<8x16xf32>
  %s = graph.reduce sum %e acc %acc axes = [0] : (tensor<8x16xf32>, tensor<16xf32>) -> tensor<16xf32>
  return %s : tensor<16xf32>
}

// -----

// A maximum over leading dimensions is one over the last, of the transposed value: no kernel takes it along
// columns.
// CHECK-LABEL: func.func @column_max
// CHECK-NEXT:  kernel.loops domain [4, 8]
// CHECK-SAME:    input_access = [#kernel.access<offset = 0, strides = 1, 4>]
// CHECK-NOT:   reduce_dims
// CHECK:         kernel.reduce max
func.func @column_max(%x: tensor<8x4xf32>) -> tensor<4xf32> {
  // expected-remark@below {{fused into one kernel}}
  %y = graph.reduce max %x axes = [0] : (tensor<8x4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// A gather is an access through its index, computed where the row is used; clamped to the table by
// index_limit.
// CHECK-LABEL: func.func @embedding
// CHECK-SAME:  (%[[TABLE:[a-z0-9]*]]: tensor<32x16xf32>, %[[T:[a-z0-9]*]]: tensor<8xi32>,
// CHECK-SAME:     %[[P:[a-z0-9]*]]: tensor<8x16xf32>)
// CHECK-NEXT:  kernel.loops domain [8, 16] ins(%[[T]], %[[TABLE]], %[[P]]) inits()
// CHECK-SAME:    input_access = [#kernel.access<offset = 0, strides = 1, 0>,
// CHECK-SAME:      #kernel.access<offset = 0, index = 0, index_stride = 16, index_limit = 32, strides = 0, 1>,
// CHECK:         arith.addf
func.func @embedding(%table: tensor<32x16xf32>, %tokens: tensor<8xi32>, %p: tensor<8x16xf32>)
    -> tensor<8x16xf32> {
  %x = graph.gather %table, %tokens : (tensor<32x16xf32>, tensor<8xi32>) -> tensor<8x16xf32>
  // expected-remark@below {{fused into one kernel}}
  %y = graph.add %x, %p : tensor<8x16xf32>
  return %y : tensor<8x16xf32>
}

// -----

// Its gradient is a sum over the tokens, in their order, onto what the table's gradient holds.
// CHECK-LABEL: func.func @embedding_gradient
// CHECK-SAME:  (%[[ACC:[a-z0-9]*]]: tensor<32x16xf32>, %[[T:[a-z0-9]*]]: tensor<2x4xi32>,
// CHECK-SAME:     %[[DX:[a-z0-9]*]]: tensor<2x4x16xf32>)
// CHECK-NEXT:  kernel.loops domain [8, 16] ins(%[[T]], %[[DX]]) inits(%[[ACC]]) {init_result = array<i64: 0>
// CHECK-SAME:    output_access = [#kernel.access<offset = 0, index = 0, index_stride = 16, index_limit = 32,
// CHECK-SAME:     strides = 0, 1>]
// CHECK-SAME:    reduce_dims = 1
func.func @embedding_gradient(%acc: tensor<32x16xf32>, %tokens: tensor<2x4xi32>, %dx: tensor<2x4x16xf32>)
    -> tensor<32x16xf32> {
  %d = graph.scatter_add %acc, %tokens, %dx : (tensor<32x16xf32>, tensor<2x4xi32>, tensor<2x4x16xf32>)
      -> tensor<32x16xf32>
  return %d : tensor<32x16xf32>
}

// -----

// Rows written into a cache replace, so nothing is summed: no reduced dimension.
// CHECK-LABEL: func.func @cache
// CHECK-SAME:  (%[[CACHE:[a-z0-9]*]]: tensor<1x64x8xf32>, %[[S:[a-z0-9]*]]: tensor<1x4xi32>,
// CHECK-SAME:     %[[K:[a-z0-9]*]]: tensor<1x4x8xf32>)
// CHECK-NEXT:  kernel.loops {{.*}} ins(%[[S]], %[[K]]) inits(%[[CACHE]])
// CHECK-SAME:    index = 0, index_stride = 8, index_limit = 64
// CHECK-NOT:   reduce_dims
// CHECK:       return
func.func @cache(%cache: tensor<1x64x8xf32>, %slots: tensor<1x4xi32>, %k: tensor<1x4x8xf32>)
    -> tensor<1x64x8xf32> {
  %c = graph.write_rows %cache, %slots, %k : (tensor<1x64x8xf32>, tensor<1x4xi32>, tensor<1x4x8xf32>)
      -> tensor<1x64x8xf32>
  return %c : tensor<1x64x8xf32>
}

// -----

// Queries, keys and values that are parts of one buffer are read there: no copy. The block of keys, which
// fixes bits, is kept.
// CHECK-LABEL: func.func @attention
// CHECK-SAME:  (%[[QKV:[a-z0-9]*]]: tensor<1x8x6x4xf32>
// CHECK-NEXT:  kernel.attention forward %[[QKV]], %[[QKV]], %[[QKV]], %{{[a-z0-9]*}}, %{{[a-z0-9]*}}
// CHECK-SAME:     sizes [1, 8, 8, 2, 2, 4, 4]
// CHECK-SAME:    input_access = [#kernel.access<offset = 0, strides = 0, 24, 4, 1>,
// CHECK-SAME:     #kernel.access<offset = 8, strides = 0, 24, 4, 1>,
// CHECK-SAME:                    #kernel.access<offset = 16, strides = 0, 24, 4, 1>
// CHECK-SAME:    key_block = 32
// CHECK-NEXT:  return
func.func @attention(%qkv: tensor<1x8x6x4xf32>, %b: tensor<1x8xi32>, %e: tensor<1x8xi32>)
    -> tensor<1x8x2x4xf32> {
  %q = graph.slice %qkv offsets = [0, 0, 0, 0] sizes = [1, 8, 2, 4] : tensor<1x8x6x4xf32>
  %k = graph.slice %qkv offsets = [0, 0, 2, 0] sizes = [1, 8, 2, 4] : tensor<1x8x6x4xf32>
  %v = graph.slice %qkv offsets = [0, 0, 4, 0] sizes = [1, 8, 2, 4] : tensor<1x8x6x4xf32>
  %o, %l = graph.attention %q, %k, %v range %b, %e {scale = 0.5 : f64, key_block = 32 : i64}
    : (tensor<1x8x2x4xf32>, tensor<1x8x2x4xf32>, tensor<1x8x2x4xf32>, tensor<1x8xi32>, tensor<1x8xi32>)
    -> (tensor<1x8x2x4xf32>, tensor<1x8x2xf32>)
  return %o : tensor<1x8x2x4xf32>
}

// -----

// The gradients of two halves are padded and added: one kernel writes each half to its place, and no zeros
// are made.
// CHECK-LABEL: func.func @two_halves
// CHECK-SAME:  (%[[A:[a-z0-9]*]]: tensor<8x4xf32>, %[[B:[a-z0-9]*]]: tensor<8x4xf32>)
// CHECK-NEXT:  kernel.loops domain [8, 4] ins(%[[A]], %[[B]]) inits()
// CHECK-SAME:    output_access = [#kernel.access<offset = 0, strides = 8, 1>,
// CHECK-SAME:     #kernel.access<offset = 4, strides = 8, 1>]
// CHECK-SAME:    yield_result = array<i64: 0, 0>
// CHECK-NEXT:  ^bb0(%[[AE:.*]]: f32, %[[BE:.*]]: f32):
// CHECK-NEXT:    kernel.yield %[[AE]], %[[BE]]
func.func @two_halves(%a: tensor<8x4xf32>, %b: tensor<8x4xf32>) -> tensor<8x8xf32> {
  %p = graph.pad %a low = [0, 0] high = [0, 4] : tensor<8x4xf32>
  %q = graph.pad %b low = [0, 4] high = [0, 0] : tensor<8x4xf32>
  %y = graph.add %p, %q : tensor<8x8xf32>
  return %y : tensor<8x8xf32>
}

// -----

// Pieces of different shapes: a kernel each, the second of which keeps what the first wrote.
// CHECK-LABEL: func.func @two_pieces
// CHECK-SAME:  (%[[A:[a-z0-9]*]]: tensor<8x4xf32>, %[[B:[a-z0-9]*]]: tensor<8x3xf32>)
// CHECK:       %[[EMPTY:.*]] = kernel.empty : tensor<8x7xf32>
// CHECK:       %[[FIRST:.*]] = kernel.loops domain [8, 4] ins(%[[A]]) inits(%[[EMPTY]])
// CHECK-SAME:    output_access = [#kernel.access<offset = 0, strides = 7, 1>]
// CHECK:       %[[BOTH:.*]] = kernel.loops domain [8, 3] ins(%[[B]]) inits(%[[FIRST]])
// CHECK-SAME:    output_access = [#kernel.access<offset = 4, strides = 7, 1>]
// CHECK:       return %[[BOTH]]
func.func @two_pieces(%a: tensor<8x4xf32>, %b: tensor<8x3xf32>) -> tensor<8x7xf32> {
  %y = graph.concat %a, %b axis = 1 : tensor<8x4xf32>, tensor<8x3xf32>
  return %y : tensor<8x7xf32>
}

// -----

// Results of one shape are computed together when they read the same large value, and apart when they share
// nothing.
// CHECK-LABEL: func.func @siblings
// CHECK-SAME:  (%[[A:[a-z0-9]*]]: tensor<8x4xf32>, %[[B:[a-z0-9]*]]: tensor<8x4xf32>)
// CHECK-DAG:   %[[ONE:.*]] = kernel.loops {{.*}} ins(%[[B]])
// CHECK-DAG:   %[[TWO:.*]]:2 = kernel.loops {{.*}} ins(%[[A]])
// CHECK:       return %[[TWO]]#0, %[[ONE]], %[[TWO]]#1
func.func @siblings(%a: tensor<8x4xf32>, %b: tensor<8x4xf32>)
    -> (tensor<8x4xf32>, tensor<8x4xf32>, tensor<8x4xf32>) {
  // expected-remark@below {{fused into one kernel: 2 operations, 1 inputs, 2 results}}
  %x = graph.exp %a : tensor<8x4xf32>
  // expected-remark@below {{fused into one kernel: 1 operations, 1 inputs, 1 results}}
  %y = graph.exp %b : tensor<8x4xf32>
  %z = graph.sin %a : tensor<8x4xf32>
  return %x, %y, %z : tensor<8x4xf32>, tensor<8x4xf32>, tensor<8x4xf32>
}

// -----

// A reshape that does more than move unit dimensions is a view of something in memory: what comes before it
// is a kernel, what comes after another.
// CHECK-LABEL: func.func @regrouped
// CHECK:       %[[E:.*]] = kernel.loops {{.*}} -> tensor<8x4xf32>
// CHECK:         arith.mulf
// CHECK:       kernel.loops {{.*}} ins(%[[E]]) {{.*}} -> tensor<4x8xf32>
// CHECK:         math.sin
// CHECK-NOT:   graph.reshape
func.func @regrouped(%x: tensor<8x4xf32>) -> tensor<4x8xf32> {
  // expected-remark@below {{fused into one kernel: 1 operations, 1 inputs, 1 results}}
  %e = graph.mul %x, %x : tensor<8x4xf32>
  %r = graph.reshape %e shape = [4, 8] : tensor<8x4xf32>
  // expected-remark@below {{fused into one kernel: 1 operations, 1 inputs, 1 results}}
  %y = graph.sin %r : tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// A function of one value moves behind the reshape, so that the memory viewed is what is there already.
// CHECK-LABEL: func.func @reshaped_cast
// CHECK:       kernel.loops domain [4, 4] ins(%{{.*}}) {{.*}}input_access = [#kernel.access<offset = 4, strides = 8, 1>]
// CHECK:         arith.extf
// CHECK:         arith.mulf
// CHECK-NOT:   kernel.loops
func.func @reshaped_cast(%x: tensor<2x16xbf16>) -> tensor<4x4xf32> {
  %c = graph.cast %x to f32 : tensor<2x16xbf16>
  %r = graph.reshape %c shape = [4, 8] : tensor<2x16xf32>
  %s = graph.slice %r offsets = [0, 4] sizes = [4, 4] : tensor<4x8xf32>
  // expected-remark@below {{fused into one kernel: 2 operations, 1 inputs, 1 results}}
  %y = graph.mul %s, %s : tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}

// -----

// A concatenation is rounded where its pieces are written, behind a reshape too.
// CHECK-LABEL: func.func @rounded_concat
// CHECK:       %[[Y:.*]] = kernel.loops domain [8, 4] {{.*}} -> tensor<8x8xbf16>
// CHECK:         arith.truncf
// CHECK:         arith.truncf
// CHECK:       %[[R:.*]] = graph.reshape %[[Y]]
// CHECK:       return %[[R]]
func.func @rounded_concat(%a: tensor<8x4xf32>, %b: tensor<8x4xf32>) -> tensor<64xbf16> {
  %y = graph.concat %a, %b axis = 1 : tensor<8x4xf32>, tensor<8x4xf32>
  %r = graph.reshape %y shape = [64] : tensor<8x8xf32>
  %c = graph.cast %r to bf16 : tensor<64xf32>
  return %c : tensor<64xbf16>
}

// -----

// A transposed value that is returned has to be in memory in order: a copy. A reshaped one is in order
// already: no kernel.
// CHECK-LABEL: func.func @copied
// CHECK-NEXT:  %[[COPY:.*]] = kernel.loops domain [4, 8]
// CHECK-SAME:    input_access = [#kernel.access<offset = 0, strides = 1, 4>]
// CHECK-SAME:    output_access = [#kernel.access<offset = 0, strides = 8, 1>]
// CHECK:       return %[[COPY]]
// CHECK-LABEL: func.func @nothing_to_do
// CHECK-NEXT:  %[[VIEW:.*]] = graph.reshape
// CHECK-NEXT:  return %{{.*}}, %[[VIEW]]
func.func @copied(%x: tensor<8x4xf32>) -> tensor<4x8xf32> {
  // expected-remark@below {{fused into one kernel: 0 operations, 1 inputs, 1 results}}
  %y = graph.transpose %x permutation = [1, 0] : tensor<8x4xf32>
  return %y : tensor<4x8xf32>
}
func.func @nothing_to_do(%x: tensor<8x4xf32>) -> (tensor<8x4xf32>, tensor<32xf32>) {
  %y = graph.reshape %x shape = [32] : tensor<8x4xf32>
  return %x, %y : tensor<8x4xf32>, tensor<32xf32>
}

// -----

// Repeats, variables and collectives stay, around the kernels and in their order; a repeat's body is fused by
// itself.
// CHECK-LABEL: func.func private @body
// CHECK-NEXT:  kernel.loops
// CHECK-LABEL: func.func @entry
// CHECK-NEXT:  %[[V:.*]] = graph.read @v
// CHECK-NEXT:  %[[Y:.*]] = graph.repeat @body
// CHECK-NEXT:  %[[N:.*]] = kernel.loops {{.*}} ins(%[[Y]], %[[V]])
// CHECK:       %[[S:.*]] = dist.all_reduce data %[[N]]
// CHECK-NEXT:  graph.write @v, %[[S]]
// CHECK-NEXT:  return
graph.variable @v : tensor<8x4xf32> {kind = 0 : i64, init = 0 : i64}
func.func private @body(%x: tensor<8x4xf32>, %w: tensor<8x4xf32>) -> tensor<8x4xf32> {
  %a = graph.mul %x, %w : tensor<8x4xf32>
  // expected-remark@below {{fused into one kernel: 2 operations, 2 inputs, 1 results}}
  %b = graph.exp %a : tensor<8x4xf32>
  return %b : tensor<8x4xf32>
}
func.func @entry(%x: tensor<8x4xf32>, %w: tensor<3x8x4xf32>) {
  %v = graph.read @v : tensor<8x4xf32>
  %y = graph.repeat @body carry(%x) stacked(%w) invariant() range(0, 3) {tied = array<i64>}
    : (tensor<8x4xf32>, tensor<3x8x4xf32>) -> tensor<8x4xf32>
  // expected-remark@below {{fused into one kernel: 1 operations, 2 inputs, 1 results}}
  %n = graph.add %y, %v : tensor<8x4xf32>
  %s = dist.all_reduce data %n : tensor<8x4xf32>
  graph.write @v, %s : tensor<8x4xf32>
  return
}

// -----

// A gather reads its table at other rows than the one being computed, so the table is made by an earlier
// kernel.
// CHECK-LABEL: func.func @table_first
// CHECK:       %[[TABLE:.*]] = kernel.loops {{.*}} -> tensor<8x16xf32>
// CHECK:         math.exp
// CHECK:       kernel.loops {{.*}} ins(%{{.*}}, %[[TABLE]])
// CHECK-SAME:    index_limit = 8
func.func @table_first(%x: tensor<8x16xf32>, %i: tensor<8xi32>) -> (tensor<8x16xf32>, tensor<8x16xf32>) {
  // expected-remark@below {{fused into one kernel}}
  %t = graph.exp %x : tensor<8x16xf32>
  // expected-remark@below {{fused into one kernel}}
  %y = graph.gather %t, %i : (tensor<8x16xf32>, tensor<8xi32>) -> tensor<8x16xf32>
  return %t, %y : tensor<8x16xf32>, tensor<8x16xf32>
}

// -----

// A reshape of a part of a buffer has to lie in memory: the part is copied, and the reshape names the copy.
// CHECK-LABEL: func.func @reshaped_part
// CHECK:         %[[P:.*]] = kernel.loops domain [30] {{.*}} -> tensor<3x10xf32>
// CHECK:         %[[R:.*]] = graph.reshape %[[P]] shape = [1, 30]
// CHECK:         return %[[R]]
func.func @reshaped_part(%x: tensor<5x10xf32>) -> tensor<1x30xf32> {
  %e = graph.pad %x low = [0, 0] high = [1, 0] : tensor<5x10xf32>
  // expected-remark @below {{fused into one kernel: 0 operations, 1 inputs, 1 results}}
  %s = graph.slice %e offsets = [0, 0] sizes = [3, 10] : tensor<6x10xf32>
  %r = graph.reshape %s shape = [1, 30] : tensor<3x10xf32>
  return %r : tensor<1x30xf32>
}

// -----

// What is computed again for backward is not computed together with the original: it would be kept until then.
// CHECK-LABEL: func.func @again
// CHECK: %[[FIRST:.*]] = kernel.loops
// CHECK: %[[Y:.*]] = kernel.matmul %[[FIRST]]
// CHECK: %[[SECOND:.*]] = kernel.loops
// CHECK: kernel.matmul %[[SECOND]]
func.func @again(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  // expected-remark@+1 {{fused into one kernel: 1 operations, 1 inputs, 1 results}}
  %e = graph.tanh %x {graph.recompute} : tensor<4x4xf32>
  %y = graph.matmul %e, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-remark@+1 {{fused into one kernel: 1 operations, 1 inputs, 1 results}}
  %f = graph.tanh %x {graph.again} : tensor<4x4xf32>
  %z = graph.matmul %f, %y : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %z : tensor<4x4xf32>
}

// -----

// Panels of a weight (derive-weights): making them is one kernel with the rounding, over all but the pairs, which it yields one by
// one, along what lies together in the weight; the product that names them through a transpose and a reshape reads them as they lie.
// CHECK-LABEL: func.func @panels
// CHECK-SAME:    (%[[W:.*]]: tensor<64x64xf32>, %[[P:.*]]: tensor<2x32x32x2xbf16>, %[[X:.*]]: tensor<4x64xbf16>)
// CHECK-NEXT:    %[[Q:.*]] = kernel.loops domain [2, 32, 32] ins(%[[W]], %[[W]])
// CHECK-SAME:      offset = 0, strides = 2048, 64, 2>, #kernel.access<offset = 1, strides = 2048, 64, 2>
// CHECK-SAME:      offset = 0, strides = 2048, 2, 64>, #kernel.access<offset = 1, strides = 2048, 2, 64>
// CHECK:         %[[Y:.*]] = kernel.matmul %[[X]], %[[P]] {{.*}} sizes [1, 4, 64, 64] {{.*}} packed_rhs
// CHECK:         return %[[Q]], %[[Y]]
func.func @panels(%w: tensor<64x64xf32>, %p: tensor<2x32x32x2xbf16>, %x: tensor<4x64xbf16>) -> (tensor<2x32x32x2xbf16>, tensor<4x64xf32>) {
  %s = graph.reshape %w shape = [2, 32, 32, 2] : tensor<64x64xf32>
  %t = graph.transpose %s permutation = [0, 2, 1, 3] : tensor<2x32x32x2xf32>
  // expected-remark @below {{fused into one kernel: 2 operations, 2 inputs, 1 results}}
  %q = graph.cast %t to bf16 : tensor<2x32x32x2xf32>
  %u = graph.transpose %p permutation = [0, 2, 1, 3] : tensor<2x32x32x2xbf16>
  %v = graph.reshape %u shape = [64, 64] : tensor<2x32x32x2xbf16>
  %y = graph.matmul %x, %v {transpose_rhs} : (tensor<4x64xbf16>, tensor<64x64xbf16>) -> tensor<4x64xf32>
  return %q, %y : tensor<2x32x32x2xbf16>, tensor<4x64xf32>
}

// -----

// Query heads over one key head are rows, with the range of their token each.
// CHECK-LABEL: func.func @shared_key_head
// CHECK-SAME:    (%[[Q:[a-z0-9]*]]: tensor<1x3x4x8xf32>, %[[K:[a-z0-9]*]]: tensor<1x16x1x8xf32>, %[[B:[a-z0-9]*]]: tensor<1x3xi32>
// CHECK:         kernel.loops domain [3, 4]
// CHECK:         kernel.attention forward %[[Q]], %[[K]], %[[K]]
// CHECK-SAME:      sizes [1, 12, 16, 1, 1, 8, 6]
// CHECK-SAME:      #kernel.access<offset = 0, strides = 0, 8, 0, 1>, #kernel.access<offset = 0, strides = 0, 8, 0, 1>, #kernel.access<offset = 0, strides = 0, 8, 0, 1>
func.func @shared_key_head(%q: tensor<1x3x4x8xf32>, %k: tensor<1x16x1x8xf32>, %b: tensor<1x3xi32>, %e: tensor<1x3xi32>) -> tensor<1x3x4x6xf32> {
  %v = graph.slice %k offsets = [0, 0, 0, 0] sizes = [1, 16, 1, 6] : tensor<1x16x1x8xf32>
  // expected-remark@+1 {{fused into one kernel: 0 operations, 1 inputs, 1 results}}
  %o, %l = graph.attention %q, %k, %v range %b, %e {scale = 0.5 : f64} : (tensor<1x3x4x8xf32>, tensor<1x16x1x8xf32>, tensor<1x16x1x6xf32>, tensor<1x3xi32>, tensor<1x3xi32>) -> (tensor<1x3x4x6xf32>, tensor<1x3x4xf32>)
  return %o : tensor<1x3x4x6xf32>
}

// -----

// A batch of matrices that are parts of a weight is read there: no copy.
// CHECK-LABEL: func.func @matrices_of_heads
// CHECK-SAME:    (%[[X:[a-z0-9]*]]: tensor<3x2x8xf32>, %[[W:[a-z0-9]*]]: tensor<24x4xf32>)
// CHECK-NEXT:    kernel.matmul %[[X]], %[[W]] extras() sizes [2, 3, 4, 8]
// CHECK-SAME:      lhs_access = #kernel.access<offset = 0, strides = 8, 16, 1>
// CHECK-SAME:      rhs_access = #kernel.access<offset = 16, strides = 48, 4, 1>
func.func @matrices_of_heads(%x: tensor<3x2x8xf32>, %w: tensor<24x4xf32>) -> tensor<2x3x4xf32> {
  %t = graph.transpose %x permutation = [1, 0, 2] : tensor<3x2x8xf32>
  %r = graph.reshape %w shape = [2, 12, 4] : tensor<24x4xf32>
  %s = graph.slice %r offsets = [0, 4, 0] sizes = [2, 8, 4] : tensor<2x12x4xf32>
  %y = graph.matmul %t, %s : (tensor<2x3x8xf32>, tensor<2x8x4xf32>) -> tensor<2x3x4xf32>
  return %y : tensor<2x3x4xf32>
}

// -----

// Panels of experts' matrices and of a batch (derive-weights) are read as they lie.
// CHECK-LABEL: func.func @panels_of_matrices
// CHECK-SAME:    (%[[X:[a-z0-9]*]]: tensor<4x64xbf16>, %[[P:[a-z0-9]*]]: tensor<3x1x32x32x2xbf16>, %[[O:[a-z0-9]*]]: tensor<4xi32>, %[[Q:[a-z0-9]*]]: tensor<3x4x64xbf16>)
// CHECK-NEXT:    kernel.matmul %[[X]], %[[P]] extras() groups %[[O]] sizes [3, 4, 32, 64] {{.*}} packed_rhs, rhs_access = #kernel.access<offset = 0, strides = 2048, 32, 1>
// CHECK:         kernel.matmul %[[Q]], %[[P]] extras() sizes [3, 4, 32, 64] {{.*}} packed_rhs, rhs_access = #kernel.access<offset = 0, strides = 2048, 32, 1>
func.func @panels_of_matrices(%x: tensor<4x64xbf16>, %p: tensor<3x1x32x32x2xbf16>, %o: tensor<4xi32>, %q: tensor<3x4x64xbf16>) -> (tensor<4x32xf32>, tensor<3x4x32xf32>) {
  %t = graph.transpose %p permutation = [0, 1, 3, 2, 4] : tensor<3x1x32x32x2xbf16>
  %w = graph.reshape %t shape = [3, 32, 64] : tensor<3x1x32x32x2xbf16>
  %y = graph.grouped_matmul %x, %w, %o {transpose_rhs} : (tensor<4x64xbf16>, tensor<3x32x64xbf16>, tensor<4xi32>) -> tensor<4x32xf32>
  %z = graph.matmul %q, %w {transpose_rhs} : (tensor<3x4x64xbf16>, tensor<3x32x64xbf16>) -> tensor<3x4x32xf32>
  return %y, %z : tensor<4x32xf32>, tensor<3x4x32xf32>
}
