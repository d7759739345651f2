// Programs made from a seed: what nobody thought of combining.
#pragma once
#include "tests/compiler/program/harness.h"

namespace weft::testing {

// 20 to 40 ops: elementwise, moving, reducing, products, rows by index, variables read and written in any
// order, repeats (nested ones, too) whose operands come in several roles. Values stay small, so that f32
// follows f64; indices may be out of range where the op clamps them. The same for the same seed.
EntryCase randomProgram(uint32_t seed);

} // namespace weft::testing
