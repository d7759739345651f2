// RUN: weft-opt %s --fuse-kernels -split-input-file -verify-diagnostics | FileCheck %s
// RUN: weft-opt %s --fuse-kernels="launch-ns=0 cache-bytes=1 product-rate=0.01" -split-input-file 2>%t | FileCheck %s --check-prefix=SLOW
// RUN: FileCheck %s --check-prefix=REMARK --input-file %t
// REMARK: remark: apart from the product that it reads: predicted to take {{.*}} us behind it, {{.*}} us in a kernel of its own

// Elementwise code behind a product is computed by the product's kernel. x + o is all that is needed of o, so o is never
// stored; the norm is a kernel of its own.
// CHECK-LABEL: func.func @residual
// CHECK-SAME:  (%[[X:[a-z0-9]*]]: tensor<2x4x8xf32>, %[[A:[a-z0-9]*]]: tensor<2x4x16xf32>, %[[W:[a-z0-9]*]]: tensor<8x16xf32>)
// CHECK:       %[[H:.*]] = kernel.matmul %[[A]], %[[W]] extras(%[[X]]) sizes [1, 8, 8, 16]
// CHECK-SAME:    extra_access = [#kernel.access<offset = 0, strides = 0, 8, 1>]
// CHECK-NEXT:  ^bb0(%[[ACC:.*]]: f32, %[[XE:.*]]: f32):
// CHECK-NEXT:    %[[S:.*]] = arith.addf %[[XE]], %[[ACC]]
// CHECK-NEXT:    kernel.yield %[[S]]
// CHECK:       kernel.loops domain [8, 8] ins(%[[H]])
func.func @residual(%x: tensor<2x4x8xf32>, %a: tensor<2x4x16xf32>, %w: tensor<8x16xf32>) -> tensor<2x4x8xf32> {
  // expected-remark@below {{fused into the product's kernel: 1 operations, 1 inputs, 1 results}}
  %o = graph.matmul %a, %w {transpose_rhs} : (tensor<2x4x16xf32>, tensor<8x16xf32>) -> tensor<2x4x8xf32>
  %h = graph.add %x, %o : tensor<2x4x8xf32>
  %sq = graph.mul %h, %h : tensor<2x4x8xf32>
  // expected-remark@below {{fused into one kernel: 4 operations, 1 inputs, 1 results}}
  %s = graph.reduce sum %sq axes = [2] : (tensor<2x4x8xf32>) -> tensor<2x4xf32>
  %r = graph.rsqrt %s : tensor<2x4xf32>
  %rb = graph.broadcast %r dims = [0, 1] shape = [2, 4, 8] : tensor<2x4xf32>
  %n = graph.mul %h, %rb : tensor<2x4x8xf32>
  return %n : tensor<2x4x8xf32>
}

// -----

// A rounded product that is kept, and what is made of it and of another: both are results. The first product waits for nothing.
// CHECK-LABEL: func.func @gated
// CHECK:       %[[G:.*]] = kernel.matmul {{.*}} extras() {{.*}} -> tensor<4x16xbf16>
// CHECK:       %[[U:.*]]:2 = kernel.matmul {{.*}} extras(%[[G]]) {{.*}} -> (tensor<4x16xbf16>, tensor<4x16xbf16>)
// CHECK:         math.exp
// CHECK:       return %[[G]], %[[U]]#0, %[[U]]#1
func.func @gated(%x: tensor<4x8xbf16>, %wg: tensor<16x8xbf16>, %wu: tensor<16x8xbf16>)
    -> (tensor<4x16xbf16>, tensor<4x16xbf16>, tensor<4x16xbf16>) {
  // expected-remark@below {{fused into the product's kernel: 1 operations, 0 inputs, 1 results}}
  %g = graph.matmul %x, %wg {transpose_rhs} : (tensor<4x8xbf16>, tensor<16x8xbf16>) -> tensor<4x16xf32>
  %gr = graph.cast %g to bf16 : tensor<4x16xf32>
  // expected-remark@below {{fused into the product's kernel}}
  %u = graph.matmul %x, %wu {transpose_rhs} : (tensor<4x8xbf16>, tensor<16x8xbf16>) -> tensor<4x16xf32>
  %ur = graph.cast %u to bf16 : tensor<4x16xf32>
  %gf = graph.cast %gr to f32 : tensor<4x16xbf16>
  %uf = graph.cast %ur to f32 : tensor<4x16xbf16>
  %s = graph.sigmoid %gf : tensor<4x16xf32>
  %a = graph.mul %gf, %s : tensor<4x16xf32>
  %h = graph.mul %a, %uf : tensor<4x16xf32>
  %hr = graph.cast %h to bf16 : tensor<4x16xf32>
  return %gr, %ur, %hr : tensor<4x16xbf16>, tensor<4x16xbf16>, tensor<4x16xbf16>
}

// -----

// What reads more than the product costs memory behind it: a kernel of its own is predicted to be faster where that is slow.
// CHECK-LABEL: func.func @exponential
// CHECK-SAME:  (%{{.*}}, %{{.*}}, %[[G:[a-z0-9]*]]: tensor<4x16xf32>)
// CHECK:       kernel.matmul {{.*}} extras(%[[G]])
// CHECK:         math.exp
// SLOW-LABEL:  func.func @exponential
// SLOW:        %[[Y:.*]] = kernel.matmul {{.*}} extras()
// SLOW:        kernel.loops {{.*}} ins(%[[Y]], %{{.*}})
// SLOW:          math.exp
func.func @exponential(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %g: tensor<4x16xf32>) -> (tensor<4x16xf32>, tensor<4x16xf32>) {
  // expected-remark@below {{fused into the product's kernel}}
  %y = graph.matmul %x, %w {transpose_rhs} : (tensor<4x8xf32>, tensor<16x8xf32>) -> tensor<4x16xf32>
  %e = graph.exp %y : tensor<4x16xf32>
  %m = graph.mul %e, %g : tensor<4x16xf32>
  return %y, %m : tensor<4x16xf32>, tensor<4x16xf32>
}

// -----

// Two products that are added: the later one takes the sum, the earlier one is in memory by then.
// CHECK-LABEL: func.func @sum
// CHECK:       %[[A:.*]] = kernel.matmul {{.*}} extras()
// CHECK:       %[[B:.*]] = kernel.matmul {{.*}} extras(%[[A]])
// CHECK:       return %[[B]]
func.func @sum(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %y: tensor<4x8xf32>, %v: tensor<16x8xf32>) -> tensor<4x16xf32> {
  %a = graph.matmul %x, %w {transpose_rhs} : (tensor<4x8xf32>, tensor<16x8xf32>) -> tensor<4x16xf32>
  // expected-remark@below {{fused into the product's kernel: 1 operations, 1 inputs, 1 results}}
  %b = graph.matmul %y, %v {transpose_rhs} : (tensor<4x8xf32>, tensor<16x8xf32>) -> tensor<4x16xf32>
  %s = graph.add %a, %b : tensor<4x16xf32>
  return %s : tensor<4x16xf32>
}

// -----

// A product that the other one needs cannot wait for it.
// CHECK-LABEL: func.func @cycle
// CHECK:       %[[A:.*]] = kernel.matmul {{.*}} extras()
// CHECK:       %[[B:.*]] = kernel.matmul %[[A]], {{.*}} extras(%[[A]])
// CHECK:       return %[[B]]
func.func @cycle(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %a = graph.matmul %x, %w : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  // expected-remark@below {{fused into the product's kernel}}
  %b = graph.matmul %a, %w : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  %s = graph.add %a, %b : tensor<8x8xf32>
  return %s : tensor<8x8xf32>
}

// -----

// A value that varies along one of the dimensions that are the product's rows has no stride there: a kernel of its own.
// CHECK-LABEL: func.func @no_stride
// CHECK:       %[[Y:.*]] = kernel.matmul {{.*}} extras()
// CHECK:       kernel.loops domain [2, 64] ins(%[[Y]],
func.func @no_stride(%x: tensor<2x4x8xf32>, %w: tensor<16x8xf32>, %p: tensor<4x16xf32>) -> tensor<2x4x16xf32> {
  %y = graph.matmul %x, %w {transpose_rhs} : (tensor<2x4x8xf32>, tensor<16x8xf32>) -> tensor<2x4x16xf32>
  %b = graph.broadcast %p dims = [1, 2] shape = [2, 4, 16] : tensor<4x16xf32>
  // expected-remark@below {{fused into one kernel}}
  %s = graph.add %y, %b : tensor<2x4x16xf32>
  return %s : tensor<2x4x16xf32>
}

// -----

// Rows of experts: the gate of each row is one value a row, which varies along no column.
// CHECK-LABEL: func.func @expert_rows
// CHECK:       kernel.matmul {{.*}} extras(%{{.*}}) groups %{{.*}} sizes [3, 6, 8, 4]
// CHECK-SAME:    extra_access = [#kernel.access<offset = 0, strides = 0, 1, 0>]
func.func @expert_rows(%x: tensor<6x4xf32>, %w: tensor<3x4x8xf32>, %o: tensor<4xi32>, %g: tensor<6xf32>) -> tensor<6x8xf32> {
  // expected-remark@below {{fused into the product's kernel}}
  %y = graph.grouped_matmul %x, %w, %o : (tensor<6x4xf32>, tensor<3x4x8xf32>, tensor<4xi32>) -> tensor<6x8xf32>
  %b = graph.broadcast %g dims = [0] shape = [6, 8] : tensor<6xf32>
  %s = graph.mul %y, %b : tensor<6x8xf32>
  return %s : tensor<6x8xf32>
}

// -----

// The product waits for what its epilogue reads, which therefore cannot share a kernel with what reads the product, although both
// read the same value.
// CHECK-LABEL: func.func @waits
// CHECK-SAME:  (%{{.*}}, %{{.*}}, %[[X:[a-z0-9]*]]: tensor<8x8xf32>)
// CHECK-DAG:   %[[S:.*]] = kernel.loops {{.*}} ins(%[[X]]) {{.*}} -> tensor<8x8xf32>
// CHECK-DAG:   %[[P:.*]]:2 = kernel.matmul {{.*}} extras(%[[S]])
// CHECK-DAG:   kernel.loops {{.*}} ins(%[[P]]#{{[01]}}, %[[X]]) {{.*}} -> tensor<8xf32>
func.func @waits(%a: tensor<8x8xf32>, %w: tensor<8x8xf32>, %x: tensor<8x8xf32>) -> (tensor<8xf32>, tensor<8x8xf32>, tensor<8x8xf32>) {
  // expected-remark@below {{fused into the product's kernel}}
  %p = graph.matmul %a, %w : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  %m = graph.mul %p, %x : tensor<8x8xf32>
  // expected-remark@below {{fused into one kernel}}
  %t = graph.reduce sum %m axes = [1] : (tensor<8x8xf32>) -> tensor<8xf32>
  // expected-remark@below {{fused into one kernel}}
  %s = graph.exp %x : tensor<8x8xf32>
  %r = graph.add %p, %s : tensor<8x8xf32>
  return %t, %s, %r : tensor<8xf32>, tensor<8x8xf32>, tensor<8x8xf32>
}

// -----

// Rows of tokens for the experts: looked up while they are packed, by the product and by its gradient; rounded
// once, for the router's neighbour too.
// CHECK-LABEL: func.func @experts_look_rows_up
// CHECK: %[[X:.*]] = kernel.loops domain [20] ins(%arg0)
// CHECK: kernel.matmul %[[X]], %arg1 extras() groups %arg2 rows %arg3 sizes [3, 10, 8, 4]
// CHECK-SAME: lhs_access = #kernel.access<offset = 0, index = 3, index_stride = 4, index_limit = 5, strides = 0, 0, 1>
// CHECK-SAME: row_access = #kernel.access<offset = 0, strides = 1>
// CHECK: kernel.matmul %[[X]], %arg4 extras() groups %arg2 rows %arg3 sizes [3, 4, 8, 10]
// CHECK-SAME: lhs_access = #kernel.access<offset = 0, index = 3, index_stride = 4, index_limit = 5, strides = 0, 1, 0>
// CHECK-NOT: kernel.loops
// CHECK: return %[[X]]
func.func @experts_look_rows_up(%x: tensor<5x4xf32>, %w: tensor<3x4x8xbf16>, %o: tensor<4xi32>, %token: tensor<10xi32>, %g: tensor<10x8xbf16>, %place: tensor<5x2xi32>)
    -> (tensor<5x4xbf16>, tensor<10x8xf32>, tensor<3x4x8xf32>) {
  %rows = graph.dispatch %x, %token, %place : (tensor<5x4xf32>, tensor<10xi32>, tensor<5x2xi32>) -> tensor<10x4xf32>
  %narrow = graph.cast %rows to bf16 : tensor<10x4xf32>
  // expected-remark @below {{looks its rows up: those of 'tensor<10x4xbf16>' are packed from where they lie}}
  %y = graph.grouped_matmul %narrow, %w, %o : (tensor<10x4xbf16>, tensor<3x4x8xbf16>, tensor<4xi32>) -> tensor<10x8xf32>
  // expected-remark @below {{looks its rows up: those of 'tensor<10x4xbf16>' are packed from where they lie}}
  %d = graph.grouped_outer %narrow, %g, %o : (tensor<10x4xbf16>, tensor<10x8xbf16>, tensor<4xi32>) -> tensor<3x4x8xf32>
  // expected-remark @below {{fused into one kernel: 1 operations, 1 inputs, 1 results}}
  %all = graph.cast %x to bf16 : tensor<5x4xf32>
  return %all, %y, %d : tensor<5x4xbf16>, tensor<10x8xf32>, tensor<3x4x8xf32>
}

// -----

// Factors by two tables: the second is gathered.
// CHECK-LABEL: func.func @two_tables
// CHECK: %[[Y:.*]] = kernel.loops domain [10, 8] ins(%arg4, %arg1)
// CHECK: kernel.matmul %arg0, %[[Y]] extras() groups %arg2 rows %arg3
func.func @two_tables(%x: tensor<5x4xf32>, %y: tensor<5x8xf32>, %o: tensor<4xi32>, %i: tensor<10xi32>, %j: tensor<10xi32>) -> tensor<3x4x8xf32> {
  %a = graph.gather %x, %i : (tensor<5x4xf32>, tensor<10xi32>) -> tensor<10x4xf32>
  // expected-remark @below {{fused into one kernel: 0 operations, 2 inputs, 1 results}}
  %b = graph.gather %y, %j : (tensor<5x8xf32>, tensor<10xi32>) -> tensor<10x8xf32>
  // expected-remark @below {{looks its rows up: those of 'tensor<10x4xf32>' are packed from where they lie}}
  %d = graph.grouped_outer %a, %b, %o : (tensor<10x4xf32>, tensor<10x8xf32>, tensor<4xi32>) -> tensor<3x4x8xf32>
  return %d : tensor<3x4x8xf32>
}

// -----

// The sum of a token's two rows belongs to the product that it is added to, in the shape that has: its kernel
// looks them up.
// CHECK-LABEL: func.func @rows_of_a_token
// CHECK-NEXT: kernel.matmul %arg0, %arg1 extras(%arg3, %arg4, %arg2, %arg4, %arg2) sizes [1, 6, 4, 8]
// CHECK-SAME: extra_access = [#kernel.access<offset = 0, strides = 0, 4, 1>, #kernel.access<offset = 0, strides = 0, 2, 0>, #kernel.access<offset = 0, index = 3, index_stride = 4, index_limit = 12, strides = 0, 0, 1>, #kernel.access<offset = 1, strides = 0, 2, 0>, #kernel.access<offset = 0, index = 5, index_stride = 4, index_limit = 12, strides = 0, 0, 1>]
func.func @rows_of_a_token(%h: tensor<2x3x8xf32>, %w: tensor<8x4xf32>, %y: tensor<12x4xf32>, %x: tensor<2x3x4xf32>, %place: tensor<6x2xi32>, %token: tensor<12xi32>) -> tensor<2x3x4xf32> {
  %sum = graph.collect %y, %place, %token : (tensor<12x4xf32>, tensor<6x2xi32>, tensor<12xi32>) -> tensor<6x4xf32>
  %routed = graph.reshape %sum shape = [2, 3, 4] : tensor<6x4xf32>
  // expected-remark @below {{fused into the product's kernel: 3 operations, 5 inputs, 1 results}}
  %shared = graph.matmul %h, %w : (tensor<2x3x8xf32>, tensor<8x4xf32>) -> tensor<2x3x4xf32>
  %both = graph.add %routed, %shared : tensor<2x3x4xf32>
  %out = graph.add %x, %both : tensor<2x3x4xf32>
  return %out : tensor<2x3x4xf32>
}

// -----

// Indices that are a part of others: read where they lie.
// CHECK-LABEL: func.func @rows_by_a_column
// CHECK: kernel.matmul %arg0, %arg1 extras() groups %arg2 rows %arg3
// CHECK-SAME: row_access = #kernel.access<offset = 1, strides = 2>
func.func @rows_by_a_column(%x: tensor<5x4xf32>, %w: tensor<3x4x8xf32>, %o: tensor<4xi32>, %i: tensor<10x2xi32>) -> tensor<10x8xf32> {
  %c = graph.slice %i offsets = [0, 1] sizes = [10, 1] : tensor<10x2xi32>
  %j = graph.reshape %c shape = [10] : tensor<10x1xi32>
  %rows = graph.gather %x, %j : (tensor<5x4xf32>, tensor<10xi32>) -> tensor<10x4xf32>
  // expected-remark @below {{looks its rows up: those of 'tensor<10x4xf32>'}}
  %y = graph.grouped_matmul %rows, %w, %o : (tensor<10x4xf32>, tensor<3x4x8xf32>, tensor<4xi32>) -> tensor<10x8xf32>
  return %y : tensor<10x8xf32>
}

// -----

// A product's indices are i32; by wider ones a kernel of its own gathers.
// CHECK-LABEL: func.func @wide_indices
// CHECK: %[[ROWS:.*]] = kernel.loops domain [10, 4]
// CHECK: kernel.matmul %[[ROWS]], %arg1 extras() groups %arg2 sizes
// CHECK: kernel.matmul %arg4, %arg5 extras() sizes
// CHECK-NOT: index = 2
func.func @wide_indices(%x: tensor<5x4xf32>, %w: tensor<3x4x8xf32>, %o: tensor<4xi32>, %i: tensor<10xi64>, %a: tensor<10x6xf32>, %b: tensor<6x4xf32>) -> (tensor<10x8xf32>, tensor<10x4xf32>) {
  // expected-remark @below {{fused into one kernel: 0 operations, 2 inputs, 1 results}}
  %rows = graph.gather %x, %i : (tensor<5x4xf32>, tensor<10xi64>) -> tensor<10x4xf32>
  %y = graph.grouped_matmul %rows, %w, %o : (tensor<10x4xf32>, tensor<3x4x8xf32>, tensor<4xi32>) -> tensor<10x8xf32>
  %p = graph.matmul %a, %b : (tensor<10x6xf32>, tensor<6x4xf32>) -> tensor<10x4xf32>
  %more = graph.gather %x, %i : (tensor<5x4xf32>, tensor<10xi64>) -> tensor<10x4xf32>
  // expected-remark @below {{fused into one kernel}}
  %sum = graph.add %more, %p : tensor<10x4xf32>
  return %y, %sum : tensor<10x8xf32>, tensor<10x4xf32>
}

// -----

// Nothing, in another shape.
// CHECK-LABEL: func.func @empty_rows
func.func @empty_rows(%x: tensor<8x0xf32>, %p: tensor<4xi32>) -> tensor<7x0xf32> {
  // expected-remark @below {{fused into one kernel}}
  %g = graph.gather %x, %p : (tensor<8x0xf32>, tensor<4xi32>) -> tensor<4x0xf32>
  %r = graph.reshape %g shape = [7, 0] : tensor<4x0xf32>
  return %r : tensor<7x0xf32>
}
