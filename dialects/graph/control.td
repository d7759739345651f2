// Repetition, differentiation, and the variables that live between calls. Rules in control.cpp.
#ifndef WEFT_GRAPH_CONTROL
#define WEFT_GRAPH_CONTROL
include "dialects/graph/graph_base.td"

def RepeatOp : Graph_Op<"repeat", [AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>, RecursiveMemoryEffects]> {
  let summary = "applies one function for each index of a range, over stacked operands";
  let description = [{
    The body is `(carry…, slices of stacked…, invariant…) -> (carry'…, slice results…)`: equal layers as one function, and micro-batches.
    Iteration i takes slice i (the first dimension) of each stacked operand; i runs over [begin, end), downwards with `reverse`.
    Results: the last carry, then the slice results. Slice result j with `tied[j] = s >= 0` updates slices [begin, end) of stacked
    operand s and has its type; with -1 it is stacked anew, with a first dimension of end - begin.
    With `dynamic` the trip count is known only when the program runs: stacked operands have a first dimension `?`, and this
    repeat covers part `part` of `parts` equal parts of it (begin and end are 0 then; slice results are tied).
    Example:
    ```
    %y = graph.repeat @layer carry(%x) stacked(%w) invariant(%pos) range(0, 6) {tied = array<i64>}
         : (tensor<4x8xf32>, tensor<6x8x8xf32>, tensor<4xi32>) -> tensor<4x8xf32>
    ```
    The frontend and `differentiate` create it; the lowering to the host program turns it into `program.loop`.
  }];
  let arguments = (ins FlatSymbolRefAttr:$body, Variadic<Graph_Tensor>:$carry, Variadic<Graph_Tensor>:$stacked, Variadic<Graph_Tensor>:$invariant,
      I64Attr:$begin, I64Attr:$end, DenseI64ArrayAttr:$tied, UnitAttr:$reverse, UnitAttr:$dynamic,
      DefaultValuedAttr<I64Attr, "0">:$part, DefaultValuedAttr<I64Attr, "1">:$parts);
  let results = (outs Variadic<Graph_Tensor>:$results);
  let assemblyFormat = [{
    $body `carry` `(` $carry `)` `stacked` `(` $stacked `)` `invariant` `(` $invariant `)` `range` `(` $begin `,` $end `)` attr-dict
    `:` functional-type(operands, results)
  }];
  let hasCanonicalizeMethod = 1;
  let extraClassDeclaration = [{
    int64_t tripCount() { return getEnd() - getBegin(); }
    ::mlir::ResultRange carryResults() { return getResults().take_front(getCarry().size()); }
    ::mlir::ResultRange sliceResults() { return getResults().drop_front(getCarry().size()); }
  }];
}

def ValueAndGradOp : Graph_Op<"value_and_grad", [Pure, AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a scalar function's value and its gradient";
  let description = [{
    Calls @function(args…), whose first result is a scalar; gives all its results, then for each index in `wrt` the gradient with respect to
    that argument, added onto `acc` (of the argument's type; for the first of `wrt`, or all) as a continuing chain. With `onto` (of the
    results' types) each result is added onto a value; one that is a column sum continues the chain from there. `differentiate` removes it.
    Example: `%l, %g = graph.value_and_grad @loss(%w, %x) acc(%g0) wrt [0] : (…) -> (tensor<f32>, tensor<8x8xf32>)`
  }];
  let arguments = (ins FlatSymbolRefAttr:$function, Variadic<Graph_Tensor>:$args, Variadic<Graph_Tensor>:$acc, Variadic<Graph_Tensor>:$onto,
      DenseI64ArrayAttr:$wrt);
  let results = (outs Variadic<Graph_Tensor>:$results);
  let assemblyFormat = [{
    $function `(` $args `)` `acc` `(` $acc `)` (`onto` `(` $onto^ `)`)? `wrt` $wrt attr-dict `:` functional-type(operands, results)
  }];
}

def CustomGradientOp : Graph_Op<"custom_gradient", [Pure, AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a function whose gradient is given by hand";
  let description = [{
    Calls @forward(x…, captured…). Its gradient with respect to the `num_differentiated` first arguments, which are floats, is
    @backward(those arguments, the results, the results' adjoints, kept…), a result an argument; the others get none. `differentiate`
    uses @backward where a gradient is wanted, and puts the body of @forward in the op's place.
    Example: `%y = graph.custom_gradient @clip_forward(%x) kept() backward @clip_backward {num_differentiated = 1 : i64} : (…) -> tensor<8xf32>`
  }];
  let arguments = (ins FlatSymbolRefAttr:$forward, FlatSymbolRefAttr:$backward, Variadic<Graph_Tensor>:$args, Variadic<Graph_Tensor>:$kept,
      I64Attr:$num_differentiated);
  let results = (outs Variadic<Graph_Tensor>:$results);
  let assemblyFormat = "$forward `(` $args `)` `kept` `(` $kept `)` `backward` $backward attr-dict `:` functional-type(operands, results)";
}

def Graph_VariableKind : I64EnumAttr<"VariableKind", "what a variable is for", [
    I64EnumAttrCase<"parameter", 0>, I64EnumAttrCase<"optimizer", 1>, I64EnumAttrCase<"cache", 2>, I64EnumAttrCase<"other", 3>,
    I64EnumAttrCase<"derived", 4>]> {
  let cppNamespace = "::weft::graph";
}
def Graph_InitKind : I64EnumAttr<"InitKind", "initialiser", [
    I64EnumAttrCase<"zeros", 0>, I64EnumAttrCase<"ones", 1>, I64EnumAttrCase<"normal", 2>, I64EnumAttrCase<"uniform", 3>, I64EnumAttrCase<"constant", 4>]> {
  let cppNamespace = "::weft::graph";
}

def VariableOp : Graph_Op<"variable", [Symbol]> {
  let summary = "a value that lives between calls of the program's entries";
  let description = [{
    Example: `graph.variable @"layers.norm.weight" : tensor<6x384xf32> {kind = 0 : i64, init = 1 : i64, layers = 6 : i64,
    file_name = "model.layers.{}.norm.weight"}`. layers = 0: not stacked. `layer_begin` is the number of its first layer.
    `decay`: a parameter that weight decay applies to. A `derived` one is made of parameters by the entry @derive (`derive-weights`).
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<Graph_Tensor>:$type, Graph_VariableKind:$kind, Graph_InitKind:$init,
      DefaultValuedAttr<F64Attr, "0.0">:$init_scale, DefaultValuedAttr<I64Attr, "0">:$layers, DefaultValuedAttr<I64Attr, "0">:$layer_begin,
      DefaultValuedAttr<StrAttr, "\"\"">:$file_name, UnitAttr:$decay);
  let assemblyFormat = "$sym_name `:` $type attr-dict";
  let hasVerifier = 1;
}

def ReadOp : Graph_Op<"read", [MemoryEffects<[MemRead]>, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the value of a variable, in an entry function";
  let description = "Example: `%w = graph.read @\"norm.weight\" : tensor<384xf32>`";
  let arguments = (ins FlatSymbolRefAttr:$variable);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$variable attr-dict `:` type($result)";
}
def WriteOp : Graph_Op<"write", [MemoryEffects<[MemWrite]>, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "sets a variable, in an entry function";
  let description = "Reads after it see the new value. Example: `graph.write @\"norm.weight\", %w : tensor<384xf32>`";
  let arguments = (ins FlatSymbolRefAttr:$variable, Graph_Tensor:$value);
  let assemblyFormat = "$variable `,` $value attr-dict `:` type($value)";
}
#endif
