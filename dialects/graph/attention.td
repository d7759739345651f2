// Attention over a contiguous range of keys a query. Rules in attention.cpp.
#ifndef WEFT_GRAPH_ATTENTION
#define WEFT_GRAPH_ATTENTION
include "dialects/graph/graph_base.td"

def AttentionOp : Graph_PureOp<"attention"> {
  let summary = "softmax(scale q kᵀ) v over keys [begin, end) of each query";
  let description = [{
    q (B, T, H, D), k (B, S, G, D), v (B, S, G, E) with H a multiple of G (query head h reads key head h / (H / G));
    begin, end (B, T): the keys a query sees, clamped to [0, S]; an empty range gives zeros.
    Causal, document, cache and full attention are all ranges, so none is a special case.
    Results: out (B, T, H, E) and lse (B, T, H), the log of the softmax's denominator (natural, scaled scores). With bf16 operands out is
    bf16, lse f32, and so are the gradients of q, k and v; scores, softmax and sums are f32, p and ds are rounded to bf16 where they are multiplied.
    Key blocks of `key_block` keys are counted from `begin`, so a token's bits do not depend on where its document lies.
    Example: `%o, %l = graph.attention %q, %k, %v range %b, %e {scale = 0.125 : f64} : (…) -> (…)`
  }];
  let arguments = (ins Graph_Factor:$q, Graph_Factor:$k, Graph_Factor:$v, Graph_IntTensor:$begin, Graph_IntTensor:$end,
                       F64Attr:$scale, DefaultValuedAttr<I64Attr, "64">:$key_block);
  let results = (outs Graph_Factor:$out, Graph_FloatTensor:$lse);
  let assemblyFormat = "$q `,` $k `,` $v `range` $begin `,` $end attr-dict `:` functional-type(operands, results)";
}

def AttentionGradOp : Graph_Op<"attention_grad", [Pure, DeclareOpInterfaceMethods<InferTypeOpInterface>,
        DeclareOpInterfaceMethods<EvaluateInterface>]> {
  let summary = "the gradients of attention with respect to q, k and v";
  let description = [{
    p = exp(scale q·k - lse); ds = p (dout·v - delta); dq = scale Σ ds k, keys in ascending order; dk = scale Σ ds q and dv = Σ p dout, summed over the query
    heads of a key head, queries with the same `begin` after one another: head, then query, ascending. delta (B, T, H) is the sum over E of dout * out.
    `differentiate` creates it.
    Example:
    ```
    %dq, %dk, %dv = graph.attention_grad %q, %k, %v range %b, %e saved %lse, %delta, %dout {scale = 0.125 : f64}
        : (tensor<1x4x2x8xf32>, tensor<1x6x1x8xf32>, tensor<1x6x1x8xf32>, tensor<1x4xi32>, tensor<1x4xi32>,
          tensor<1x4x2xf32>, tensor<1x4x2xf32>, tensor<1x4x2x8xf32>)
          -> (tensor<1x4x2x8xf32>, tensor<1x6x1x8xf32>, tensor<1x6x1x8xf32>)
    ```
  }];
  let arguments = (ins Graph_Factor:$q, Graph_Factor:$k, Graph_Factor:$v, Graph_IntTensor:$begin, Graph_IntTensor:$end,
                       Graph_FloatTensor:$lse, Graph_FloatTensor:$delta, Graph_Factor:$dout,
                       F64Attr:$scale, DefaultValuedAttr<I64Attr, "64">:$key_block);
  let results = (outs Graph_FloatTensor:$dq, Graph_FloatTensor:$dk, Graph_FloatTensor:$dv);
  let assemblyFormat = "$q `,` $k `,` $v `range` $begin `,` $end `saved` $lse `,` $delta `,` $dout attr-dict `:` functional-type(operands, results)";
}
#endif
