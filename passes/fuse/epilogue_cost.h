// Where elementwise code that reads a product is computed: behind it, or by a kernel of its own.
#pragma once
#include "passes/fuse/product_epilogue.h"

namespace weft {

// Of `root`. `alone`: its code behind the product; `before` and `with`: that of all that the product's kernel
// computes without it and with it (before: null for nothing). `read`: what of the product's kernel it would
// read apart; `stored` of that lies in memory for others in any case.
//
// A product asks for less at once than a kernel that streams: behind it, what comes from memory costs what
// one thread's share of it does, and what comes from the last level hides behind the arithmetic. A kernel of
// its own reads the product as well, and takes the longer of arithmetic and bytes
// (docs/decisions/2026-11-26-epilogues-of-products.md has the measurements).
EpilogueCost epilogueCost(const ProductEpilogue &alone, const ProductEpilogue *before,
                          const ProductEpilogue &with, mlir::Value root, llvm::ArrayRef<mlir::Value> read,
                          llvm::ArrayRef<mlir::Value> stored, const FusionMachine &machine);

} // namespace weft
