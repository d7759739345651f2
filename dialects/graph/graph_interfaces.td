// What every operator of the graph dialect can say about itself, beside its shape.
#ifndef WEFT_GRAPH_INTERFACES
#define WEFT_GRAPH_INTERFACES
include "mlir/IR/OpBase.td"

def EvaluateInterface : OpInterface<"EvaluateInterface"> {
  let cppNamespace = "::weft::graph";
  let description = [{
    Reference evaluation, in plain C++ on doubles: slow and obvious. It shares no arithmetic with the generated kernels.
  }];
  let methods = [InterfaceMethod<
    "computes the results from the operands' values; shapes of `results` are set to the result types'",
    "::mlir::LogicalResult", "evaluate",
    (ins "::llvm::ArrayRef<const ::weft::graph::HostTensor *>":$operands,
         "::llvm::MutableArrayRef<::weft::graph::HostTensor>":$results)>];
}

def DifferentiateInterface : OpInterface<"DifferentiateInterface"> {
  let cppNamespace = "::weft::graph";
  let description = [{
    Reverse-mode rule: reads the adjoints of the results from `g`, adds to those of the operands. A rule names the forward
    values it needs with g.needed(value), so that the residuals can be chosen by whoever differentiates.
  }];
  let methods = [InterfaceMethod<
    "adds this op's contribution to the adjoints of its operands",
    "::mlir::LogicalResult", "gradient", (ins "::weft::graph::GradientBuilder &":$g)>];
}
#endif
