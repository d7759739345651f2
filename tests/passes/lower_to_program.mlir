// RUN: weft-opt %s --schedule-kernels --lower-to-program -split-input-file -verify-diagnostics | FileCheck %s

// Kernels that differ in sizes only are one, called with its sizes; another computation is another kernel.
// The functions are gone. Arguments and results are described, in order, for the artifact.
// CHECK-NOT:   func.func
// CHECK:       program.entry @sizes attributes {arguments =
// CHECK-SAME:    [{dynamic = false, name = "x", output = false, type = tensor<8xf32>},
// CHECK-SAME:     {dynamic = false, name = "z", output = false, type = tensor<6xf32>},
// CHECK-SAME:     {dynamic = false, name = "a", output = true, type = tensor<8xf32>},
// CHECK-SAME:     {dynamic = false, name = "b", output = true, type = tensor<6xf32>},
// CHECK-SAME:     {dynamic = false, name = "c", output = true, type = tensor<8xf32>}]
// CHECK:         program.launch @[[EXP:[a-z0-9_]*]](%{{.*}}, %{{.*}}) sizes [8,
// CHECK:         program.launch @[[EXP]](%{{.*}}, %{{.*}}) sizes [6,
// CHECK-NOT:     program.launch @[[EXP]](
// CHECK:         program.launch @[[SIN:[a-z0-9_]*]](%{{.*}}, %{{.*}}) sizes [8,
// CHECK:       program.kernel @[[EXP]]
// CHECK:         math.exp
// CHECK:       program.kernel @[[SIN]]
// CHECK:         math.sin
// CHECK-NOT:   program.kernel
#row = #kernel.access<offset = 0, strides = 1>
func.func private @not_an_entry(%x: tensor<8xf32>) -> tensor<8xf32> {
  return %x : tensor<8xf32>
}
func.func @sizes(%x: tensor<8xf32> {weft.name = "x"}, %z: tensor<6xf32> {weft.name = "z"})
    -> (tensor<8xf32> {weft.name = "a"}, tensor<6xf32> {weft.name = "b"}, tensor<8xf32> {weft.name = "c"})
    attributes {weft.entry} {
  %a = kernel.loops domain [8] ins(%x) inits() {input_access = [#row], output_access = [#row],
      yield_result = array<i64: 0>, init_result = array<i64>} : (tensor<8xf32>) -> tensor<8xf32> {
  ^bb0(%e: f32):
    %v = math.exp %e : f32
    kernel.yield %v : f32
  }
  %b = kernel.loops domain [6] ins(%z) inits() {input_access = [#row], output_access = [#row],
      yield_result = array<i64: 0>, init_result = array<i64>} : (tensor<6xf32>) -> tensor<6xf32> {
  ^bb0(%e: f32):
    %v = math.exp %e : f32
    kernel.yield %v : f32
  }
  %c = kernel.loops domain [8] ins(%x) inits() {input_access = [#row], output_access = [#row],
      yield_result = array<i64: 0>, init_result = array<i64>} : (tensor<8xf32>) -> tensor<8xf32> {
  ^bb0(%e: f32):
    %v = math.sin %e : f32
    kernel.yield %v : f32
  }
  return %a, %b, %c : tensor<8xf32>, tensor<6xf32>, tensor<8xf32>
}

// -----

// Where data lies: a product's result gets arena memory; the elementwise kernel overwrites it there, since it
// dies; what is returned is computed in the result's memory. Nothing is copied.
// CHECK-LABEL: program.entry @in_place
// CHECK-DAG:     %[[X:.*]] = program.buffer argument bytes 64 offset 0{{$}}
// CHECK-DAG:     %[[OUT:.*]] = program.buffer argument bytes 64 offset 0 {index = 1
// CHECK-DAG:     %[[TEMP:.*]] = program.buffer arena bytes 64 offset -1
// CHECK:         %[[XV:.*]] = program.view %[[X]] offset 0 bytes 64
// CHECK:         %[[TV:.*]] = program.view %[[TEMP]] offset 0 bytes 64
// CHECK:         program.launch @matmul_0(%{{.*}}, %{{.*}}, %[[TV]])
// CHECK:         %[[IN:.*]] = program.view %[[TEMP]] offset 0 bytes 64
// CHECK:         %[[SAME:.*]] = program.view %[[TEMP]] offset 0 bytes 64
// CHECK:         program.launch @loops_0(%[[IN]], %[[SAME]])
// CHECK:         %[[TO:.*]] = program.view %[[OUT]] offset 0 bytes 64
// CHECK:         program.launch @matmul_0(%{{.*}}, %{{.*}}, %[[TO]])
// CHECK-NOT:     program.copy
// CHECK-NOT:     program.buffer
// CHECK:       program.kernel
#row = #kernel.access<offset = 0, strides = 1>
#matrix = #kernel.access<offset = 0, strides = 0, 4, 1>
func.func @in_place(%x: tensor<4x4xf32> {weft.name = "x"}) -> (tensor<4x4xf32> {weft.name = "y"})
    attributes {weft.entry} {
  %p = kernel.matmul %x, %x extras() sizes [1, 4, 4, 4] {extra_access = [], lhs_access = #matrix,
      rhs_access = #matrix, output_access = [#matrix]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32> {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  }
  %e = kernel.loops domain [16] ins(%p) inits() {input_access = [#row], output_access = [#row],
      yield_result = array<i64: 0>, init_result = array<i64>} : (tensor<4x4xf32>) -> tensor<4x4xf32> {
  ^bb0(%a: f32):
    %v = math.exp %a : f32
    kernel.yield %v : f32
  }
  %q = kernel.matmul %e, %e extras() sizes [1, 4, 4, 4] {extra_access = [], lhs_access = #matrix,
      rhs_access = #matrix, output_access = [#matrix]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32> {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  }
  return %q : tensor<4x4xf32>
}

// -----

// Variables lie one after the other, each from a cache line's start. One that is read, updated element by
// element and written is updated where it lies: the write copies nothing.
// CHECK:       graph.variable @first : tensor<3xf32> {{.*}}weft.offset = 0
// CHECK:       graph.variable @v : tensor<8xf32> {{.*}}weft.offset = 64
// CHECK-LABEL: program.entry @update
// CHECK:         %[[VARIABLES:.*]] = program.buffer persistent bytes 128 offset 0
// CHECK:         %[[OLD:.*]] = program.view %[[VARIABLES]] offset 64 bytes 32
// CHECK:         %[[NEW:.*]] = program.view %[[VARIABLES]] offset 64 bytes 32
// CHECK:         program.launch @loops_0(%[[OLD]], %[[NEW]])
// CHECK-NOT:     program.copy
// CHECK:       program.kernel
#row = #kernel.access<offset = 0, strides = 1>
graph.variable @first : tensor<3xf32> {kind = 0 : i64, init = 0 : i64}
graph.variable @v : tensor<8xf32> {kind = 0 : i64, init = 0 : i64}
func.func @update() attributes {weft.entry} {
  %r = graph.read @v : tensor<8xf32>
  %n = kernel.loops domain [8] ins(%r) inits() {input_access = [#row], output_access = [#row],
      yield_result = array<i64: 0>, init_result = array<i64>} : (tensor<8xf32>) -> tensor<8xf32> {
  ^bb0(%a: f32):
    %v = math.exp %a : f32
    kernel.yield %v : f32
  }
  graph.write @v, %n : tensor<8xf32>
  return
}

// -----

// The same while the old value is still needed: the new one waits in the arena, and is copied once the old
// one is done with.
// CHECK-LABEL: program.entry @update_later
// CHECK:         %[[VARIABLES:.*]] = program.buffer persistent bytes 64 offset 0
// CHECK:         %[[NEW:.*]] = program.buffer arena bytes 32
// CHECK:         %[[NV:.*]] = program.view %[[NEW]]
// CHECK:         program.launch @loops_0(%{{.*}}, %[[NV]])
// CHECK:         %[[OLD:.*]] = program.view %[[VARIABLES]]
// CHECK:         program.launch @loops_1(%[[OLD]], %{{.*}}, %{{.*}})
// CHECK:         %[[V:.*]] = program.view %[[VARIABLES]]
// CHECK:         %[[FROM:.*]] = program.view %[[NEW]]
// CHECK:         program.copy %[[FROM]] to %[[V]]
#row = #kernel.access<offset = 0, strides = 1>
graph.variable @v : tensor<8xf32> {kind = 0 : i64, init = 0 : i64}
func.func @update_later() -> (tensor<8xf32> {weft.name = "difference"}) attributes {weft.entry} {
  %r = graph.read @v : tensor<8xf32>
  %n = kernel.loops domain [8] ins(%r) inits() {input_access = [#row], output_access = [#row],
      yield_result = array<i64: 0>, init_result = array<i64>} : (tensor<8xf32>) -> tensor<8xf32> {
  ^bb0(%a: f32):
    %v = math.exp %a : f32
    kernel.yield %v : f32
  }
  %d = kernel.loops domain [8] ins(%r, %n) inits() {input_access = [#row, #row], output_access = [#row],
      yield_result = array<i64: 0>, init_result = array<i64>} : (tensor<8xf32>, tensor<8xf32>)
          -> tensor<8xf32> {
  ^bb0(%a: f32, %b: f32):
    %v = arith.subf %a, %b : f32
    kernel.yield %v : f32
  }
  graph.write @v, %n : tensor<8xf32>
  return %d : tensor<8xf32>
}

// -----

// A sum that continues an argument's value may not do so in the argument: that is the caller's. It starts
// from a copy, in the result's memory.
// CHECK-LABEL: program.entry @continued
// CHECK-DAG:     %[[START:.*]] = program.buffer argument bytes 16 offset 0 {index = 1
// CHECK-DAG:     %[[SUM:.*]] = program.buffer argument bytes 16 offset 0 {index = 2
// CHECK:         %[[TO:.*]] = program.view %[[SUM]]
// CHECK:         %[[FROM:.*]] = program.view %[[START]]
// CHECK:         program.copy %[[FROM]] to %[[TO]]
// CHECK:         %[[OUT:.*]] = program.view %[[SUM]]
// CHECK:         program.launch @loops_0(%{{.*}}, %[[OUT]])
#rows = #kernel.access<offset = 0, strides = 4, 1>
#columns = #kernel.access<offset = 0, strides = 0, 1>
func.func @continued(%x: tensor<8x4xf32> {weft.name = "x"}, %start: tensor<4xf32> {weft.name = "start"})
    -> (tensor<4xf32> {weft.name = "sum"}) attributes {weft.entry} {
  %s = kernel.loops domain [8, 4] ins(%x) inits(%start) {input_access = [#rows], output_access = [#columns],
      yield_result = array<i64: 0>, init_result = array<i64: 0>, reduce_dims = 1} : (tensor<8x4xf32>,
          tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  }
  return %s : tensor<4xf32>
}

// -----

// A repeat is a loop with its body in place. Iteration i reads slice i of the stacked operand, works on the
// carry where the result will be, updates slice i of the variable where it lies, and writes slice i - 2 of
// the new stack.
// CHECK-LABEL: program.entry @layers
// CHECK-DAG:     %[[VARIABLES:.*]] = program.buffer persistent
// CHECK-DAG:     %[[X:.*]] = program.buffer argument bytes 16 offset 0{{$}}
// CHECK-DAG:     %[[W:.*]] = program.buffer argument bytes 80 offset 0 {index = 1
// CHECK-DAG:     %[[Y:.*]] = program.buffer argument bytes 16 offset 0 {index = 2
// CHECK-DAG:     %[[Z:.*]] = program.buffer argument bytes 48 offset 0 {index = 3
// CHECK:         %[[CARRY:.*]] = program.view %[[Y]]
// CHECK:         %[[START:.*]] = program.view %[[X]]
// CHECK:         program.copy %[[START]] to %[[CARRY]]
// CHECK:         program.loop 2 to 5 attributes {reverse} {
// CHECK:           %[[CI:.*]] = program.view %[[Y]] offset 0 bytes 16 strides []
// CHECK:           %[[WI:.*]] = program.view %[[W]] offset 0 bytes 16 strides [16]
// CHECK:           %[[KI:.*]] = program.view %[[VARIABLES]] offset 0 bytes 16 strides [16]
// CHECK:           %[[CO:.*]] = program.view %[[Y]] offset 0 bytes 16 strides []
// CHECK:           %[[KO:.*]] = program.view %[[VARIABLES]] offset 0 bytes 16 strides [16]
// CHECK:           %[[ZO:.*]] = program.view %[[Z]] offset -32 bytes 16 strides [16]
// CHECK:           program.launch @loops_0(%[[CI]], %[[WI]], %[[KI]], %[[CO]], %[[KO]], %[[ZO]])
// CHECK-NEXT:  {{^ *[}]$}}
// CHECK-NOT:     program.copy
// CHECK:       program.kernel
#row = #kernel.access<offset = 0, strides = 1>
graph.variable @k : tensor<5x4xf32> {kind = 2 : i64, init = 0 : i64}
func.func private @layer(%x: tensor<4xf32>, %w: tensor<4xf32>, %k: tensor<4xf32>)
    -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %y, %t, %z = kernel.loops domain [4] ins(%x, %w, %k) inits() {input_access = [#row, #row, #row],
      output_access = [#row, #row, #row], yield_result = array<i64: 0, 1, 2>, init_result = array<i64>}
      : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %c, %m : f32
    %e = math.exp %m : f32
    kernel.yield %m, %s, %e : f32, f32, f32
  }
  return %y, %t, %z : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}
func.func @layers(%x: tensor<4xf32> {weft.name = "x"}, %w: tensor<5x4xf32> {weft.name = "w"})
    -> (tensor<4xf32> {weft.name = "y"}, tensor<3x4xf32> {weft.name = "z"}) attributes {weft.entry} {
  %k = graph.read @k : tensor<5x4xf32>
  %y, %t, %z = graph.repeat @layer carry(%x) stacked(%w, %k) invariant() range(2, 5)
    {reverse, tied = array<i64: 1, -1>}
    : (tensor<4xf32>, tensor<5x4xf32>, tensor<5x4xf32>) -> (tensor<4xf32>, tensor<5x4xf32>, tensor<3x4xf32>)
  graph.write @k, %t : tensor<5x4xf32>
  return %y, %z : tensor<4xf32>, tensor<3x4xf32>
}

// -----

// Carried values that change places are both set aside before either is overwritten.
// CHECK-LABEL: program.entry @swapped
// CHECK-DAG:     %[[C:.*]] = program.buffer argument bytes 16 offset 0 {index = 2
// CHECK-DAG:     %[[D:.*]] = program.buffer argument bytes 16 offset 0 {index = 3
// CHECK:         program.loop 0 to 3
// CHECK:           %[[ASIDE_D:.*]] = program.buffer arena
// CHECK-NEXT:      %[[DT:.*]] = program.view %[[ASIDE_D]]
// CHECK-NEXT:      %[[DF:.*]] = program.view %[[D]]
// CHECK-NEXT:      program.copy %[[DF]] to %[[DT]]
// CHECK-NEXT:      %[[ASIDE_C:.*]] = program.buffer arena
// CHECK-NEXT:      %[[CT:.*]] = program.view %[[ASIDE_C]]
// CHECK-NEXT:      %[[CF:.*]] = program.view %[[C]]
// CHECK-NEXT:      program.copy %[[CF]] to %[[CT]]
// CHECK-NEXT:      %[[NC:.*]] = program.view %[[C]]
// CHECK-NEXT:      %[[WAS_D:.*]] = program.view %[[ASIDE_D]]
// CHECK-NEXT:      program.copy %[[WAS_D]] to %[[NC]]
// CHECK-NEXT:      %[[ND:.*]] = program.view %[[D]]
// CHECK-NEXT:      %[[WAS_C:.*]] = program.view %[[ASIDE_C]]
// CHECK-NEXT:      program.copy %[[WAS_C]] to %[[ND]]
// CHECK-NEXT:  {{^ *[}]$}}
func.func private @swap(%a: tensor<4xf32>, %b: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  return %b, %a : tensor<4xf32>, tensor<4xf32>
}
func.func @swapped(%a: tensor<4xf32> {weft.name = "a"}, %b: tensor<4xf32> {weft.name = "b"})
    -> (tensor<4xf32> {weft.name = "c"}, tensor<4xf32> {weft.name = "d"}) attributes {weft.entry} {
  %c:2 = graph.repeat @swap carry(%a, %b) stacked() invariant() range(0, 3) {tied = array<i64>}
    : (tensor<4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
  return %c#0, %c#1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// Micro-batches: the loop's count is the entry's argument of that name, of which this repeat is the second
// half; an argument with a first dimension of `?` is described by its slice, one of tokens by its limit.
// CHECK-LABEL: program.entry @micro_batches attributes {arguments =
// CHECK-SAME:    [{dynamic = false, limit = 16 : i64, name = "tokens", output = false, type = tensor<4xi32>},
// CHECK-SAME:     {dynamic = false, name = "micro_batches", output = false, type = tensor<i64>},
// CHECK-SAME:     {dynamic = true, name = "x", output = false, type = tensor<8x4xf32>}
// CHECK-DAG:     %[[X:.*]] = program.buffer argument bytes 128 offset 0 {index = 2
// CHECK:         program.loop 0 to 0 attributes {count_argument = 1 : i64, part = 1 : i64, parts = 2 : i64} {
// CHECK:           program.view %[[X]] offset 0 bytes 128 strides [128]
#rows = #kernel.access<offset = 0, strides = 4, 1>
#columns = #kernel.access<offset = 0, strides = 0, 1>
func.func private @step(%g: tensor<4xf32>, %x: tensor<8x4xf32>) -> tensor<4xf32> {
  %s = kernel.loops domain [8, 4] ins(%x) inits(%g) {input_access = [#rows], output_access = [#columns],
      yield_result = array<i64: 0>, init_result = array<i64: 0>, reduce_dims = 1} : (tensor<8x4xf32>,
          tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  }
  return %s : tensor<4xf32>
}
func.func @micro_batches(%t: tensor<4xi32> {weft.name = "tokens", weft.limit = 16 : i64},
    %n: tensor<i64> {weft.name = "micro_batches"}, %x: tensor<?x8x4xf32> {weft.name = "x"},
        %g: tensor<4xf32> {weft.name = "g"})
    -> (tensor<4xf32> {weft.name = "sum"}) attributes {weft.entry} {
  %s = graph.repeat @step carry(%g) stacked(%x) invariant() range(0, 0)
    {tied = array<i64>, dynamic, part = 1 : i64, parts = 2 : i64} : (tensor<4xf32>, tensor<?x8x4xf32>)
        -> tensor<4xf32>
  return %s : tensor<4xf32>
}

// -----

// Collectives work on the value's memory, in the program's order; what is received goes where it is returned
// from.
// CHECK-LABEL: program.entry @collectives
// CHECK-DAG:     %[[OUT:.*]] = program.buffer argument bytes 64 offset 0 {index = 1
// CHECK:         %[[TEMP:.*]] = program.buffer arena bytes 64
// CHECK:         program.launch @loops_0
// CHECK:         %[[SUM:.*]] = program.view %[[TEMP]]
// CHECK:         program.all_reduce %[[SUM]] elements 8 dtype 1 axis 0
// CHECK:         %[[SENT:.*]] = program.view %[[TEMP]]
// CHECK:         program.send %[[SENT]] axis 1 peer 1 tag 3
// CHECK:         %[[RECEIVED:.*]] = program.view %[[OUT]]
// CHECK:         program.receive %[[RECEIVED]] axis 1 peer 1 tag 4
// CHECK-NOT:     program.copy
// CHECK:       program.kernel
#row = #kernel.access<offset = 0, strides = 1>
func.func @collectives(%x: tensor<8xf64> {weft.name = "x"}) -> (tensor<8xf64> {weft.name = "y"})
    attributes {weft.entry} {
  %e = kernel.loops domain [8] ins(%x) inits() {input_access = [#row], output_access = [#row],
      yield_result = array<i64: 0>, init_result = array<i64>} : (tensor<8xf64>) -> tensor<8xf64> {
  ^bb0(%a: f64):
    %v = math.exp %a : f64
    kernel.yield %v : f64
  }
  %s = dist.all_reduce data %e : tensor<8xf64>
  dist.send pipeline %s peer 1 tag 3 : tensor<8xf64>
  %y = dist.receive pipeline peer 1 tag 4 : tensor<8xf64>
  return %y : tensor<8xf64>
}

// -----

// An entry that only passes its argument on copies it; a reshape is the same memory.
// CHECK-LABEL: program.entry @passed_on
// CHECK:         program.copy
// CHECK-NOT:     program.{{copy|launch}}
func.func @passed_on(%x: tensor<8x4xf32> {weft.name = "x"}) -> (tensor<32xf32> {weft.name = "y"})
    attributes {weft.entry} {
  %y = graph.reshape %x shape = [32] : tensor<8x4xf32>
  return %y : tensor<32xf32>
}

// -----

// An op that no phase made a kernel of.
func.func @not_fused(%x: tensor<4xf32> {weft.name = "x"}) -> (tensor<4xf32> {weft.name = "y"})
    attributes {weft.entry} {
  // expected-error@below {{'graph.exp' op reached the lowering to the host program: no phase before it made a kernel of it}}
  %y = graph.exp %x : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// expected-error@below {{entry argument 1 has no weft.name}}
func.func @no_name(%x: tensor<4xf32> {weft.name = "x"}, %z: tensor<4xf32>) -> (tensor<4xf32> {weft.name = "y"})
    attributes {weft.entry} {
  return %x : tensor<4xf32>
}

// -----

func.func private @step(%g: tensor<4xf32>, %x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
func.func @no_count(%x: tensor<?x4xf32> {weft.name = "x"}, %g: tensor<4xf32> {weft.name = "g"})
    -> (tensor<4xf32> {weft.name = "last"}) attributes {weft.entry} {
  // expected-error@below {{has a trip count known only at run time, but the entry has no input named micro_batches}}
  %s = graph.repeat @step carry(%g) stacked(%x) invariant() range(0, 0) {tied = array<i64>, dynamic}
    : (tensor<4xf32>, tensor<?x4xf32>) -> tensor<4xf32>
  return %s : tensor<4xf32>
}
