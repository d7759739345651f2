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

class Graph_AttentionGradOp<string mnemonic> : Graph_Op<mnemonic, [Pure, DeclareOpInterfaceMethods<InferTypeOpInterface>,
        DeclareOpInterfaceMethods<EvaluateInterface>]> {
  // delta (B, T, H) = sum over E of dout * out
  let arguments = (ins Graph_Factor:$q, Graph_Factor:$k, Graph_Factor:$v, Graph_IntTensor:$begin, Graph_IntTensor:$end,
                       Graph_FloatTensor:$lse, Graph_FloatTensor:$delta, Graph_Factor:$dout,
                       F64Attr:$scale, DefaultValuedAttr<I64Attr, "64">:$key_block);
  let assemblyFormat = "$q `,` $k `,` $v `range` $begin `,` $end `saved` $lse `,` $delta `,` $dout attr-dict `:` functional-type(operands, results)";
}
def AttentionGradQueryOp : Graph_AttentionGradOp<"attention_grad_query"> {
  let summary = "the gradient of attention with respect to q: keys in ascending order";
  let description = [{
    p = exp(scale q·k - lse); ds = p (dout·v - delta); dq = scale Σ ds k. `differentiate` creates it.
    Example:
    ```
    %dq = graph.attention_grad_query %q, %k, %v range %b, %e saved %lse, %delta, %dout {scale = 0.125 : f64}
        : (tensor<1x4x2x8xf32>, tensor<1x6x1x8xf32>, tensor<1x6x1x8xf32>, tensor<1x4xi32>, tensor<1x4xi32>,
          tensor<1x4x2xf32>, tensor<1x4x2xf32>, tensor<1x4x2x8xf32>) -> tensor<1x4x2x8xf32>
    ```
  }];
  let results = (outs Graph_FloatTensor:$dq);
}
def AttentionGradKeyValueOp : Graph_AttentionGradOp<"attention_grad_key_value"> {
  let summary = "the gradients of attention with respect to k and v: head of the group, then query, ascending";
  let description = [{
    dk = scale Σ ds q; dv = Σ p dout, summed over the query heads of a key head. `differentiate` creates it.
    Example:
    ```
    %dk, %dv = graph.attention_grad_key_value %q, %k, %v range %b, %e saved %lse, %delta, %dout {scale = 0.125 : f64}
        : (tensor<1x4x2x8xf32>, tensor<1x6x1x8xf32>, tensor<1x6x1x8xf32>, tensor<1x4xi32>, tensor<1x4xi32>,
          tensor<1x4x2xf32>, tensor<1x4x2xf32>, tensor<1x4x2x8xf32>)
          -> (tensor<1x6x1x8xf32>, tensor<1x6x1x8xf32>)
    ```
  }];
  let results = (outs Graph_FloatTensor:$dk, Graph_FloatTensor:$dv);
}
#endif
