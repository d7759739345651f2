// Rows of a table by token.
#pragma once
#include "frontends/dsl/scope.h"

namespace weft {

// tokens (…) i32  ->  (…, dim). Parameter: weight (vocab, dim), with weight decay, as every matrix.
Tensor embedding(Scope s, Arg tokens, i64 vocab, i64 dim, Init init = normal(0.02));

} // namespace weft
