// Choosing the largest, and rows sorted by the expert that was chosen for them: what mixtures of experts are
// made of.
#pragma once
#include "frontends/dsl/shape.h"

namespace weft {

struct TopK {
  Tensor values;  // (…, k), the largest first
  Tensor indices; // (…, k) i32; of equal values the lower first
};
// Of x (…, n) along the last dimension. A gradient reaches the elements that values came from.
TopK top_k(Arg x, i64 k);

// x (…, n) at indices (…, k): (…, k), differentiable in x. An index out of [0, n) gives 0.
Tensor take_along(Arg x, Arg indices);

// Choices of experts, sorted: N tokens of k choices each have R = N k places.
struct ExpertOrder {
  Tensor order;   // (R) i32: the choice, n k + j, at each place
  Tensor token;   // (R) i32: its n
  Tensor place;   // (N, k) i32: where each choice went
  Tensor offsets; // (experts + 1) i32: each expert's first place; R at the end
  i64 experts = 0;
};
// indices: (N, k), clamped to [0, experts). Equal experts keep the order of the choices.
ExpertOrder sort_by_expert(Arg indices, i64 experts);

// x (N, D…): each token's row at the places of its choices, (R, D…).
Tensor dispatch(Arg x, const ExpertOrder &order);
// gates (N, k): each choice's number at its place, (R).
Tensor dispatch_choices(Arg gates, const ExpertOrder &order);
// y (R, D…): for each token the sum of the rows at its places, (N, D…), in the order of its choices.
Tensor collect(Arg y, const ExpertOrder &order);

// Rows x (R, K) times the matrix of the expert at whose place they are: weights (experts, N, K), as Hugging
// Face keeps them  ->  (R, N).
Tensor grouped_linear(Arg x, Arg weights, const ExpertOrder &order);

} // namespace weft
