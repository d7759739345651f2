// Operators of mixtures of experts: choosing, sorting by expert, and products with each expert's matrix. Rules in routing.cpp.
#ifndef WEFT_GRAPH_ROUTING
#define WEFT_GRAPH_ROUTING
include "dialects/graph/graph_base.td"

def TopKOp : Graph_PureOp<"top_k"> {
  let summary = "the k largest along the last dimension, largest first, and where they are";
  let description = [{
    x (…, E) gives values (…, k) and indices (…, k) of i32, k <= E. Of equal values the lower index comes first. A row with a NaN has a NaN as its
    first value; its other values are not said, and its indices are distinct and in range, no more. The gradient of a value goes to the element it came from; indices have none.
    Example: `%v, %i = graph.top_k %x k = 2 : (tensor<4x8xf32>) -> (tensor<4x2xf32>, tensor<4x2xi32>)`
  }];
  let arguments = (ins Graph_FloatTensor:$x, I64Attr:$k);
  let results = (outs Graph_FloatTensor:$values, Graph_IntTensor:$indices);
  let assemblyFormat = "$x `k` `=` $k attr-dict `:` functional-type(operands, results)";
}

def SortByExpertOp : Graph_PureOp<"sort_by_expert"> {
  let summary = "choices of experts, sorted by expert: a counting sort";
  let description = [{
    indices (N, k), clamped to [0, experts): choice i = n k + j is token n's j-th. Choices are sorted by (expert, segment of n, i), where the N tokens are
    cut into `segments` equal runs (virtual shards, docs/numerics.md; 1: all of them). Results, all i32, with R = N k:
    order (R): the choice at each sorted place; token (R): its n; place (N, k): where each choice went, the inverse of order;
    offsets (experts * segments + 1): the first place of each (expert, segment), and R at the end.
    Example: `%order, %token, %place, %offsets = graph.sort_by_expert %i experts = 8 segments = 1 : (tensor<4x2xi32>) -> (tensor<8xi32>, tensor<8xi32>, tensor<4x2xi32>, tensor<9xi32>)`
  }];
  let arguments = (ins Graph_IntTensor:$indices, I64Attr:$experts, I64Attr:$segments);
  let results = (outs Graph_IntTensor:$order, Graph_IntTensor:$token, Graph_IntTensor:$place, Graph_IntTensor:$offsets);
  let assemblyFormat = "$indices `experts` `=` $experts `segments` `=` $segments attr-dict `:` functional-type(operands, results)";
}

def DispatchOp : Graph_PureOp<"dispatch"> {
  let summary = "each token's row to the places of its choices: the inverse of collect";
  let description = [{
    x (N, D…), token (R), place (N, k), R = N k: result (R, D…), result[r] = x[token[r]]. `place` says where each row went, so that the gradient is `collect`
    of the adjoint: sums of k rows each, in the order of the choices, and no scatter.
    Example: `%y = graph.dispatch %x, %token, %place : (tensor<4x16xf32>, tensor<8xi32>, tensor<4x2xi32>) -> tensor<8x16xf32>`
  }];
  let arguments = (ins Graph_Tensor:$x, Graph_IntTensor:$token, Graph_IntTensor:$place);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$x `,` $token `,` $place attr-dict `:` functional-type(operands, results)";
}

def CollectOp : Graph_PureOp<"collect"> {
  let summary = "the sum of the rows at each token's places: the transpose of dispatch";
  let description = [{
    y (R, D…), place (N, k), token (R), R = N k: result (N, D…), result[n] = Σ_j y[place[n, j]], a chain from zero in ascending j.
    Example: `%x = graph.collect %y, %place, %token : (tensor<8x16xf32>, tensor<4x2xi32>, tensor<8xi32>) -> tensor<4x16xf32>`
  }];
  let arguments = (ins Graph_FloatTensor:$y, Graph_IntTensor:$place, Graph_IntTensor:$token);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = "$y `,` $place `,` $token attr-dict `:` functional-type(operands, results)";
}

def GroupedMatmulOp : Graph_PureOp<"grouped_matmul"> {
  let summary = "rows sorted by expert times their expert's matrix";
  let description = [{
    lhs (R, K), rhs (E, K, N) or with transpose_rhs (E, N, K), offsets (E s + 1) ascending from 0 to R: result (R, N); rows [offsets[e s], offsets[(e + 1) s])
    are multiplied by matrix e, each as graph.matmul multiplies a row: its bits do not depend on the other rows.
    Example: `%y = graph.grouped_matmul %x, %w, %offsets {transpose_rhs} : (tensor<8x16xf32>, tensor<4x32x16xf32>, tensor<5xi32>) -> tensor<8x32xf32>`
  }];
  let arguments = (ins Graph_Factor:$lhs, Graph_Factor:$rhs, Graph_IntTensor:$offsets, UnitAttr:$transpose_rhs);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = "$lhs `,` $rhs `,` $offsets attr-dict `:` functional-type(operands, results)";
}

def GroupedOuterOp : Graph_PureOp<"grouped_outer"> {
  let summary = "lhsᵀ rhs of each group of rows: the gradient of grouped_matmul's matrices";
  let description = [{
    lhs (R, M), rhs (R, N), offsets (G + 1) ascending from 0 to R: result (G, M, N), result[g] = Σ over the rows of group g of the products, one ascending chain an
    output from zero or from `acc` (the result's type), in the dot unit's groups counted from the group's first row. A group without rows gives acc, or zero.
    Example: `%dw = graph.grouped_outer %dy, %x, %offsets : (tensor<8x32xf32>, tensor<8x16xf32>, tensor<5xi32>) -> tensor<4x32x16xf32>`
  }];
  let arguments = (ins Graph_Factor:$lhs, Graph_Factor:$rhs, Graph_IntTensor:$offsets, Optional<Graph_FloatTensor>:$acc);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = "$lhs `,` $rhs `,` $offsets (`acc` $acc^)? attr-dict `:` functional-type(operands, results)";
}
#endif
