// Operators that make values from nothing or move them without arithmetic. Rules in shape.cpp.
#ifndef WEFT_GRAPH_SHAPE
#define WEFT_GRAPH_SHAPE
include "dialects/graph/graph_base.td"

def ConstantOp : Graph_PureOp<"constant", [ConstantLike]> {
  let summary = "a constant: a splat, or one value per position for small per-layer tables";
  let description = "Weights never go here. Example: `%c = graph.constant dense<1.0> : tensor<4xf32>`";
  let arguments = (ins ElementsAttr:$value);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
}

def IotaOp : Graph_PureOp<"iota"> {
  let summary = "0, 1, 2, … along one axis";
  let description = "Example: `%i = graph.iota tensor<2x8xi32> axis = 1`";
  let arguments = (ins TypeAttr:$type, I64Attr:$axis);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$type `axis` `=` $axis attr-dict";
  let hasVerifier = 1;
}

def BroadcastOp : Graph_PureOp<"broadcast"> {
  let summary = "repeats a tensor along new or unit dimensions";
  let description = [{
    Input dimension i becomes output dimension `dims[i]`; it is 1 or equal there. `dims` ascends.
    Example: `%y = graph.broadcast %w dims = [2] shape = [2, 4, 8] : tensor<8xf32>`
  }];
  let arguments = (ins Graph_Tensor:$x, DenseI64ArrayAttr:$dims, DenseI64ArrayAttr:$shape);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$x `dims` `=` $dims `shape` `=` $shape attr-dict `:` type($x)";
  let hasFolder = 1;
}

def ReshapeOp : Graph_PureOp<"reshape"> {
  let summary = "the same elements, row-major, in another shape; never moves data";
  let description = "Example: `%y = graph.reshape %x shape = [8, 4] : tensor<2x4x4xf32>`";
  let arguments = (ins Graph_Tensor:$x, DenseI64ArrayAttr:$shape);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$x `shape` `=` $shape attr-dict `:` type($x)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def TransposeOp : Graph_PureOp<"transpose"> {
  let summary = "permutes dimensions: output dimension i is input dimension permutation[i]";
  let description = "Example: `%y = graph.transpose %x permutation = [1, 0] : tensor<2x4xf32>`";
  let arguments = (ins Graph_Tensor:$x, DenseI64ArrayAttr:$permutation);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$x `permutation` `=` $permutation attr-dict `:` type($x)";
  let hasFolder = 1;
}

def SliceOp : Graph_PureOp<"slice"> {
  let summary = "the box [offsets, offsets + sizes)";
  let description = "Example: `%y = graph.slice %x offsets = [0, 4] sizes = [2, 4] : tensor<2x8xf32>`";
  let arguments = (ins Graph_Tensor:$x, DenseI64ArrayAttr:$offsets, DenseI64ArrayAttr:$sizes);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$x `offsets` `=` $offsets `sizes` `=` $sizes attr-dict `:` type($x)";
  let hasFolder = 1;
}

def PadOp : Graph_PureOp<"pad"> {
  let summary = "zeros around a tensor: the inverse of slice";
  let description = "`low[i]` zeros before and `high[i]` after. Example: `%y = graph.pad %x low = [0, 4] high = [0, 0] : tensor<2x4xf32>`";
  let arguments = (ins Graph_Tensor:$x, DenseI64ArrayAttr:$low, DenseI64ArrayAttr:$high);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$x `low` `=` $low `high` `=` $high attr-dict `:` type($x)";
}

def ConcatOp : Graph_PureOp<"concat"> {
  let summary = "joins tensors along an axis";
  let description = "Example: `%y = graph.concat %a, %b axis = 1 : tensor<2x4xf32>, tensor<2x3xf32>`";
  let arguments = (ins Variadic<Graph_Tensor>:$inputs, I64Attr:$axis);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$inputs `axis` `=` $axis attr-dict `:` type($inputs)";
}
#endif
