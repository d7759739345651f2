// RUN: weft-opt %s --schedule-kernels=threads=2 | FileCheck %s --check-prefixes=CHECK,FEW
// RUN: weft-opt %s --schedule-kernels=threads=64 | FileCheck %s --check-prefixes=CHECK,MANY

// Backward is one kernel where its (batch, key head) pairs are enough for the threads, else two, with the same bits;
// of the two, those whose results are used.
// CHECK-LABEL: func.func @attention_backward
// FEW:         kernel.attention backward
// FEW-SAME:      schedule = #kernel.schedule<tile_m = 64, tile_n = 256,
// MANY:        %[[DQ:.*]] = kernel.attention grad_query
// MANY-SAME:     schedule = #kernel.schedule<tile_m = 16, tile_n = 256,
// MANY:        %[[DKV:.*]]:2 = kernel.attention grad_key_value
// MANY-SAME:     schedule = #kernel.schedule<tile_m = 64, tile_n = 64,
// MANY-NEXT:   return %[[DQ]], %[[DKV]]#0, %[[DKV]]#1
func.func @attention_backward(%q: tensor<1x256x2x4xf32>, %b: tensor<1x256xi32>, %e: tensor<1x256xi32>,
    %l: tensor<1x256x2xf32>) -> (tensor<1x256x2x4xf32>, tensor<1x256x2x4xf32>, tensor<1x256x2x4xf32>) {
  %r:3 = kernel.attention backward %q, %q, %q, %b, %e, %l, %l, %q sizes [1, 256, 256, 2, 2, 4, 4] {scale = 0.5 : f64,
    reduction = #kernel.reduction<unit = "fma", lanes = 16, key_block = 64>,
    input_access = [#kernel.access<offset = 0, strides = 0, 8, 4, 1>,
      #kernel.access<offset = 0, strides = 0, 8, 4, 1>,
      #kernel.access<offset = 0, strides = 0, 8, 4, 1>, #kernel.access<offset = 0, strides = 0, 1>,
      #kernel.access<offset = 0, strides = 0, 1>, #kernel.access<offset = 0, strides = 0, 2, 1>,
      #kernel.access<offset = 0, strides = 0, 2, 1>, #kernel.access<offset = 0, strides = 0, 8, 4, 1>],
    output_access = [#kernel.access<offset = 0, strides = 0, 8, 4, 1>,
      #kernel.access<offset = 0, strides = 0, 8, 4, 1>, #kernel.access<offset = 0, strides = 0, 8, 4, 1>]}
    : (tensor<1x256x2x4xf32>, tensor<1x256x2x4xf32>, tensor<1x256x2x4xf32>, tensor<1x256xi32>, tensor<1x256xi32>,
        tensor<1x256x2xf32>, tensor<1x256x2xf32>, tensor<1x256x2x4xf32>)
    -> (tensor<1x256x2x4xf32>, tensor<1x256x2x4xf32>, tensor<1x256x2x4xf32>)
  return %r#0, %r#1, %r#2 : tensor<1x256x2x4xf32>, tensor<1x256x2x4xf32>, tensor<1x256x2x4xf32>
}

// CHECK-LABEL: func.func @gradient_of_keys
// CHECK-NEXT:  %[[DKV:.*]]:2 = kernel.attention grad_key_value
// CHECK-NEXT:  return %[[DKV]]#0
func.func @gradient_of_keys(%q: tensor<1x256x2x4xf32>, %b: tensor<1x256xi32>, %e: tensor<1x256xi32>,
    %l: tensor<1x256x2xf32>) -> tensor<1x256x2x4xf32> {
  %r:3 = kernel.attention backward %q, %q, %q, %b, %e, %l, %l, %q sizes [1, 256, 256, 2, 2, 4, 4] {scale = 0.5 : f64,
    reduction = #kernel.reduction<unit = "fma", lanes = 16, key_block = 64>,
    input_access = [#kernel.access<offset = 0, strides = 0, 8, 4, 1>,
      #kernel.access<offset = 0, strides = 0, 8, 4, 1>,
      #kernel.access<offset = 0, strides = 0, 8, 4, 1>, #kernel.access<offset = 0, strides = 0, 1>,
      #kernel.access<offset = 0, strides = 0, 1>, #kernel.access<offset = 0, strides = 0, 2, 1>,
      #kernel.access<offset = 0, strides = 0, 2, 1>, #kernel.access<offset = 0, strides = 0, 8, 4, 1>],
    output_access = [#kernel.access<offset = 0, strides = 0, 8, 4, 1>,
      #kernel.access<offset = 0, strides = 0, 8, 4, 1>, #kernel.access<offset = 0, strides = 0, 8, 4, 1>]}
    : (tensor<1x256x2x4xf32>, tensor<1x256x2x4xf32>, tensor<1x256x2x4xf32>, tensor<1x256xi32>, tensor<1x256xi32>,
        tensor<1x256x2xf32>, tensor<1x256x2xf32>, tensor<1x256x2x4xf32>)
    -> (tensor<1x256x2x4xf32>, tensor<1x256x2x4xf32>, tensor<1x256x2x4xf32>)
  return %r#1 : tensor<1x256x2x4xf32>
}

// 16 query heads over one key head, as rows of one token: each of two threads takes half of them.
// CHECK-LABEL: func.func @decode_over_latents
// CHECK:         kernel.attention forward
// CHECK-SAME:      schedule = #kernel.schedule<tile_m = 8,
func.func @decode_over_latents(%q: tensor<1x16x1x8xf32>, %k: tensor<1x64x1x8xf32>, %b: tensor<1x16xi32>) -> tensor<1x16x1x8xf32> {
  %o:2 = kernel.attention forward %q, %k, %k, %b, %b sizes [1, 16, 64, 1, 1, 8, 8] {scale = 0.5 : f64,
    reduction = #kernel.reduction<unit = "fma", lanes = 16, key_block = 64>,
    input_access = [#kernel.access<offset = 0, strides = 0, 8, 0, 1>, #kernel.access<offset = 0, strides = 0, 8, 0, 1>,
      #kernel.access<offset = 0, strides = 0, 8, 0, 1>, #kernel.access<offset = 0, strides = 0, 1>, #kernel.access<offset = 0, strides = 0, 1>],
    output_access = [#kernel.access<offset = 0, strides = 0, 8, 0, 1>, #kernel.access<offset = 0, strides = 0, 1, 0>]}
    : (tensor<1x16x1x8xf32>, tensor<1x64x1x8xf32>, tensor<1x64x1x8xf32>, tensor<1x16xi32>, tensor<1x16xi32>)
    -> (tensor<1x16x1x8xf32>, tensor<1x16x1xf32>)
  return %o#0 : tensor<1x16x1x8xf32>
}
