// What a model sees of its input: tokens, where they stand, and the key-value state where there is one.
#pragma once
#include "frontends/dsl/scope.h"

namespace weft {

// Attention reads keys [key_begin, key_end) of a key buffer, so that causal, packed and cached attention are
// one case. In training and evaluation the buffer is the sequence itself, and positions count from the
// document's start:
//   tokens     a b c d e f      (documents 0 0 0 0 1 1)
//   positions  0 1 2 3 0 1
//   slots      0 1 2 3 4 5      where each token's key lies in the buffer
//   key_begin  0 0 0 0 4 4      = slots - positions: the document's start
//   key_end    1 2 3 4 5 6      = slots + 1: causal
// In prefill and decode the buffer is a cache of `context` rows, one document a sequence; slots = positions.
// A prompt shorter than the entry's tokens is padded by repeating its last token with that token's position:
// the same row is written again with the same numbers.
struct Sequence {
  Tensor tokens;                    // (batch, seq) i32
  Tensor positions;                 // (batch, seq) i32, from the document's start
  Tensor documents;                 // (batch, seq) i32, the document's number
  Tensor slots, key_begin, key_end; // (batch, seq) i32
  i64 context = 0;                  // rows of the cache; 0: none
  Tensor targets; // (batch, seq) i32, the token that follows, -1: none; empty but in training, for losses
                  // that are added to the one of the logits (add_loss)

  // Rows x (batch, seq, …) as the keys or values that attention reads: x itself, or the cache `name` under s,
  // (batch, context, …), after x has been written to it. The cache of (batch, seq, heads, width) is kept as
  // (batch, heads, context, width).
  Tensor cache(const Scope &s, std::string_view name, Arg x) const;
};

// context 0: whole sequences, for training and evaluation; else a step over a cache of that many rows.
Sequence make_sequence(Tensor tokens, Tensor positions, Tensor documents, i64 context = 0);

} // namespace weft
