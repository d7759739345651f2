#include "frontends/layers/rotary.h"

#include <cmath>

#include "frontends/dsl/record.h"

namespace weft {
namespace {

double clamped(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }

void check(bool holds, const std::string &what) {
  if (!holds) throw ModelError("rotary positions: " + what);
}

// The dimension, counted in pairs, whose wavelength turns `turns` times in the original context.
double pair_of_turns(double turns, i64 dim, const RotaryOptions &o) {
  return static_cast<double>(dim) * std::log(static_cast<double>(o.original_context) / (turns * 2 * M_PI)) /
         (2 * std::log(o.theta));
}

// How much of each frequency is kept: 1 all, 0 it is divided by the factor.
std::vector<double> yarn_kept(i64 dim, const RotaryOptions &o) {
  double low = pair_of_turns(o.beta_fast, dim, o), high = pair_of_turns(o.beta_slow, dim, o);
  if (o.truncate) low = std::floor(low), high = std::ceil(high);
  low = std::fmax(low, 0);
  high = std::fmin(high, static_cast<double>(dim - 1));
  if (low == high) high += 0.001; // as transformers, so that the slope is finite
  std::vector<double> kept;
  for (i64 i = 0; i < dim / 2; ++i)
    kept.push_back(1 - clamped((static_cast<double>(i) - low) / (high - low)));
  return kept;
}

} // namespace

std::vector<double> rotary_frequencies(i64 dim, const RotaryOptions &o) {
  check(o.type == "default" || o.type == "linear" || o.type == "llama3" || o.type == "yarn",
        "the type is \"" + o.type + "\" when it should be default, linear, llama3 or yarn");
  check(o.theta > 1, "theta is " + std::to_string(o.theta) + " when it should be more than 1");
  check(o.factor > 0, "the factor is " + std::to_string(o.factor) + " when it should be more than 0");
  check(o.type != "default" || o.factor == 1, "the factor is " + std::to_string(o.factor) +
                                                  " when the type is default; name linear, llama3 or yarn");
  check(o.original_context > 0, "the original context is " + std::to_string(o.original_context) +
                                    " tokens when it should be 1 or more");
  check(o.type != "llama3" || o.high_frequency > o.low_frequency,
        "high_frequency is " + std::to_string(o.high_frequency) +
            " when it should be more than low_frequency, " + std::to_string(o.low_frequency));
  check(o.type != "yarn" || (o.beta_fast > 0 && o.beta_slow > 0),
        "beta_fast and beta_slow are " + std::to_string(o.beta_fast) + " and " + std::to_string(o.beta_slow) +
            " when they should be more than 0");
  std::vector<double> frequencies, yarn = o.type == "yarn" ? yarn_kept(dim, o) : std::vector<double>();
  for (i64 i = 0; i < dim / 2; ++i) {
    double f = std::pow(o.theta, -2.0 * static_cast<double>(i) / static_cast<double>(dim)), kept = 0;
    double turns = static_cast<double>(o.original_context) * f / (2 * M_PI); // in the original context
    if (o.type == "llama3") kept = clamped((turns - o.low_frequency) / (o.high_frequency - o.low_frequency));
    if (o.type == "yarn") kept = yarn[i];
    frequencies.push_back(o.factor == 1 ? f : kept * f + (1 - kept) * f / o.factor);
  }
  return frequencies;
}

double rotary_attention_factor(const RotaryOptions &o) {
  if (o.type != "yarn") return 1;
  if (o.attention_factor != 0) return o.attention_factor;
  return o.factor <= 1 ? 1 : 0.1 * std::log(o.factor) + 1;
}

double rotary_score_factor(const RotaryOptions &o) {
  if (o.type != "yarn" || o.factor <= 1) return 1;
  double magnitude = 0.1 * o.mscale_all_dim * std::log(o.factor) + 1;
  return magnitude * magnitude;
}

RotaryOptions RotaryFields::rotary() const {
  return {rope_theta,          rope_type,      rope_factor,    rope_context,          rope_low_frequency,
          rope_high_frequency, rope_beta_fast, rope_beta_slow, rope_attention_factor, rope_truncate,
          rope_mscale_all_dim};
}

void RotaryFields::set_rotary(const RotaryOptions &o) {
  rope_theta = o.theta, rope_type = o.type, rope_factor = o.factor, rope_context = o.original_context;
  rope_low_frequency = o.low_frequency, rope_high_frequency = o.high_frequency;
  rope_beta_fast = o.beta_fast, rope_beta_slow = o.beta_slow;
  rope_attention_factor = o.attention_factor, rope_truncate = o.truncate;
  rope_mscale_all_dim = o.mscale_all_dim;
}

RotaryTables rotary_tables(Arg positions, i64 dim, const RotaryOptions &options) {
  LineGuard guard(positions.at);
  Tensor frequencies = table({dim / 2}, rotary_frequencies(dim, options));
  Tensor at = reshape(cast(positions, DType::f32), {positions.dim(0), positions.dim(1), 1});
  Tensor angles = at * frequencies; // (batch, seq, dim / 2) in radians
  Tensor cosines = cos(angles), sines = sin(angles);
  if (double factor = rotary_attention_factor(options); factor != 1)
    cosines = cosines * factor, sines = sines * factor;
  Shape shape = {positions.dim(0), positions.dim(1), 1, dim / 2};
  return {reshape(cosines, shape), reshape(sines, shape)};
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
