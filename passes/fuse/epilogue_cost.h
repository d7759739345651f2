// Where elementwise code that reads a product is computed: behind it, or by a kernel of its own.
#pragma once
#include "passes/fuse/product_epilogue.h"

namespace weft {

// What the product's kernel computes, and its operands.
struct EpilogueCode {
  double instructions = 0; // of a point
  double bytes = 0;        // that it reads beside the product, of all points

  EpilogueCode() = default;
  EpilogueCode(const ProductEpilogue &epilogue, double points);
};

// Of a value of so many points and bytes. `alone`: its code in a kernel of its own, which reads `given` bytes
// of what the product's kernel makes, the product among it; of them `spared` need not be stored when it is
// computed there. `before` and `with`: what the product's kernel computes without it and with it.
//
// Behind a product the bytes that come from memory cost more than in code that streams, and those of the last
// level hide behind the arithmetic. A kernel of its own takes the longer of arithmetic and bytes. That it may
// share bytes with others is left out
// (docs/decisions/2026-11-26-epilogues-of-products.md has the measurements).
struct EpilogueChoice {
  double points = 0, result = 0, given = 0, spared = 0;
  EpilogueCode alone, before, with;
};
EpilogueCost epilogueCost(const EpilogueChoice &choice, const FusionMachine &machine);

// Of what `points` points read or write of a tensor.
double bytesOf(mlir::Value v, double points);

} // namespace weft
