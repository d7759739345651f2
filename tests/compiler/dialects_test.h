// What tests of whole programs derive from: a context with every dialect of the compiler, loaded.
#pragma once
#include "compiler/pipeline.h"
#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

namespace weft {

class DialectsTest : public ::testing::Test {
protected:
  DialectsTest() : context(registered(), mlir::MLIRContext::Threading::DISABLED) {
    context.loadAllAvailableDialects();
  }

  static mlir::DialectRegistry registered() {
    mlir::DialectRegistry registry;
    registerDialects(registry);
    return registry;
  }

  mlir::MLIRContext context;
};

} // namespace weft
