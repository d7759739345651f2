// Cross-entropy of next tokens. Training, evaluation and generation use these same expressions, so that a
// token's log-probability has the same bits in all of them.
#pragma once
#include "frontends/dsl/contract.h"

namespace weft {

// log Σ exp(x) over the last dimension, which disappears.   x: (…, vocab)
//   m = max x;  lse = m + log Σ exp(x - m).   No gradient flows through m: its contributions cancel.
Tensor log_sum_exp(Arg x);

// log softmax(logits)[target].   logits: (batch, seq, vocab), targets: (batch, seq) i32  ->  (batch, seq). A
// target outside the vocabulary gives -lse.
Tensor token_logprobs(Arg logits, Arg targets);

// Entropy of softmax(logits), nats:  H = lse - Σ p x,  p = exp(x - lse).   logits: (…, vocab)  ->  (…)
Tensor token_entropy(Arg logits);

struct CrossEntropy {
  Tensor
      loss_sum; // scalar, nats, summed over valid targets: divide by their number in the whole global batch
  Tensor num_targets; // scalar f32
  Tensor logprobs;    // (batch, seq), nats; 0 where there is no target
};

// targets: (batch, seq) i32; a negative one (-1) is no target.
CrossEntropy cross_entropy(Arg logits, Arg targets);

} // namespace weft
