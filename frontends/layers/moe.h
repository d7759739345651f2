// Mixture of experts as DeepSeek-V3 has it (arXiv:2412.19437, section 2.1.2; DeepSeekMoE, arXiv:2401.06066),
// with the softmax of DeepSeek-V2 and Mixtral as an option. Nothing is dropped: an expert computes every
// token that chose it. Parameters have the names of Hugging Face's DeepseekV3MoE.
#pragma once
#include "frontends/layers/swiglu.h"

namespace weft {

struct MoeOptions {
  i64 experts = 8;                 // routed ones
  i64 top_k = 2;                   // that a token goes to
  i64 ffn = 0;                     // width of an expert
  i64 shared = 1;                  // experts that every token goes to: one SwiGLU, this many times as wide
  std::string scoring = "sigmoid"; // or softmax
  i64 groups = 1, top_groups = 1;  // experts lie in groups, of which a token sees the best: by their two best
                                   // scores
  bool normalise = true;           // gates of a token add up to `scale`
  double scale = 1;
  double bias_rate = 1e-3; // how far a step moves an expert's bias towards equal load; 0: there is no bias
  double sequence_balance = 0; // weight of the sequence-wise balance loss: α of equation 17
  Init init = normal(0.02);
  Init output_init = normal(0.02); // of down_proj
};

// x: (batch, seq, dim) -> the same. With scores s = sigmoid(x Wᵀ) and an expert's bias b, a token's experts
// are the top_k of s + b, its gates g are their s over their sum times scale, and y = Σ g_e E_e(x) +
// shared(x) (equations 12 to 16). Scores are computed in f32 whatever the precision. The bias gets no
// gradient of the loss: a step moves it by ± bias_rate against the difference of its expert's load from the
// mean.
Tensor moe(Scope s, Arg x, const MoeOptions &o);

} // namespace weft
