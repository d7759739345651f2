// The projection to the vocabulary.
#pragma once
#include "frontends/layers/linear.h"

namespace weft {

// x: (batch, seq, dim)  ->  logits (batch, seq, vocab); in prefill the last row of each prompt alone, (batch,
// 1, vocab). Parameter: weight (vocab, dim). A tied head is lm_head(s / "embed_tokens", …): the same path is
// the same parameter.
Tensor lm_head(Scope s, Arg x, i64 vocab, LinearOptions options = {});

} // namespace weft
