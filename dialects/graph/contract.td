// Operators that sum or take maxima: reductions, matrix products, and reading and adding rows by index. Rules in contract.cpp.
#ifndef WEFT_GRAPH_CONTRACT
#define WEFT_GRAPH_CONTRACT
include "dialects/graph/graph_base.td"

def Graph_ReduceKind : I64EnumAttr<"ReduceKind", "reduction", [
    I64EnumAttrCase<"sum", 0>, I64EnumAttrCase<"max", 1>]> { let cppNamespace = "::weft::graph"; }

def ReduceOp : Graph_PureOp<"reduce"> {
  let summary = "sum or maximum over axes, which disappear";
  let description = [{
    `axes` ascends and is either a run of the last dimensions (a row reduction: 16 virtual lanes, then a fixed tree) or leaves the last
    dimension (a column reduction: one ascending chain an output). With `acc`, which has the result's type, a column chain
    starts there instead of at zero: not the same bits as adding afterwards (docs/numerics.md).
    Example: `%s = graph.reduce sum %x axes = [1] : (tensor<4x8xf32>) -> tensor<4xf32>`
  }];
  let arguments = (ins Graph_ReduceKind:$kind, Graph_Number:$x, Optional<Graph_Number>:$acc, DenseI64ArrayAttr:$axes);
  let results = (outs Graph_Number:$result);
  let assemblyFormat = "$kind $x (`acc` $acc^)? `axes` `=` $axes attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def MatmulOp : Graph_PureOp<"matmul"> {
  let summary = "matrix product, one ascending fused-multiply-add chain along K an output";
  let description = [{
    lhs (…, M, K) or with transpose_lhs (…, K, M); rhs (…, K, N) or with transpose_rhs (…, N, K); leading dimensions are equal
    batch dimensions. A rhs of rank 2 with a lhs of higher rank multiplies all rows of lhs (no transpose_lhs then).
    Products of bf16 are summed in f32, the type of the result, in the order of the kernel's dot unit.
    `acc` (the result's type) starts the chains.
    Example: `%y = graph.matmul %x, %w {transpose_rhs} : (tensor<2x4x8xf32>, tensor<16x8xf32>) -> tensor<2x4x16xf32>`
  }];
  let arguments = (ins Graph_Factor:$lhs, Graph_Factor:$rhs, Optional<Graph_FloatTensor>:$acc,
                       UnitAttr:$transpose_lhs, UnitAttr:$transpose_rhs);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = "$lhs `,` $rhs (`acc` $acc^)? attr-dict `:` functional-type(operands, results)";
}

def GatherOp : Graph_PureOp<"gather"> {
  let summary = "rows of a table by index: embedding";
  let description = [{
    table (V, D…), indices (S…) give (S…, D…). Indices are clamped to [0, V): the loader refuses others before a step.
    Example: `%x = graph.gather %table, %tokens : (tensor<256x8xf32>, tensor<2x4xi32>) -> tensor<2x4x8xf32>`
  }];
  let arguments = (ins Graph_Tensor:$table, Graph_IntTensor:$indices);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$table `,` $indices attr-dict `:` functional-type(operands, results)";
}

def ScatterAddOp : Graph_PureOp<"scatter_add"> {
  let summary = "adds rows to those of a table by index, in ascending order of the updates: the gradient of gather";
  let description = [{
    acc (V, D…), indices (S…), updates (S…, D…). Each output element is one ascending chain that starts at acc.
    Example: `%g = graph.scatter_add %acc, %tokens, %dx : (tensor<256x8xf32>, tensor<2x4xi32>, tensor<2x4x8xf32>) -> tensor<256x8xf32>`
  }];
  let arguments = (ins Graph_FloatTensor:$acc, Graph_IntTensor:$indices, Graph_FloatTensor:$updates);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = "$acc `,` $indices `,` $updates attr-dict `:` functional-type(operands, results)";
}

def WriteRowsOp : Graph_PureOp<"write_rows"> {
  let summary = "writes rows at given slots of each sequence: the KV cache";
  let description = [{
    dest (B, S, D…), slots (B, T) clamped to [0, S), updates (B, T, D…): result[b, slots[b, t]] = updates[b, t]. The slots of one sequence are distinct, or get
    the same row (a prefill repeats its last token to fill up): threads write them in any order.
    Example: `%c = graph.write_rows %cache, %slots, %k : (tensor<1x64x2x8xf32>, tensor<1x4xi32>, tensor<1x4x2x8xf32>) -> tensor<1x64x2x8xf32>`
  }];
  let arguments = (ins Graph_Tensor:$dest, Graph_IntTensor:$slots, Graph_Tensor:$updates);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$dest `,` $slots `,` $updates attr-dict `:` functional-type(operands, results)";
}
#endif
