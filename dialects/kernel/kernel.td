// Structured kernels: what is computed (a region of scalar code over strided accesses) apart from how (a schedule attribute).
#ifndef WEFT_KERNEL
#define WEFT_KERNEL
include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"

def Kernel_Dialect : Dialect {
  let name = "kernel";
  let cppNamespace = "::weft::kernel";
  let summary = "structured kernels: a region of scalar code, a reduction (what fixes the bits), a schedule (what may be tuned)";
  let description = [{
    Tensors in and out, value semantics; each operand is addressed through a `#kernel.access`. Nothing here names a target:
    passes/codegen/cpu and passes/codegen/cuda read the same ops. `fuse-kernels` creates them, the lowering to the
    host program replaces each by a launch of an outlined, content-keyed kernel.
  }];
  let useDefaultAttributePrinterParser = 1;
}

def Kernel_Access : AttrDef<Kernel_Dialect, "Access"> {
  let mnemonic = "access";
  let summary = "how a kernel's iteration space addresses one operand, in elements of its row-major buffer";
  let description = [{
    address(d0, d1, …) = offset + Σ strides[i] d_i, and with `index` >= 0 additionally
    clamp(value of input `index` at this point, 0, index_limit - 1) * index_stride: a gather or a scatter. The indexing input is an integer
    and does not vary along the last dimension. Stride 0 repeats. `?`: what the launch of an outlined kernel gives.
  }];
  let parameters = (ins "int64_t":$offset, ArrayRefParameter<"int64_t">:$strides,
      DefaultValuedParameter<"int64_t", "-1">:$index, DefaultValuedParameter<"int64_t", "0">:$index_stride,
      DefaultValuedParameter<"int64_t", "0">:$index_limit);
  // Strides come last: their list of integers ends at `>` alone.
  let assemblyFormat = [{ `<` `offset` `=` $offset `,` (`index` `=` $index^ `,` `index_stride` `=` custom<Size>($index_stride) `,` `index_limit` `=` custom<Size>($index_limit) `,`)?
    `strides` `=` custom<Sizes>($strides) `>` }];
}

def Kernel_Reduction : AttrDef<Kernel_Dialect, "Reduction"> {
  let mnemonic = "reduction";
  let summary = "what fixes the bits of a kernel's sums; tuning never touches it";
  let description = [{
    `unit`: the dot unit. Of f32 and f64, "fma": one fused-multiply-add chain an output, ascending in k. Of bf16, with f32 sums and denormals flushed:
    "amx": for each 32 along K a chain over the even k and one over the odd k, both from zero, then sum += even + odd, as TDPBF16PS does; "vdpbf16": one
    chain over k in the order 1, 0, 3, 2, 5, 4, … as VDPBF16PS does. K is filled up with zeros. `lanes`: virtual lanes of a row reduction: lane j takes elements
    j, j + lanes, … ascending; lanes are then combined by halves (lane j with j + lanes / 2, and so on down to one). `key_block`: keys per block of attention.
  }];
  let parameters = (ins StringRefParameter<>:$unit, "int64_t":$lanes, "int64_t":$key_block);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Kernel_Schedule : AttrDef<Kernel_Dialect, "Schedule"> {
  let mnemonic = "schedule";
  let summary = "how a kernel is computed; changes no bit of the result";
  let description = [{
    matmul: register tile `tile_m` x `tile_n`, cache blocks `block_m`, `block_n`, `block_k`. loops: `block_n` columns a work item where there is no row reduction. attention: `tile_m` query rows a tile; backward: `tile_n` keys whose packed form and sums are kept. Zero: not used by the family.
  }];
  let parameters = (ins "int64_t":$tile_m, "int64_t":$tile_n, "int64_t":$block_m, "int64_t":$block_n, "int64_t":$block_k);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Kernel_Accesses : TypedArrayAttrBase<Kernel_Access, "accesses">;
def Kernel_Tensor : RankedTensorOf<[F32, F64, BF16, I1, I32, I64]>;

class Kernel_Op<string mnemonic, list<Trait> traits = []> : Op<Kernel_Dialect, mnemonic, traits>;

def LoopsOp : Kernel_Op<"loops", [Pure, AttrSizedOperandSegments, SingleBlockImplicitTerminator<"YieldOp">, IsolatedFromAbove]> {
  let summary = "elementwise code, row reductions, column reductions, gathers and scatters over one iteration space";
  let description = [{
    The region runs at each point of `domain` (row-major; the last dimension is the column). Its arguments are the elements of `inputs` through
    `input_access`; yielded value i goes to result `yield_result[i]` through `output_access[i]` (several yields may fill one result: concatenation).
    Block arguments of i1 tensors are i1. `kernel.reduce` inside is a reduction over the columns, known to every column afterwards; a value yielded through column stride 0 must not vary
    along the column. `kernel.index d` is the index along dimension d (i32).

    With `reduce_dims = n > 0` the first n dimensions are reduced: each yield is the summand of a sum over them in ascending (row-major) order, one chain per point of
    the remaining dimensions, whose output access has stride 0 along the reduced ones. No kernel.reduce is allowed then. If its output access is indexed, the chain of each
    element addressed is in the order of the domain (scatter-add), and the first dimensions must all be reduced but the last.

    `inits` seed results: `init_result[j]` is the result that starts as inits[j] (same type). A reduced result without init starts at zero; any other result
    must be written completely, unless it has an init.
    Buffers of the compiled kernel: inputs, then results (an init shares its result's buffer).
    Example (y = x * rsqrt(mean(x²) + eps) * w):
    ```
    %y = kernel.loops domain [4096, 384] ins(%x, %w) inits() {
      input_access = [#kernel.access<offset = 0, strides = 384, 1>, #kernel.access<offset = 0, strides = 0, 1>], …} : (…) -> … {
    ^bb0(%a: f32, %b: f32):
      %sq = arith.mulf %a, %a : f32
      %s = kernel.reduce sum %sq : f32
      …
      kernel.yield %r : f32
    }
    ```
  }];
  let arguments = (ins Variadic<Kernel_Tensor>:$inputs, Variadic<Kernel_Tensor>:$inits, DenseI64ArrayAttr:$domain, Kernel_Accesses:$input_access,
      Kernel_Accesses:$output_access, DenseI64ArrayAttr:$yield_result, DenseI64ArrayAttr:$init_result, DefaultValuedAttr<I64Attr, "0">:$reduce_dims,
      OptionalAttr<Kernel_Reduction>:$reduction, OptionalAttr<Kernel_Schedule>:$schedule);
  let results = (outs Variadic<Kernel_Tensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{ `domain` custom<SizeList>($domain) `ins` `(` $inputs `)` `inits` `(` $inits `)` attr-dict `:` functional-type(operands, results) $body }];
  let hasCanonicalizeMethod = 1;
  let hasVerifier = 1;
}

def Kernel_GroupedBy : I64EnumAttr<"GroupedBy", "which dimension of a product its groups cut", [
    I64EnumAttrCase<"m", 0>, I64EnumAttrCase<"k", 1>]> { let cppNamespace = "::weft::kernel"; }

def MatmulOp : Kernel_Op<"matmul", [Pure, AttrSizedOperandSegments, SingleBlockImplicitTerminator<"YieldOp">, IsolatedFromAbove]> {
  let summary = "batched matrix product with a fused epilogue";
  let description = [{
    For each (b, m, n) of `sizes = [batch, m, n, k]`: acc = Σ_k a(b, m, k) * bb(b, k, n), one ascending FMA chain from zero or, with `accumulate`, from the
    value of result 0's buffer, which is `init`. The region gets acc and the elements of `extras` at (b, m, n), and yields result elements.
    `lhs_access` has strides for (b, m, k), `rhs_access` for (b, k, n), `extra_access` and `output_access` for (b, m, n).
    With `packed_rhs` rhs, of bf16, lies as the dot units read it: panels of 32 columns, pairs of k side by side, (n / 32, k / 2, n % 32, k % 2), with n and k filled up to
    multiples of 32 (k with zeros), and `rhs_access` has strides (b, n, 1) that stand for the whole. Not with `grouped k`.
    With `groups`, i32, batch b stands for a group: through `group_access`, of rank 1, its element b is g(b), and g(0 … batch) ascends. `grouped m`: only m in [g(b), g(b + 1)) is computed in
    batch b, so that each row of the result belongs to one batch (a row of none is left as it is). `grouped k`: the sum of batch b is over k in [g(b), g(b + 1)), in the
    dot unit's groups counted from g(b). m and k count from the whole operand's first row; g is clamped to [0, m] or [0, k].
    With `rows`, i32, through `row_access`, of rank 1, a factor's places along the dimension that groups cut are looked up: where lhs_access (or, with `grouped k`, rhs_access, or both)
    is indexed by it (index is the number of that buffer), place i is at index_stride * clamp(element i of rows, 0, index_limit - 1). Its stride along k, m or n, the other, is 1.
    An access of `extras` may be indexed by the buffer of another one, i32, that is the same in all of a row.
    Buffers of the compiled kernel: lhs, rhs, extras, groups, rows, results (init shares result 0's).
    Example (y = a bᵀ + bias, with b as (n, k)):
    ```
    %y = kernel.matmul %a, %b extras(%bias) sizes [1, 4, 16, 8] {
        lhs_access = #kernel.access<offset = 0, strides = 0, 8, 1>, rhs_access = #kernel.access<offset = 0, strides = 0, 1, 8>,
        extra_access = [#kernel.access<offset = 0, strides = 0, 0, 1>], output_access = [#kernel.access<offset = 0, strides = 0, 16, 1>]}
        : (tensor<4x8xf32>, tensor<16x8xf32>, tensor<16xf32>) -> tensor<4x16xf32> {
    ^bb0(%acc: f32, %e: f32):
      %s = arith.addf %acc, %e : f32
      kernel.yield %s : f32
    }
    ```
  }];
  let arguments = (ins Kernel_Tensor:$lhs, Kernel_Tensor:$rhs, Optional<Kernel_Tensor>:$init, Variadic<Kernel_Tensor>:$extras, Optional<Kernel_Tensor>:$groups, Optional<Kernel_Tensor>:$rows,
      DenseI64ArrayAttr:$sizes, Kernel_Access:$lhs_access, Kernel_Access:$rhs_access, Kernel_Accesses:$extra_access, Kernel_Accesses:$output_access,
      OptionalAttr<Kernel_GroupedBy>:$grouped, OptionalAttr<Kernel_Access>:$group_access, OptionalAttr<Kernel_Access>:$row_access, UnitAttr:$packed_rhs, OptionalAttr<Kernel_Reduction>:$reduction, OptionalAttr<Kernel_Schedule>:$schedule);
  let results = (outs Variadic<Kernel_Tensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{ $lhs `,` $rhs (`init` $init^)? `extras` `(` $extras `)` (`groups` $groups^)? (`rows` $rows^)? `sizes` custom<SizeList>($sizes) attr-dict `:` functional-type(operands, results) $body }];
  let extraClassDeclaration = [{
    // Numbers of accesses and buffers; -1: there is none.
    int64_t groupsNumber() { return getGroups() ? 2 + int64_t(getExtras().size()) : -1; }
    int64_t rowsNumber() { return getRows() ? 2 + int64_t(getExtras().size()) + (getGroups() ? 1 : 0) : -1; }
  }];
  let hasVerifier = 1;
}

def Kernel_AttentionKind : I64EnumAttr<"AttentionKind", "which of attention's kernels", [
    I64EnumAttrCase<"forward", 0>, I64EnumAttrCase<"backward", 1>, I64EnumAttrCase<"grad_query", 2>, I64EnumAttrCase<"grad_key_value", 3>]> { let cppNamespace = "::weft::kernel"; }

def AttentionOp : Kernel_Op<"attention", [Pure]> {
  let summary = "flash attention over a contiguous key range a query; forward, and backward as one kernel or as two";
  let description = [{
    Semantics: graph.attention and graph.attention_grad. `sizes = [B, T, S, H, G, D, E]` (batch, queries, keys, query heads,
    key heads, q/k width, v width). Accesses: q, out, dout, dq (b, t, h, d); k, v, dk, dv (b, s, g, d); begin, end (b, t); lse, delta (b, t, h).
    forward: inputs q, k, v, begin, end; results out, lse. Key blocks of reduction.key_block keys counted from begin; per block: scores by an ascending
    FMA chain along D, times scale; m' = max(m, block max); p = exp(s - m'); l = l * exp(m - m') + Σ p (lanes as in #kernel.reduction over the block's keys);
    acc = acc * exp(m - m') then an ascending FMA chain of p v. out = acc / l, lse = m + log(l). An empty range gives out 0 and lse 0.
    backward: inputs q, k, v, begin, end, lse, delta, dout; results dq, dk, dv. p = exp(s - lse), dp by an FMA chain along E, ds = p (dp - delta). dq = scale * Σ ds k:
    an ascending chain over the keys, in blocks counted from begin. A run is rows one after another with the same begin; dk = scale * Σ ds q and dv = Σ p dout: for
    each key a chain over (run, head of the group, query of the run), all ascending, groups of the dot unit counted from the run's first query and filled up with zeros.
    grad_query, grad_key_value: the same inputs; result dq, or results dk and dv, with the same bits. `schedule-kernels` cuts backward into them where its work
    items, which are whole (batch, key head) pairs, are too few for the threads, or where the rest is not needed.
    Buffers: inputs, then results.
    Example (2 query heads, 1 key head):
    ```
    %out, %lse = kernel.attention forward %q, %k, %v, %b, %e sizes [1, 4, 6, 2, 1, 8, 8] {scale = 0.125 : f64,
        input_access = [#kernel.access<offset = 0, strides = 64, 16, 8, 1>, #kernel.access<offset = 0, strides = 48, 8, 8, 1>,
          #kernel.access<offset = 0, strides = 48, 8, 8, 1>, #kernel.access<offset = 0, strides = 4, 1>, #kernel.access<offset = 0, strides = 4, 1>],
        output_access = [#kernel.access<offset = 0, strides = 64, 16, 8, 1>, #kernel.access<offset = 0, strides = 8, 2, 1>]}
        : (tensor<1x4x2x8xf32>, tensor<1x6x1x8xf32>, tensor<1x6x1x8xf32>, tensor<1x4xi32>, tensor<1x4xi32>)
        -> (tensor<1x4x2x8xf32>, tensor<1x4x2xf32>)
    ```
  }];
  let arguments = (ins Kernel_AttentionKind:$kind, Variadic<Kernel_Tensor>:$inputs, DenseI64ArrayAttr:$sizes, Kernel_Accesses:$input_access,
      Kernel_Accesses:$output_access, F64Attr:$scale, OptionalAttr<Kernel_Reduction>:$reduction, OptionalAttr<Kernel_Schedule>:$schedule);
  let results = (outs Variadic<Kernel_Tensor>:$results);
  let assemblyFormat = "$kind $inputs `sizes` custom<SizeList>($sizes) attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def SortOp : Kernel_Op<"sort", [Pure]> {
  let summary = "a counting sort of choices by group";
  let description = [{
    Semantics: graph.sort_by_expert. `sizes = [N, k, experts, segments]`; keys (N, k); results order (N k), token (N k), place (N, k), offsets (experts segments + 1),
    each contiguous; `input_access` and `output_access` have one stride. Buffers: keys, then results. One work item.
    Example: `%o, %t, %p, %f = kernel.sort %i sizes [4, 2, 8, 1] {input_access = […], output_access = […]} : (tensor<4x2xi32>) -> (…)`
  }];
  let arguments = (ins Kernel_Tensor:$keys, DenseI64ArrayAttr:$sizes, Kernel_Accesses:$input_access, Kernel_Accesses:$output_access,
      OptionalAttr<Kernel_Schedule>:$schedule);
  let results = (outs Kernel_Tensor:$order, Kernel_Tensor:$token, Kernel_Tensor:$place, Kernel_Tensor:$offsets);
  let assemblyFormat = "$keys `sizes` custom<SizeList>($sizes) attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Kernel_RowReduceKind : I64EnumAttr<"RowReduceKind", "row reduction", [
    I64EnumAttrCase<"sum", 0>, I64EnumAttrCase<"max", 1>]> { let cppNamespace = "::weft::kernel"; }

def ReduceOp : Kernel_Op<"reduce", [Pure, SameOperandsAndResultType]> {
  let summary = "reduces over the columns of kernel.loops, in the op's virtual lanes";
  let description = "Lanes past the end of the row contribute nothing. Example: `%s = kernel.reduce sum %x : f32`";
  let arguments = (ins Kernel_RowReduceKind:$kind, AnyType:$value);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$kind $value attr-dict `:` type($value)";
}

def IndexOp : Kernel_Op<"index", [Pure]> {
  let summary = "the index along one dimension of the iteration space, plus a constant";
  let description = "Example: `%i = kernel.index 1`";
  let arguments = (ins I64Attr:$dimension);
  let results = (outs I32:$result);
  let assemblyFormat = "$dimension attr-dict";
}

def EmptyOp : Kernel_Op<"empty", [Pure]> {
  let summary = "a tensor of undefined contents, for kernels that each write a part";
  let description = "Example: `%e = kernel.empty : tensor<4x8xf32>`";
  let results = (outs Kernel_Tensor:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def YieldOp : Kernel_Op<"yield", [Pure, Terminator, ParentOneOf<["LoopsOp", "MatmulOp"]>]> {
  let summary = "the values a kernel's region computes";
  let description = "Example: `kernel.yield %y : f32`";
  let arguments = (ins Variadic<AnyType>:$values);
  let builders = [OpBuilder<(ins), [{ (void)$_state; }]>];
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}
#endif
