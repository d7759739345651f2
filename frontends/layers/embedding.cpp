#include "frontends/layers/embedding.h"

#include "frontends/dsl/record.h"

namespace weft {

Tensor embedding(Scope s, Arg tokens, i64 vocab, i64 dim, Init init) {
  LayerGuard guard(s, tokens.at);
  detail::require_int(tokens, "embedding", tokens.at);
  if (const Trace *trace = s.trace();
      trace && tokens.value().id == trace->tokens.value().id && vocab < trace->vocab)
    fail(tokens.at, "embedding of " + std::to_string(vocab) + " rows for tokens when Config's vocab is " +
                        std::to_string(trace->vocab));
  return gather(parameter(s, "weight", {vocab, dim}, init, true), tokens);
}

} // namespace weft
