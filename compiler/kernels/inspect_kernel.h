// weftc inspect-kernel: what `weft inspect --source` and `--dump-kernel` start.
#pragma once

namespace weft {

// The arguments behind "inspect-kernel"; the exit status.
int inspectKernelCommand(int argc, char **argv);

} // namespace weft
