// Weft's passes; see passes.td.
#pragma once
#include "dialects/dist/dist.h"
#include "dialects/graph/graph.h"
#include "dialects/kernel/kernel.h"
#include "dialects/program/program.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Pass/Pass.h"

namespace weft {
// Puts the body of its forward function in the place of each graph.custom_gradient.
void inlineCustomGradients(mlir::ModuleOp module);

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/passes.h.inc"
} // namespace weft
