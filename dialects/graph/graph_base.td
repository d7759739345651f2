// Shared definitions of the graph dialect: the dialect, its types and op classes.
#ifndef WEFT_GRAPH_BASE
#define WEFT_GRAPH_BASE
include "mlir/IR/OpBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/graph/graph_interfaces.td"

def Graph_Dialect : Dialect {
  let name = "graph";
  let cppNamespace = "::weft::graph";
  let hasConstantMaterializer = 1;
  let summary = "tensors and their operators, as the model's author wrote them";
  let description = [{
    Value semantics on ranked tensors of f32, f64, bf16, i32, i64 and i1. Operators do not broadcast silently: `graph.broadcast` says it.
    bf16 is a type to keep values in and to multiply: casts, views, products and attention take it, arithmetic does not.
    Functions are `func.func`; equal layers are one function that `graph.repeat` applies over stacked parameters.
    The frontend creates this dialect; `differentiate` removes `graph.value_and_grad`; `fuse-kernels` turns what computes
    into kernel ops, and leaves `reshape`, `repeat`, `read` and `write` for the lowering to the host program.
  }];
}

def Graph_Float : TypeOrContainer<AnyTypeOf<[F32, F64]>, "f32 or f64 tensor">;
def Graph_Element : AnyTypeOf<[F32, F64, BF16, I1, I32, I64]>;
def Graph_Tensor : RankedTensorOf<[F32, F64, BF16, I1, I32, I64]>;
def Graph_Number : RankedTensorOf<[F32, F64, I1, I32, I64]>; // what arithmetic takes
def Graph_Factor : RankedTensorOf<[F32, F64, BF16]>; // what dot units take
def Graph_FloatTensor : RankedTensorOf<[F32, F64]>;
def Graph_IntTensor : RankedTensorOf<[I32, I64]>;
def Graph_BoolTensor : RankedTensorOf<[I1]>;

class Graph_Op<string mnemonic, list<Trait> traits = []> : Op<Graph_Dialect, mnemonic, traits>;

// A pure operator whose result types follow from operands and attributes: can be evaluated, and (unless it says not) differentiated.
class Graph_PureOp<string mnemonic, list<Trait> traits = []>
    : Graph_Op<mnemonic, !listconcat([Pure, DeclareOpInterfaceMethods<InferTypeOpInterface>,
        DeclareOpInterfaceMethods<EvaluateInterface>, DeclareOpInterfaceMethods<DifferentiateInterface>], traits)>;
#endif
