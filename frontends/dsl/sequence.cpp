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
  if (v.shape.size() != 4) {
    Tensor rows(builder().variable(v), blamed_line(x.at));
    rows = write_rows(rows, slots, x);
    builder().assign(v.path, rows.value());
    return rows;
  }
  // A head's rows lie together: attention reads one head after another, and memory in long pieces.
  i64 batch = v.shape[0], heads = v.shape[2], width = v.shape[3], length = x.dim(1);
  std::swap(v.shape[1], v.shape[2]);
  Tensor rows(builder().variable(v), blamed_line(x.at));
  Tensor places = broadcast_to(reshape(slots, {batch, 1, length}), {batch, heads, length});
  rows = write_rows(reshape(rows, {batch * heads, context, width}), reshape(places, {batch * heads, length}),
                    reshape(transpose(x, {0, 2, 1, 3}), {batch * heads, length, width}));
  rows = reshape(rows, v.shape);
  builder().assign(v.path, rows.value());
  return transpose(rows, {0, 2, 1, 3});
}

Sequence make_sequence(Tensor tokens, Tensor positions, Tensor documents, i64 context) {
  Tensor slots = context ? positions : iota(tokens.shape(), 1, tokens.dtype());
  return {tokens, positions, documents, slots, slots - positions, slots + 1, context, {}};
}

} // namespace weft
