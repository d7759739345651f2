// Between the types of weights in files.
#pragma once

#include "absl/types/span.h"

#include <cstdint>

namespace weft {

// Exact: every bf16 and f16 is an f32. A signalling NaN keeps its bits. `from` may be the second half of
// `out`.
void WidenBf16(const uint16_t *from, absl::Span<float> out);
void WidenF16(const uint16_t *from, absl::Span<float> out);

// Exact: 4 bits of exponent with a bias of 7 and 3 of fraction, no infinities, and one NaN of either sign
// (OCP 8-bit floating point, E4M3). `from` may be the last quarter of `out`.
void WidenE4m3(const uint8_t *from, absl::Span<float> out);

// To the nearest, ties to even, as IEEE 754 has it: values beyond bf16's range become infinite, and a NaN
// stays one.
void RoundToBf16(absl::Span<const float> from, uint16_t *out);

} // namespace weft
