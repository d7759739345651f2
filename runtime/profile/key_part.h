// How many keys the queries of a launch of attention see, read from its ranges.
#pragma once
#include "runtime/executor/executor.h"

#include <cstdint>

namespace weft {

// Of the pairs of a query and a key that a launch of attention may have, the part that its ranges name: what
// is computed is data. And the part in whole blocks of keys, which is what a kernel goes through.
struct KeyPart {
  double named = 1, blocks = 1;
};

// The keys in a block of a step that launches an attention kernel whose ranges are i32; 0 of any other step.
int64_t KeyBlockOf(const Program &program, int32_t step, const fb::Artifact &artifact);

// `buffers`: an address for each reference of the launch, of an attention kernel (dialects/kernel/kernel.td).
KeyPart KeyPartOf(const fb::Launch &launch, absl::Span<char *const> buffers, int64_t key_block);

} // namespace weft
