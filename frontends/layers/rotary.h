// Rotary position embedding (Su et al., 2021; arXiv:2104.09864), on halves as transformers' Llama does it,
// not on adjacent pairs.
#pragma once
#include "frontends/dsl/scope.h"

namespace weft {

// Frequencies theta^(-2i / dim), changed for contexts longer than the `original_context` tokens that a model
// was first trained with. `type` is transformers' "rope_type":
//   default  as they are
//   linear   divided by factor (position interpolation: Chen et al., 2023, arXiv:2306.15595)
//   llama3   divided where a wavelength turns less than low_frequency times in the original context, kept
//            where it turns more than high_frequency times, a mean between (Llama 3.1)
//   yarn     the same idea over dimensions rather than frequencies, between those that turn beta_slow and
//            beta_fast times, and cos and sin times attention_factor (Peng et al., 2023, arXiv:2309.00071)
struct RotaryOptions {
  double theta = 10000;
  std::string type = "default";
  double factor = 1;
  i64 original_context = 8192; // tokens
  double low_frequency = 1, high_frequency = 4;
  double beta_fast = 32, beta_slow = 1;
  double attention_factor = 0; // 0: 0.1 ln(factor) + 1
  bool truncate = true;        // yarn's bounds are whole dimensions
  double mscale_all_dim = 0;   // yarn's: see rotary_score_factor
};

// In radians a token, dim / 2 of them. ModelError: an unknown type, or a value that it cannot be made with.
std::vector<double> rotary_frequencies(i64 dim, const RotaryOptions &o);
// What cos and sin are multiplied with.
double rotary_attention_factor(const RotaryOptions &o);
// What multi-head latent attention multiplies its scores with: (0.1 mscale_all_dim ln(factor) + 1)^2 with
// yarn.
double rotary_score_factor(const RotaryOptions &o);

// These options as fields of a model's Config: struct Config : RotaryFields { …
// WEFT_FIELDS(…, WEFT_ROTARY_FIELDS) }.
struct RotaryFields {
  double rope_theta = 10000;                              // base of the wavelengths
  std::string rope_type = "default";                      // default, linear, llama3 or yarn
  double rope_factor = 1;                                 // how many times longer the context becomes
  i64 rope_context = 8192;                                // tokens it was first trained with
  double rope_low_frequency = 1, rope_high_frequency = 4; // llama3's
  double rope_beta_fast = 32, rope_beta_slow = 1, rope_attention_factor = 0; // yarn's
  bool rope_truncate = true;
  double rope_mscale_all_dim = 0;

  RotaryOptions rotary() const;
  void set_rotary(const RotaryOptions &o);
};
#define WEFT_ROTARY_FIELDS                                                                                   \
  rope_theta, rope_type, rope_factor, rope_context, rope_low_frequency, rope_high_frequency, rope_beta_fast, \
      rope_beta_slow, rope_attention_factor, rope_truncate, rope_mscale_all_dim

// cos and sin of position times frequency, (batch, seq, 1, dim / 2). They depend on nothing of a layer.
struct RotaryTables {
  Tensor cos, sin;
};
RotaryTables rotary_tables(Arg positions, i64 dim, const RotaryOptions &options = {});

// x: (batch, seq, heads, dim), with halves a and b of dim  ->  a cos - b sin, b cos + a sin.
Tensor rotary(Arg x, const RotaryTables &tables);

} // namespace weft
