// Elementwise operators: equal shapes in and out. rule in elementwise.cpp.
#ifndef WEFT_GRAPH_ELEMENTWISE
#define WEFT_GRAPH_ELEMENTWISE
include "dialects/graph/graph_base.td"

class Graph_UnaryOp<string mnemonic, string what, list<Trait> traits = []>
    : Graph_PureOp<mnemonic, !listconcat([Elementwise, SameOperandsAndResultShape], traits)> {
  let summary = what # ", elementwise";
  let description = "Example: `%y = graph." # mnemonic # " %x : tensor<4x8xf32>`";
  let arguments = (ins Graph_FloatTensor:$x);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x)";
}
def NegOp : Graph_UnaryOp<"neg", "-x">;
def ExpOp : Graph_UnaryOp<"exp", "e^x">;
def LogOp : Graph_UnaryOp<"log", "natural logarithm">;
def SqrtOp : Graph_UnaryOp<"sqrt", "square root">;
def RsqrtOp : Graph_UnaryOp<"rsqrt", "1 / sqrt(x), by division: no estimate instruction">;
def TanhOp : Graph_UnaryOp<"tanh", "hyperbolic tangent">;
def SigmoidOp : Graph_UnaryOp<"sigmoid", "1 / (1 + e^-x)">;
def SinOp : Graph_UnaryOp<"sin", "sine of radians">;
def CosOp : Graph_UnaryOp<"cos", "cosine of radians">;
def AbsOp : Graph_UnaryOp<"abs", "absolute value">;

class Graph_BinaryOp<string mnemonic, string what, list<Trait> traits = []>
    : Graph_PureOp<mnemonic, !listconcat([Elementwise, SameOperandsAndResultShape, SameTypeOperands], traits)> {
  let summary = what # ", elementwise";
  let description = "Both operands have the same type. Example: `%y = graph." # mnemonic # " %a, %b : tensor<4x8xf32>`";
  let arguments = (ins Graph_Number:$lhs, Graph_Number:$rhs);
  let results = (outs Graph_Number:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($lhs)";
}
def AddOp : Graph_BinaryOp<"add", "a + b", [Commutative]> { let hasFolder = 1; }
def SubOp : Graph_BinaryOp<"sub", "a - b">;
def MulOp : Graph_BinaryOp<"mul", "a * b", [Commutative]> { let hasFolder = 1; }
def DivOp : Graph_BinaryOp<"div", "a / b (floats)">;
def MaxOp : Graph_BinaryOp<"max", "larger of a and b", [Commutative]>;
def MinOp : Graph_BinaryOp<"min", "smaller of a and b", [Commutative]>;
def PowOp : Graph_BinaryOp<"pow", "a^b for a > 0, as exp(b log a)">;
def AndOp : Graph_BinaryOp<"and", "logical and of i1", [Commutative]>;
def OrOp : Graph_BinaryOp<"or", "logical or of i1", [Commutative]>;

def Graph_Predicate : I64EnumAttr<"Predicate", "comparison", [
    I64EnumAttrCase<"eq", 0>, I64EnumAttrCase<"ne", 1>, I64EnumAttrCase<"lt", 2>,
    I64EnumAttrCase<"le", 3>, I64EnumAttrCase<"gt", 4>, I64EnumAttrCase<"ge", 5>]> {
  let cppNamespace = "::weft::graph";
}

def CompareOp : Graph_PureOp<"compare", [Elementwise, SameOperandsAndResultShape, SameTypeOperands]> {
  let summary = "compares two tensors of one type; ordered for floats (NaN compares false, and `ne` true)";
  let description = "Example: `%m = graph.compare lt %a, %b : tensor<4xi32>`";
  let arguments = (ins Graph_Predicate:$predicate, Graph_Number:$lhs, Graph_Number:$rhs);
  let results = (outs Graph_BoolTensor:$result);
  let assemblyFormat = "$predicate $lhs `,` $rhs attr-dict `:` type($lhs)";
}

def SelectOp : Graph_PureOp<"select", [Elementwise, SameOperandsAndResultShape, AllTypesMatch<["on_true", "on_false"]>]> {
  let summary = "on_true where the condition holds, else on_false";
  let description = "Example: `%y = graph.select %m, %a, %b : tensor<4xi1>, tensor<4xf32>`";
  let arguments = (ins Graph_BoolTensor:$condition, Graph_Number:$on_true, Graph_Number:$on_false);
  let results = (outs Graph_Number:$result);
  let assemblyFormat = "$condition `,` $on_true `,` $on_false attr-dict `:` type($condition) `,` type($on_true)";
}

def CastOp : Graph_PureOp<"cast", [Elementwise, SameOperandsAndResultShape]> {
  let summary = "converts the element type; float to integer truncates towards zero";
  let description = "To bf16 it rounds to nearest even. Fusing never moves a cast. Its gradient is the identity: the adjoint of a bf16 value is f32. Example: `%y = graph.cast %x to f32 : tensor<4xi32>`";
  let arguments = (ins Graph_Tensor:$x, TypeAttr:$element);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$x `to` $element attr-dict `:` type($x)";
  let hasFolder = 1;
}

def StopGradientOp : Graph_PureOp<"stop_gradient", [SameOperandsAndResultType]> {
  let summary = "the identity, with a gradient of zero";
  let description = "`differentiate` removes it. Example: `%y = graph.stop_gradient %x : tensor<4xf32>`";
  let arguments = (ins Graph_Tensor:$x);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x)";
}
#endif
