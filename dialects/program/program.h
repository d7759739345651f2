// The program dialect: see program.td.
#pragma once
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/program/program_dialect.h.inc"
#include "dialects/program/program_enums.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/program/program_types.h.inc"
#define GET_OP_CLASSES
#include "dialects/program/program_ops.h.inc"
