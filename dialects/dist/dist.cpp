#include "dialects/dist/dist.h"

#include "dialects/dist/dist_dialect.cpp.inc"
#include "dialects/dist/dist_enums.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/dist/dist_ops.cpp.inc"

void weft::dist::DistDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/dist/dist_ops.cpp.inc"
      >();
}
