// The calling convention of a generated CPU kernel; passes/codegen/cpu emits exactly this signature.
#pragma once
#include <cstdint>

namespace weft {

// buffers: one address per operand (inputs, then outputs), as listed by the launch.
// sizes:   the launch's size and stride arguments (elements, not bytes).
// begin, end: the half-open range of work items this call computes. A kernel's result does not depend on how
//          the items are cut into ranges (see docs/numerics.md).
// scratch: Kernel.scratch_bytes of this thread's own memory, 64-byte aligned, contents undefined.
using KernelFunction = void (*)(char *const *buffers, const int64_t *sizes, int64_t begin, int64_t end,
                                char *scratch);

} // namespace weft
