// Collectives between the ranks of a mesh: axis "data" (0) and "pipeline" (1).
#ifndef WEFT_DIST
#define WEFT_DIST
include "mlir/IR/OpBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"

def Dist_Dialect : Dialect {
  let name = "dist";
  let cppNamespace = "::weft::dist";
  let summary = "collectives between ranks, as ops of the program";
  let description = "Every rank of a stage runs the same program; these ops are where ranks meet, in program order. Nothing is canonicalised: what one rank leaves out another waits for.";
}
def Dist_Axis : I64EnumAttr<"Axis", "mesh axis", [I64EnumAttrCase<"data", 0>, I64EnumAttrCase<"pipeline", 1>]> { let cppNamespace = "::weft::dist"; }
def Dist_Tensor : RankedTensorOf<[F32, F64, I32, I64]>;
class Dist_Op<string mnemonic, list<Trait> traits = []> : Op<Dist_Dialect, mnemonic, traits>;

def AllReduceOp : Dist_Op<"all_reduce", [SameOperandsAndResultType]> {
  let summary = "sum over the ranks of an axis, in a fixed balanced binary tree over rank order";
  let description = [{
    Not a power of two: split at the largest power of two below. The same bits on every rank.
    Example: `%s = dist.all_reduce data %g : tensor<8x8xf32>`
  }];
  let arguments = (ins Dist_Axis:$axis, Dist_Tensor:$value);
  let results = (outs Dist_Tensor:$result);
  let assemblyFormat = "$axis $value attr-dict `:` type($value)";
}
def SendOp : Dist_Op<"send"> {
  let summary = "sends a tensor to the rank at position `peer` of an axis; matched by tag, in program order";
  let description = "Example: `dist.send pipeline %x peer 1 tag 0 : tensor<4x8xf32>`";
  let arguments = (ins Dist_Axis:$axis, Dist_Tensor:$value, I64Attr:$peer, I64Attr:$tag);
  let assemblyFormat = "$axis $value `peer` $peer `tag` $tag attr-dict `:` type($value)";
  let hasVerifier = 1;
}
def ReceiveOp : Dist_Op<"receive"> {
  let summary = "receives what the rank at position `peer` sent with this tag";
  let description = "Example: `%x = dist.receive pipeline peer 0 tag 0 : tensor<4x8xf32>`";
  let arguments = (ins Dist_Axis:$axis, I64Attr:$peer, I64Attr:$tag);
  let results = (outs Dist_Tensor:$result);
  let assemblyFormat = "$axis `peer` $peer `tag` $tag attr-dict `:` type($result)";
  let hasVerifier = 1;
}
#endif
