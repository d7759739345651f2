// weft-opt: like mlir-opt, with every pass of Weft's.
#include "compiler/pipeline.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "passes/passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  weft::registerDialects(registry);
  mlir::registerCanonicalizer();
  mlir::registerCSE();
  mlir::registerSymbolDCE();
  weft::registerWeftPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "Weft's passes\n", registry));
}
