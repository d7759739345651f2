// The signature of InferTypeOpInterface's method, once.
#pragma once
#define WEFT_INFER(Op)                                                                                       \
  mlir::LogicalResult Op::inferReturnTypes(mlir::MLIRContext *ctx, std::optional<mlir::Location> loc,        \
                                           mlir::ValueRange operands, mlir::DictionaryAttr attributes,       \
                                           mlir::OpaqueProperties properties, mlir::RegionRange regions,     \
                                           llvm::SmallVectorImpl<mlir::Type> &types)
#define WEFT_GRADIENT(Op) mlir::LogicalResult Op::gradient(GradientBuilder &g)
