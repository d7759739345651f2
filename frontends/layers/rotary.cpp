#include "frontends/layers/rotary.h"

#include <cmath>

#include "frontends/dsl/record.h"

namespace weft {

std::vector<double> rotary_frequencies(i64 dim, const RotaryOptions &o) {
  std::vector<double> frequencies;
  for (i64 i = 0; i < dim / 2; ++i) {
    double f = std::pow(o.theta, -2.0 * static_cast<double>(i) / static_cast<double>(dim));
    double turns = static_cast<double>(o.original_context) * f / (2 * M_PI); // in the original context
    double mix = (turns - o.low_frequency) / (o.high_frequency - o.low_frequency);
    mix = mix < 0 ? 0 : mix > 1 ? 1 : mix; // 1: kept; 0: stretched by factor
    frequencies.push_back(o.factor == 1 ? f : mix * f + (1 - mix) * f / o.factor);
  }
  return frequencies;
}

RotaryTables rotary_tables(Arg positions, i64 dim, const RotaryOptions &options) {
  LineGuard guard(positions.at);
  Tensor frequencies = table({dim / 2}, rotary_frequencies(dim, options));
  Tensor at = reshape(cast(positions, DType::f32), {positions.dim(0), positions.dim(1), 1});
  Tensor angles = at * frequencies; // (batch, seq, dim / 2) in radians
  Shape shape = {positions.dim(0), positions.dim(1), 1, dim / 2};
  return {reshape(cos(angles), shape), reshape(sin(angles), shape)};
}

Tensor rotary(Arg x, const RotaryTables &tables) {
  LineGuard guard(x.at);
  i64 half = x.dim(-1) / 2;
  if (x.rank() != 4 || x.dim(-1) % 2)
    fail(x.at, "rotary of " + shape_text(x.shape()) + ": should be (batch, seq, heads, dim) with an even dim",
         {{x.line(), "operand made here"}});
  Tensor a = slice(x, -1, 0, half), b = slice(x, -1, half, 2 * half);
  return concat({a * tables.cos - b * tables.sin, b * tables.cos + a * tables.sin}, -1);
}

} // namespace weft
