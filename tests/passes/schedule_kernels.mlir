// RUN: weft-opt %s --schedule-kernels=threads=2 | FileCheck %s --check-prefixes=CHECK,FEW
// RUN: weft-opt %s --schedule-kernels=threads=64 | FileCheck %s --check-prefixes=CHECK,MANY
// RUN: weft-opt %s --schedule-kernels | FileCheck %s --check-prefixes=CHECK,FEW
// RUN: weft-opt %s --schedule-kernels=threads=64 --schedule-kernels=threads=2 | FileCheck %s \
// RUN:   --check-prefixes=CHECK,FEW

// Elementwise: columns are cut until each of 2 threads (the default) finds several items, and no finer than
// 64. The reduction does not depend on the number of threads, here and below; nor on what an earlier schedule
// said (the last run).
// CHECK-LABEL: func.func @elementwise
// CHECK:       kernel.loops
// CHECK-SAME:    reduction = #kernel.reduction<unit = "fma", lanes = 16, key_block = 0>
// FEW-SAME:      schedule = #kernel.schedule<tile_m = 0, tile_n = 0, block_m = 0, block_n = 512,
// FEW-SAME:       block_k = 0>
// MANY-SAME:     schedule = #kernel.schedule<tile_m = 0, tile_n = 0, block_m = 0, block_n = 64, block_k = 0>
func.func @elementwise(%x: tensor<4096xf32>) -> tensor<4096xf32> {
  %y = kernel.loops domain [4096] ins(%x) inits() {
    input_access = [#kernel.access<offset = 0, strides = 1>],
    output_access = [#kernel.access<offset = 0, strides = 1>],
    yield_result = array<i64: 0>, init_result = array<i64>} : (tensor<4096xf32>) -> tensor<4096xf32> {
  ^bb0(%a: f32):
    %e = math.exp %a : f32
    kernel.yield %e : f32
  }
  return %y : tensor<4096xf32>
}

// Rows enough for 2 threads: columns stay together, 4 KB of them.
// CHECK-LABEL: func.func @rows
// CHECK:       kernel.loops
// CHECK-SAME:    reduction = #kernel.reduction<unit = "fma", lanes = 16, key_block = 0>
// FEW-SAME:      block_n = 1024
func.func @rows(%x: tensor<64x1024xf32>) -> tensor<64xf32> {
  %y = kernel.loops domain [64, 1024] ins(%x) inits() {
    input_access = [#kernel.access<offset = 0, strides = 1024, 1>],
        output_access = [#kernel.access<offset = 0, strides = 1, 0>],
    yield_result = array<i64: 0>, init_result = array<i64>} : (tensor<64x1024xf32>) -> tensor<64xf32> {
  ^bb0(%a: f32):
    %s = kernel.reduce sum %a : f32
    kernel.yield %s : f32
  }
  return %y : tensor<64xf32>
}

// A sum over leading dimensions: 64 columns an item, however many threads there are, which take theirs together, 16 rows
// at a time.
// CHECK-LABEL: func.func @columns
// CHECK:       kernel.loops
// CHECK-SAME:    reduction = #kernel.reduction<unit = "fma", lanes = 16, key_block = 0>
// CHECK-SAME:    block_m = 16, block_n = 64
func.func @columns(%x: tensor<64x1024xf32>) -> tensor<1024xf32> {
  %y = kernel.loops domain [64, 1024] ins(%x) inits() {
    input_access = [#kernel.access<offset = 0, strides = 1024, 1>],
        output_access = [#kernel.access<offset = 0, strides = 0, 1>],
    yield_result = array<i64: 0>, init_result = array<i64>, reduce_dims = 1} : (tensor<64x1024xf32>)
        -> tensor<1024xf32> {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  }
  return %y : tensor<1024xf32>
}

// A product of many rows and one of a single row (a token being generated) sum K in the same way, in
// different tiles.
// CHECK-LABEL: func.func @products
// CHECK:       kernel.matmul {{.*}} sizes [1, 256, 512, 384]
// CHECK-SAME:    reduction = #kernel.reduction<unit = "fma", lanes = 16, key_block = 0>
// CHECK-SAME:    schedule = #kernel.schedule<tile_m = {{([2-9]|1[0-9])}}, tile_n = {{[1-9][0-9]*}},
// CHECK-SAME:     block_m = {{[1-9][0-9]*}}, block_n = {{[1-9][0-9]*}}, block_k = {{[1-9][0-9]*}}>
// CHECK:       kernel.matmul {{.*}} sizes [1, 1, 512, 384]
// CHECK-SAME:    reduction = #kernel.reduction<unit = "fma", lanes = 16, key_block = 0>
// CHECK-SAME:    schedule = #kernel.schedule<tile_m = 1, tile_n = {{[1-9][0-9]*}},
// CHECK-SAME:     block_m = {{[1-9][0-9]*}}, block_n = {{[1-9][0-9]*}}, block_k = {{[1-9][0-9]*}}>
func.func @products(%x: tensor<256x384xf32>, %r: tensor<1x384xf32>, %w: tensor<384x512xf32>)
    -> (tensor<256x512xf32>, tensor<1x512xf32>) {
  %y = kernel.matmul %x, %w extras() sizes [1, 256, 512, 384] {extra_access = [],
    lhs_access = #kernel.access<offset = 0, strides = 0, 384, 1>,
    rhs_access = #kernel.access<offset = 0, strides = 0, 512, 1>,
    output_access = [#kernel.access<offset = 0, strides = 0, 512, 1>]}
    : (tensor<256x384xf32>, tensor<384x512xf32>) -> tensor<256x512xf32> {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  }
  %z = kernel.matmul %r, %w extras() sizes [1, 1, 512, 384] {extra_access = [],
    lhs_access = #kernel.access<offset = 0, strides = 0, 0, 1>,
    rhs_access = #kernel.access<offset = 0, strides = 0, 512, 1>,
    output_access = [#kernel.access<offset = 0, strides = 0, 0, 1>]}
    : (tensor<1x384xf32>, tensor<384x512xf32>) -> tensor<1x512xf32> {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  }
  return %y, %z : tensor<256x512xf32>, tensor<1x512xf32>
}

// Attention's block of keys fixes bits: it is what the model asked for, and stays. Tiles of queries get
// smaller for more threads.
// CHECK-LABEL: func.func @attention
// CHECK:       kernel.attention forward
// CHECK-SAME:    reduction = #kernel.reduction<unit = "fma", lanes = 16, key_block = 32>
// FEW-SAME:      schedule = #kernel.schedule<tile_m = 64,
// MANY-SAME:     schedule = #kernel.schedule<tile_m = 8,
func.func @attention(%q: tensor<1x256x2x4xf32>, %b: tensor<1x256xi32>, %e: tensor<1x256xi32>)
    -> (tensor<1x256x2x4xf32>, tensor<1x256x2xf32>) {
  %o:2 = kernel.attention forward %q, %q, %q, %b, %e sizes [1, 256, 256, 2, 2, 4, 4] {scale = 0.5 : f64,
    reduction = #kernel.reduction<unit = "fma", lanes = 16, key_block = 32>,
    input_access = [#kernel.access<offset = 0, strides = 0, 8, 4, 1>,
      #kernel.access<offset = 0, strides = 0, 8, 4, 1>,
      #kernel.access<offset = 0, strides = 0, 8, 4, 1>, #kernel.access<offset = 0, strides = 0, 1>,
      #kernel.access<offset = 0, strides = 0, 1>],
    output_access = [#kernel.access<offset = 0, strides = 0, 8, 4, 1>,
      #kernel.access<offset = 0, strides = 0, 2, 1>]}
    : (tensor<1x256x2x4xf32>, tensor<1x256x2x4xf32>, tensor<1x256x2x4xf32>, tensor<1x256xi32>,
        tensor<1x256xi32>)
    -> (tensor<1x256x2x4xf32>, tensor<1x256x2xf32>)
  return %o#0, %o#1 : tensor<1x256x2x4xf32>, tensor<1x256x2xf32>
}

// No kernel, nothing to schedule: graph ops are left alone.
// CHECK-LABEL: func.func @no_kernel
// CHECK-NEXT:  graph.exp %{{[a-z0-9]*}} : tensor<4xf32>
// CHECK-NEXT:  return
func.func @no_kernel(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.exp %x : tensor<4xf32>
  return %y : tensor<4xf32>
}
