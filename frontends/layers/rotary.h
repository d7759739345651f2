// Rotary position embedding (Su et al., 2021; arXiv:2104.09864), on halves as transformers' Llama does it,
// not on adjacent pairs.
#pragma once
#include "frontends/dsl/scope.h"

namespace weft {

// Frequencies theta^(-2i / dim), and Llama 3.1's stretching of the long wavelengths where factor > 1
// ("rope_type": "llama3").
struct RotaryOptions {
  double theta = 10000;
  double factor = 1, low_frequency = 1, high_frequency = 4;
  i64 original_context = 8192; // tokens
};

std::vector<double> rotary_frequencies(i64 dim, const RotaryOptions &o);

// cos and sin of position times frequency, (batch, seq, 1, dim / 2). They depend on nothing of a layer.
struct RotaryTables {
  Tensor cos, sin;
};
RotaryTables rotary_tables(Arg positions, i64 dim, const RotaryOptions &options = {});

// x: (batch, seq, heads, dim), with halves a and b of dim  ->  a cos - b sin, b cos + a sin.
Tensor rotary(Arg x, const RotaryTables &tables);

} // namespace weft
