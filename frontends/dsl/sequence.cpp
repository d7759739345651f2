#include "frontends/dsl/sequence.h"

#include "frontends/dsl/record.h"

namespace weft {

Tensor Sequence::cache(const Scope &s, std::string_view name, Arg x) const {
  if (!context) return x;
  LineGuard guard(x.at);
  Variable v;
  v.path = s.path(name);
  v.shape = x.shape();
  if (v.shape.size() < 2)
    fail(x.at, "cache " + v.path + " of rows " + shape_text(x.shape()), {{x.line(), "rows made here"}});
  v.shape[1] = context;
  v.dtype = x.dtype();
  v.kind = VariableKind::cache;
  Tensor rows(builder().variable(v), blamed_line(x.at));
  rows = write_rows(rows, slots, x);
  builder().assign(v.path, rows.value());
  return rows;
}

Sequence make_sequence(Tensor tokens, Tensor positions, Tensor documents, i64 context) {
  Tensor slots = context ? positions : iota(tokens.shape(), 1, tokens.dtype());
  return {tokens, positions, documents, slots, slots - positions, slots + 1, context, {}};
}

} // namespace weft
