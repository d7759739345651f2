// RUN: weft-opt %s --plan-memory -split-input-file | FileCheck %s

// Buffers that are not needed at the same time share memory, and offsets are multiples of a cache line: %c
// takes %a's place.
// CHECK-LABEL: program.entry @chain attributes {arena_bytes = 192
// CHECK:       program.buffer arena bytes 100 offset 0
// CHECK:       program.buffer arena bytes 64 offset 128
// CHECK:       program.buffer arena bytes 128 offset 0
program.entry @chain attributes {arguments = []} {
  %a = program.buffer arena bytes 100 offset -1
  %b = program.buffer arena bytes 64 offset -1
  %c = program.buffer arena bytes 128 offset -1
  program.launch @k(%a) sizes [] items 1
  program.launch @k(%a, %b) sizes [] items 1
  program.launch @k(%b, %c) sizes [] items 1
}

// -----

// What one launch reads and writes is alive at the same time, though the one dies and the other is born
// there.
// CHECK-LABEL: program.entry @one_launch attributes {arena_bytes = 128
// CHECK:       program.buffer arena bytes 64 offset 0
// CHECK:       program.buffer arena bytes 64 offset 64
program.entry @one_launch attributes {arguments = []} {
  %a = program.buffer arena bytes 64 offset -1
  %b = program.buffer arena bytes 64 offset -1
  program.zero %a
  program.copy %a to %b
  program.zero %b
}

// -----

// Large first: the small buffer goes into the gap that the large ones leave, not on top.
// CHECK-LABEL: program.entry @gap attributes {arena_bytes = 768
// CHECK:       program.buffer arena bytes 512 offset 0
// CHECK:       program.buffer arena bytes 256 offset 512
// CHECK:       program.buffer arena bytes 64 offset 0
program.entry @gap attributes {arguments = []} {
  %large = program.buffer arena bytes 512 offset -1
  %middle = program.buffer arena bytes 256 offset -1
  %small = program.buffer arena bytes 64 offset -1
  program.launch @k(%large, %middle) sizes [] items 1
  program.launch @k(%middle, %small) sizes [] items 1
}

// -----

// A use through a view, or a view of a view, is a use.
// CHECK-LABEL: program.entry @views attributes {arena_bytes = 128
// CHECK:       program.buffer arena bytes 64 offset 0
// CHECK:       program.buffer arena bytes 64 offset 64
program.entry @views attributes {arguments = []} {
  %a = program.buffer arena bytes 64 offset -1
  %b = program.buffer arena bytes 64 offset -1
  %part = program.view %a offset 16 bytes 32 strides []
  %end = program.view %part offset 16 bytes 16 strides []
  program.zero %a
  program.zero %b
  program.zero %end
}

// -----

// A buffer from before a loop that the loop uses lives through all of it: the next iteration reads it again.
// So %inside, which is used after it in the body, has a place of its own; %after does not need one.
// CHECK-LABEL: program.entry @loop attributes {arena_bytes = 128
// CHECK:       %[[OUTSIDE:.*]] = program.buffer arena bytes 64 offset 0
// CHECK:       program.loop 0 to 6
// CHECK:         program.buffer arena bytes 64 offset 64
// CHECK:       program.buffer arena bytes 64 offset 0
program.entry @loop attributes {arguments = []} {
  %outside = program.buffer arena bytes 64 offset -1
  program.zero %outside
  program.loop 0 to 6 {
    %inside = program.buffer arena bytes 64 offset -1
    program.launch @k(%outside) sizes [] items 1
    program.zero %inside
  }
  %after = program.buffer arena bytes 64 offset -1
  program.zero %after
}

// -----

// A buffer of a loop's body is made anew in each iteration: two that do not meet within one share memory.
// CHECK-LABEL: program.entry @loop_body attributes {arena_bytes = 64
// CHECK:       program.buffer arena bytes 64 offset 0
// CHECK:       program.buffer arena bytes 64 offset 0
program.entry @loop_body attributes {arguments = []} {
  program.loop 0 to 6 {
    %a = program.buffer arena bytes 64 offset -1
    program.zero %a
    %b = program.buffer arena bytes 64 offset -1
    program.zero %b
  }
}

// -----

// Entries run one at a time, so each starts at 0. Arguments and variables are not the arena's and keep their
// offsets.
// CHECK-LABEL: program.entry @first attributes {arena_bytes = 64
// CHECK:       program.buffer arena bytes 64 offset 0
// CHECK-LABEL: program.entry @second attributes {arguments = [{
// CHECK:       program.buffer persistent bytes 192 offset 0
// CHECK:       program.buffer argument bytes 128 offset 0 {index = 1 : i64}
program.entry @first attributes {arguments = []} {
  %a = program.buffer arena bytes 64 offset -1
  program.zero %a
}
program.entry @second attributes {arguments = [{dynamic = false, name = "x", output = false, type = tensor<32xf32>}, {dynamic = false, name = "y", output = false, type = tensor<32xf32>}]} {
  %v = program.buffer persistent bytes 192 offset 0
  %x = program.buffer argument bytes 128 offset 0 {index = 1 : i64}
  program.zero %v
  program.zero %x
}

// -----

// Who holds the arena at its peak, the largest first: buffers of one content and place together, and what lies
// unused between them. %early is gone by then.
// CHECK-DAG:   #[[KEPT:loc[0-9]*]] = loc("model.cc":3:1)
// CHECK-DAG:   #[[MATMUL:loc[0-9]*]] = loc("model.cc":4:1)
// CHECK-LABEL: program.entry @peak attributes
// CHECK-SAME:    weft.peak = [{bytes = 256 : i64, what = "kept (2, 32)", where = #[[KEPT]]},
// CHECK-SAME:                 {bytes = 128 : i64, what = "matmul (32)", where = #[[MATMUL]]}]
program.entry @peak attributes {arguments = []} {
  %early = program.buffer arena bytes 64 offset -1 {weft.holds = "loops (16)"} loc("model.cc":2:1)
  %a = program.buffer arena bytes 128 offset -1 {weft.holds = "kept (2, 32)"} loc("model.cc":3:1)
  %b = program.buffer arena bytes 128 offset -1 {weft.holds = "kept (2, 32)"} loc("model.cc":3:1)
  %c = program.buffer arena bytes 128 offset -1 {weft.holds = "matmul (32)"} loc("model.cc":4:1)
  program.zero %early
  program.zero %a
  program.zero %b
  program.launch @k(%a, %b, %c) sizes [] items 1
}
