// The host program: loops, launches with affine addresses, copies, collectives. What the artifact stores, as IR.
#ifndef WEFT_PROGRAM
#define WEFT_PROGRAM
include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Program_Dialect : Dialect {
  let name = "program";
  let cppNamespace = "::weft::program";
  let useDefaultTypePrinterParser = 1;
  let summary = "the host program over planned memory";
  let description = [{
    `lower-to-program` creates it from functions of kernel ops: each value becomes a `program.buffer`, each `graph.repeat` a `program.loop`.
    `plan-memory` gives buffers their offsets. The artifact writer removes it. Verified: no view leaves its buffer in any iteration of the loops around it, and
    sizes agree; canonicalised: copies onto themselves and loops that do nothing go.
  }];
}
def Program_Space : I64EnumAttr<"Space", "where a buffer lives", [
    I64EnumAttrCase<"arena", 0>, I64EnumAttrCase<"persistent", 1>, I64EnumAttrCase<"argument", 2>]> { let cppNamespace = "::weft::program"; }

def Program_Buffer : TypeDef<Program_Dialect, "Buffer"> { let mnemonic = "buffer"; let summary = "bytes at a planned place"; }

class Program_Op<string mnemonic, list<Trait> traits = []> : Op<Program_Dialect, mnemonic, traits>;

def EntryOp : Program_Op<"entry", [Symbol, IsolatedFromAbove, NoTerminator, SingleBlock]> {
  let summary = "one entry point of a stage's program";
  let description = "Example: `program.entry @train_step {arena_bytes = 4096 : i64, stage = 0 : i64} { … }`. `arguments`: a list of dictionaries, the artifact's Argument table.";
  let arguments = (ins SymbolNameAttr:$sym_name, ArrayAttr:$arguments, DefaultValuedAttr<I64Attr, "0">:$arena_bytes, DefaultValuedAttr<I64Attr, "0">:$stage);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name attr-dict-with-keyword $body";
  let hasVerifier = 1;
}
def BufferOp : Program_Op<"buffer", [Pure]> {
  let summary = "a buffer: `bytes` at `offset` of a space";
  let description = "offset -1: not planned yet. Example: `%b = program.buffer arena bytes 1024 offset 0`";
  let arguments = (ins Program_Space:$space, I64Attr:$bytes, I64Attr:$offset, DefaultValuedAttr<I64Attr, "0">:$index);
  let results = (outs Program_Buffer:$result);
  let assemblyFormat = "$space `bytes` $bytes `offset` $offset attr-dict";
  let hasVerifier = 1;
}
def ViewOp : Program_Op<"view", [Pure]> {
  let summary = "part of a buffer: `bytes` at offset + Σ strides[i] * iteration of the i-th enclosing loop (outermost first)";
  let description = "Example: `%v = program.view %b offset 64 bytes 64 strides [128]`";
  let arguments = (ins Program_Buffer:$source, I64Attr:$offset, I64Attr:$bytes, DenseI64ArrayAttr:$strides);
  let results = (outs Program_Buffer:$result);
  let assemblyFormat = "$source `offset` $offset `bytes` $bytes `strides` $strides attr-dict";
  let hasVerifier = 1;
}
def LoopOp : Program_Op<"loop", [NoTerminator, SingleBlock]> {
  let summary = "runs its body for [begin, end), downwards with `reverse`; or for part `part` of `parts` of a count known when it runs";
  let description = "`count_argument` >= 0: the entry's argument that holds the trip count (i64). Example: `program.loop 0 to 6 { … }`";
  let arguments = (ins I64Attr:$begin, I64Attr:$end, UnitAttr:$reverse, DefaultValuedAttr<I64Attr, "-1">:$count_argument,
      DefaultValuedAttr<I64Attr, "0">:$part, DefaultValuedAttr<I64Attr, "1">:$parts);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$begin `to` $end attr-dict-with-keyword $body";
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}
def LaunchOp : Program_Op<"launch"> {
  let summary = "one kernel over work items [0, items)";
  let description = [{Example: `program.launch @k3 (%a, %b) sizes [4096, 384] items 4096`. A thread takes `piece` items at a time, at the least, where its share has as many: a call of the kernel for fewer is not worth what each call does first, as packing.}];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<Program_Buffer>:$buffers, DenseI64ArrayAttr:$sizes, I64Attr:$items,
      DefaultValuedAttr<I64Attr, "1">:$piece, DefaultValuedAttr<I64Attr, "0">:$flops, DefaultValuedAttr<I64Attr, "0">:$bytes,
      DefaultValuedAttr<I64Attr, "0">:$vector_ops);
  let assemblyFormat = "$kernel `(` $buffers `)` `sizes` $sizes `items` $items attr-dict";
  let hasVerifier = 1;
}
def CopyOp : Program_Op<"copy"> {
  let summary = "copies a buffer into another of the same size";
  let description = "Example: `program.copy %a to %b`";
  let arguments = (ins Program_Buffer:$from, Program_Buffer:$to);
  let assemblyFormat = "$from `to` $to attr-dict";
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}
def ZeroOp : Program_Op<"zero"> {
  let summary = "fills a buffer with zero bytes";
  let description = "Example: `program.zero %a`";
  let arguments = (ins Program_Buffer:$buffer);
  let assemblyFormat = "$buffer attr-dict";
}
def AllReduceOp : Program_Op<"all_reduce"> {
  let summary = "dist.all_reduce in place";
  let description = "Example: `program.all_reduce %a elements 64 dtype 0 axis 0`; dtype and axis as in the artifact's schema";
  let arguments = (ins Program_Buffer:$buffer, I64Attr:$elements, I64Attr:$dtype, I64Attr:$axis);
  let assemblyFormat = "$buffer `elements` $elements `dtype` $dtype `axis` $axis attr-dict";
  let hasVerifier = 1;
}
def SendOp : Program_Op<"send"> {
  let summary = "dist.send";
  let description = "Example: `program.send %a axis 1 peer 1 tag 0`";
  let arguments = (ins Program_Buffer:$buffer, I64Attr:$axis, I64Attr:$peer, I64Attr:$tag);
  let assemblyFormat = "$buffer `axis` $axis `peer` $peer `tag` $tag attr-dict";
  let hasVerifier = 1;
}
def ReceiveOp : Program_Op<"receive"> {
  let summary = "dist.receive";
  let description = "Example: `program.receive %a axis 1 peer 0 tag 0`";
  let arguments = (ins Program_Buffer:$buffer, I64Attr:$axis, I64Attr:$peer, I64Attr:$tag);
  let assemblyFormat = "$buffer `axis` $axis `peer` $peer `tag` $tag attr-dict";
  let hasVerifier = 1;
}
def KernelOp : Program_Op<"kernel", [Symbol, IsolatedFromAbove, NoTerminator, SingleBlock]> {
  let summary = "an outlined kernel: one kernel op whose sizes and strides are arguments; of equal content there is one";
  let description = "The body holds the kernel op, on operands that are block arguments. Example: `program.kernel @k3 num_sizes 8 { … }`";
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$num_sizes);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name `num_sizes` $num_sizes attr-dict-with-keyword $body";
  let hasVerifier = 1;
}
#endif
