// Choices whether a value is computed behind a product, named: given to the pass, and told by it.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/fuse/clusters.h"

namespace weft {

// "layer:12:15": the value that op 15 of function layer gives, behind the product that op 12 is. Ops are
// counted as they are when fusing begins. Errors name what is no such pair.
mlir::FailureOr<FusionChoices> readFusionChoices(mlir::ModuleOp module, llvm::ArrayRef<std::string> behind,
                                                 llvm::ArrayRef<std::string> apart);

// The choices of a function's products, a dictionary each: `product` ("layer:12") and `value` (15), whether
// it is computed `behind`, what the model says of both ways (`behind_ns`, `apart_ns`), `where`; `what` the
// two are, and `function`, a hash of all its ops (128 bits): two functions of one hash have the same kernels.
// Before kernels take the ops' place.
llvm::SmallVector<mlir::Attribute> listFusionChoices(mlir::func::FuncOp function, const Clusters &clusters);

} // namespace weft
