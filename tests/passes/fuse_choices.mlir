// RUN: weft-opt %s --fuse-kernels="report-choices" 2>/dev/null | FileCheck %s --check-prefixes=CHECK,MODEL
// RUN: weft-opt %s --fuse-kernels="behind=swiglu:0:3 report-choices" 2>/dev/null | FileCheck %s --check-prefixes=CHECK,BEHIND
// RUN: weft-opt %s --fuse-kernels="apart=residual:0:1 report-choices" 2>/dev/null | FileCheck %s --check-prefixes=CHECK,APART
// RUN: weft-opt %s --fuse-kernels="apart=residual:0:1" 2>&1 | FileCheck %s --check-prefix=SAYS
// RUN: not weft-opt %s --fuse-kernels="apart=residual:0" 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not weft-opt %s --fuse-kernels="behind=swiglu:1:3" 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not weft-opt %s --fuse-kernels="behind=swiglu:0:4" 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not weft-opt %s --fuse-kernels="behind=swiglu:0:99999999999999999999" 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: names no product and no value that could be computed behind it
// SAYS: apart from the product that it reads: measured; predicted to take {{.*}} behind it

// What a measurement says is taken instead of the model's choice; the list of choices says what was done, and names each as the options do.

// CHECK:  weft.fusions = [{apart_ns = {{[0-9.]+}} : f64, behind =
// MODEL-SAME: false,
// BEHIND-SAME: true,
// APART-SAME: false,
// CHECK-SAME: function = "[[HASH:[0-9a-f]+]]", product = "swiglu:0", value = 3 : i64
// CHECK-SAME: behind =
// MODEL-SAME: true,
// BEHIND-SAME: true,
// APART-SAME: false,
// CHECK-SAME: product = "residual:0", value = 1 : i64

// The same function under another name has the same hash: the name is not a part of what was measured.
// CHECK-SAME: function = "[[HASH]]", product = "again:0", value = 3 : i64

// CHECK-LABEL: func.func @swiglu
// CHECK: kernel.matmul
// MODEL: kernel.loops
// APART: kernel.loops
// BEHIND-NOT: kernel.loops
// CHECK: return
func.func @swiglu(%x: tensor<4096x384xf32>, %w: tensor<384x1024xf32>, %g: tensor<4096x1024xf32>) -> (tensor<4096x1024xf32>, tensor<4096x1024xf32>) {
  %u = graph.matmul %x, %w : (tensor<4096x384xf32>, tensor<384x1024xf32>) -> tensor<4096x1024xf32>
  %s = graph.sigmoid %g : tensor<4096x1024xf32>
  %a = graph.mul %g, %s : tensor<4096x1024xf32>
  %h = graph.mul %a, %u : tensor<4096x1024xf32>
  return %u, %h : tensor<4096x1024xf32>, tensor<4096x1024xf32>
}

// CHECK-LABEL: func.func @residual
// CHECK: kernel.matmul
// MODEL-NOT: kernel.loops
// BEHIND-NOT: kernel.loops
// APART: kernel.loops
// CHECK: return
func.func @residual(%a: tensor<4096x1024xf32>, %w: tensor<1024x1024xf32>, %x: tensor<4096x1024xf32>) -> tensor<4096x1024xf32> {
  %o = graph.matmul %a, %w : (tensor<4096x1024xf32>, tensor<1024x1024xf32>) -> tensor<4096x1024xf32>
  %s = graph.add %x, %o : tensor<4096x1024xf32>
  return %s : tensor<4096x1024xf32>
}

func.func @again(%x: tensor<4096x384xf32>, %w: tensor<384x1024xf32>, %g: tensor<4096x1024xf32>) -> (tensor<4096x1024xf32>, tensor<4096x1024xf32>) {
  %u = graph.matmul %x, %w : (tensor<4096x384xf32>, tensor<384x1024xf32>) -> tensor<4096x1024xf32>
  %s = graph.sigmoid %g : tensor<4096x1024xf32>
  %a = graph.mul %g, %s : tensor<4096x1024xf32>
  %h = graph.mul %a, %u : tensor<4096x1024xf32>
  return %u, %h : tensor<4096x1024xf32>, tensor<4096x1024xf32>
}
