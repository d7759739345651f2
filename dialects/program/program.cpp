#include "dialects/program/program.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "dialects/program/program_dialect.cpp.inc"
#include "dialects/program/program_enums.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/program/program_types.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/program/program_ops.cpp.inc"

void weft::program::ProgramDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/program/program_types.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/program/program_ops.cpp.inc"
      >();
}
