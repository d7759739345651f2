// How much of the arena a step uses, instruction by instruction.
#pragma once
#include "runtime/profile/profile.h"
#include "runtime/profile/recorder.h"

#include <cstddef>

namespace weft {

// From the recorder's first `num_events` events, one step. A value lives from the instruction that writes it
// to the last that reads it before it is written over; its bytes are as many as the reference spans. Lines
// are numbers of the artifact's. start_ns: the step's start.
MemoryTimeline TraceMemory(const Recorder &recorder, size_t num_events, int64_t start_ns);

} // namespace weft
