// The query tile of kernel.attention on a CPU. It changes no bit of the result.
#pragma once
#include "dialects/kernel/kernel.h"

namespace weft::cpu {

// For an op whose sizes are known. A transposed block of keys is packed once for a tile, so tiles are tall
// where there are rows enough for `threads`.
kernel::ScheduleAttr scheduleAttention(kernel::AttentionOp op, int64_t threads);

} // namespace weft::cpu
