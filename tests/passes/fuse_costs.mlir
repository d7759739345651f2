// RUN: weft-opt %s --fuse-kernels -split-input-file -verify-diagnostics | FileCheck %s
// RUN: weft-opt %s --fuse-kernels="lanes-per-ns=480 cache-rate=480 memory-rate=200 product-rate=100" -split-input-file 2>/dev/null | FileCheck %s
// RUN: not weft-opt %s --fuse-kernels="memory-rate=0" -split-input-file 2>&1 | FileCheck %s --check-prefix=ERROR
// ERROR: a rate or size of the machine is 0

// What is computed behind a product, by cost: the cases that docs/decisions/2026-11-26-epilogues-of-products.md has measurements of, for two
// threads and for eight.

// Of f32 the operands come from memory: SwiGLU streams in a kernel of its own.
// CHECK-LABEL: func.func @swiglu_f32
// CHECK:       %[[U:.*]] = kernel.matmul {{.*}} extras()
// CHECK:       kernel.loops {{.*}} ins({{.*}}%[[U]]
// CHECK:         math.exp
func.func @swiglu_f32(%x: tensor<4096x384xf32>, %w: tensor<384x1024xf32>, %g: tensor<4096x1024xf32>) -> (tensor<4096x1024xf32>, tensor<4096x1024xf32>) {
  %u = graph.matmul %x, %w : (tensor<4096x384xf32>, tensor<384x1024xf32>) -> tensor<4096x1024xf32>
  %s = graph.sigmoid %g : tensor<4096x1024xf32>
  %a = graph.mul %g, %s : tensor<4096x1024xf32>
  // expected-remark@below {{apart from the product that it reads: predicted to take}}
  // expected-remark@below {{fused into one kernel}}
  %h = graph.mul %a, %u : tensor<4096x1024xf32>
  return %u, %h : tensor<4096x1024xf32>, tensor<4096x1024xf32>
}

// -----

// Of bf16 they are in the last level.
// CHECK-LABEL: func.func @swiglu_bf16
// CHECK:       kernel.matmul {{.*}} extras(%{{.*}}) {{.*}} -> (tensor<4096x1024xbf16>, tensor<4096x1024xbf16>)
// CHECK:         math.exp
// CHECK-NOT:   kernel.loops
func.func @swiglu_bf16(%x: tensor<4096x384xbf16>, %w: tensor<384x1024xbf16>, %g: tensor<4096x1024xbf16>) -> (tensor<4096x1024xbf16>, tensor<4096x1024xbf16>) {
  // expected-remark@below {{fused into the product's kernel}}
  %p = graph.matmul %x, %w : (tensor<4096x384xbf16>, tensor<384x1024xbf16>) -> tensor<4096x1024xf32>
  %u = graph.cast %p to bf16 : tensor<4096x1024xf32>
  %uf = graph.cast %u to f32 : tensor<4096x1024xbf16>
  %gf = graph.cast %g to f32 : tensor<4096x1024xbf16>
  %s = graph.sigmoid %gf : tensor<4096x1024xf32>
  %a = graph.mul %gf, %s : tensor<4096x1024xf32>
  %h = graph.mul %a, %uf : tensor<4096x1024xf32>
  %r = graph.cast %h to bf16 : tensor<4096x1024xf32>
  return %u, %r : tensor<4096x1024xbf16>, tensor<4096x1024xbf16>
}

// -----

// An addition behind a large product saves storing and reading the product, however many threads there are.
// CHECK-LABEL: func.func @residual
// CHECK:       kernel.matmul {{.*}} extras(%{{.*}})
// CHECK-NOT:   kernel.loops
func.func @residual(%a: tensor<4096x1024xf32>, %w: tensor<1024x1024xf32>, %x: tensor<4096x1024xf32>) -> tensor<4096x1024xf32> {
  // expected-remark@below {{fused into the product's kernel}}
  %o = graph.matmul %a, %w : (tensor<4096x1024xf32>, tensor<1024x1024xf32>) -> tensor<4096x1024xf32>
  %s = graph.add %x, %o : tensor<4096x1024xf32>
  return %s : tensor<4096x1024xf32>
}

// -----

// A chain that is slower behind the product is not begun there either, where that would store no less.
// CHECK-LABEL: func.func @chain
// CHECK:       %[[Y:.*]] = kernel.matmul {{.*}} extras()
// CHECK:       kernel.loops {{.*}} ins({{.*}}%[[Y]]
// CHECK:         math.tanh
func.func @chain(%x: tensor<8192x64xf32>, %w: tensor<64x1024xf32>, %g: tensor<8192x1024xf32>, %k: tensor<8192x1024xf32>) -> tensor<8192x1024xf32> {
  %y = graph.matmul %x, %w : (tensor<8192x64xf32>, tensor<64x1024xf32>) -> tensor<8192x1024xf32>
  %e = graph.tanh %y : tensor<8192x1024xf32>
  %m = graph.mul %e, %g : tensor<8192x1024xf32>
  // expected-remark@below {{apart from the product that it reads}}
  // expected-remark@below {{fused into one kernel}}
  %n = graph.add %m, %k : tensor<8192x1024xf32>
  return %n : tensor<8192x1024xf32>
}

// -----

// A cheap value is computed behind the product although a dear one that reads it too is not.
// CHECK-LABEL: func.func @one_of_two
// CHECK:       %[[P:.*]]:2 = kernel.matmul {{.*}} extras()
// CHECK-NEXT:  ^bb0
// CHECK-NEXT:    arith.negf
// CHECK:       kernel.loops {{.*}} ins({{.*}}%[[P]]#0
// CHECK:         math.exp
func.func @one_of_two(%x: tensor<4096x384xf32>, %w: tensor<384x1024xf32>, %g: tensor<4096x1024xf32>) -> (tensor<4096x1024xf32>, tensor<4096x1024xbf16>, tensor<4096x1024xf32>) {
  // expected-remark@below {{fused into the product's kernel}}
  %u = graph.matmul %x, %w : (tensor<4096x384xf32>, tensor<384x1024xf32>) -> tensor<4096x1024xf32>
  %n = graph.neg %u : tensor<4096x1024xf32>
  %c = graph.cast %n to bf16 : tensor<4096x1024xf32>
  %e = graph.exp %u : tensor<4096x1024xf32>
  // expected-remark@below {{apart from the product that it reads}}
  // expected-remark@below {{fused into one kernel}}
  %h = graph.mul %e, %g : tensor<4096x1024xf32>
  return %u, %c, %h : tensor<4096x1024xf32>, tensor<4096x1024xbf16>, tensor<4096x1024xf32>
}

// -----

// Nothing to compute.
// CHECK-LABEL: func.func @empty
// CHECK:       kernel.matmul {{.*}} extras(%{{.*}})
func.func @empty(%a: tensor<0x8xf32>, %w: tensor<8x16xf32>, %x: tensor<0x16xf32>) -> tensor<0x16xf32> {
  // expected-remark@below {{fused into the product's kernel}}
  %o = graph.matmul %a, %w : (tensor<0x8xf32>, tensor<8x16xf32>) -> tensor<0x16xf32>
  %s = graph.add %x, %o : tensor<0x16xf32>
  return %s : tensor<0x16xf32>
}
