// How kernel.attention runs on a CPU: query tiles, chunks of keys, and backward as one kernel or as two. None
// of it changes a bit of the result.
#pragma once
#include "dialects/kernel/kernel.h"

namespace weft::cpu {

// For an op whose sizes are known. A transposed block of keys is packed once for a tile, so tiles are tall
// where there are rows enough for `threads`.
kernel::ScheduleAttr scheduleAttention(kernel::AttentionOp op, int64_t threads);

// Whether `backward`, whose work items are whole (batch, key head) pairs, is at least as fast on `threads` as
// grad_query and grad_key_value, which compute the scores twice and are cut finer.
bool isOneKernelBetter(kernel::AttentionOp op, int64_t threads);

// grad_query and grad_key_value for `backward`, those of them whose results are used.
llvm::SmallVector<kernel::AttentionOp> splitBackward(kernel::AttentionOp op);

} // namespace weft::cpu
