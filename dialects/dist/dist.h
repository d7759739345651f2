// The dist dialect: see dist.td.
#pragma once
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/dist/dist_dialect.h.inc"
#include "dialects/dist/dist_enums.h.inc"
#define GET_OP_CLASSES
#include "dialects/dist/dist_ops.h.inc"
