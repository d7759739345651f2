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
  Init init = normal(0.02);
  Init output_init = normal(0.02); // of down_proj
};

struct MoeResult {
  Tensor out; // (batch, seq, dim), as x
  // (batch, 1): of each sequence Σ f_i P_i, which is 1 where all experts are chosen alike and more elsewhere
  // (equations 17 to 20, without α). For add_loss, times the sequence's tokens.
  Tensor sequence_balance;
};

// x: (batch, seq, dim). With scores s = sigmoid(x Wᵀ) and an expert's bias b, a token's experts
// are the top_k of s + b, its gates g are their s over their sum times scale, and y = Σ g_e E_e(x) +
// shared(x) (equations 12 to 16). Scores are computed in f32 whatever the precision. The bias gets no
// gradient of the loss: a step moves it by ± bias_rate against the difference of its expert's load from the
// mean.
MoeResult moe(Scope s, Arg x, const MoeOptions &o);

} // namespace weft
