// RUN: weft-opt %s --canonicalize | FileCheck %s

// Copies onto themselves, and loops that run never or do nothing, go.
// CHECK-LABEL: program.entry @nothing
// CHECK-NOT:     program.copy
// CHECK-NOT:     program.loop
// CHECK:         program.zero
program.entry @nothing attributes {arguments = []} {
  %a = program.buffer arena bytes 64 offset 0
  program.copy %a to %a
  program.loop 3 to 3 {
    program.zero %a
  }
  program.loop 0 to 4 {
  }
  program.zero %a
}
