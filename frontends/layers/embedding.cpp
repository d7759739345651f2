#include "frontends/layers/embedding.h"

#include "frontends/dsl/record.h"

namespace weft {

Tensor embedding(Scope s, Arg tokens, i64 vocab, i64 dim, Init init) {
  LayerGuard guard(s, tokens.at);
  detail::require_int(tokens, "embedding", tokens.at);
  return gather(parameter(s, "weight", {vocab, dim}, init, true), tokens);
}

} // namespace weft
