// weftc follow-ops: what `train.trace_nan` starts to get from the kernel that made a NaN to the op.
#pragma once

namespace weft {

// The arguments behind "follow-ops": ARTIFACT INPUTS.safetensors -o ANSWER.txt. INPUTS holds what a launch
// read (tensors buffer.N of bytes) and, as metadata, `kernel`, its `sizes`, the `buffer` and the `index`
// ("SIZE:AT" each) that is not finite. The answer names the first op whose result is not finite while its
// operands are, their values there, and the op's place in the model. The exit status.
int followOpsCommand(int argc, char **argv);

} // namespace weft
