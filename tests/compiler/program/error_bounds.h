// Errors of compiled operators against the interpreter in f64, in the unit that suits each.
#pragma once
#include "tests/compiler/program/harness.h"

namespace weft::testing {

// What an error is a multiple of.
enum class Unit {
  ulp,     // the last place of f32 at the exact result
  bf16Ulp, // the last place of bf16 there
  result,  // the exact result
  terms,   // the sum of the absolute values of what is added, so that cancellation does not count
  largest, // the largest element of the exact result
};

// An operator, what it runs on, and how far off it may be.
struct ErrorBound {
  std::string name; // starts with the operator's
  std::string body; // makes %r of operands %0, %1, …; may name their types $0, $1, … and its own, $r
  Tensors operands;
  std::vector<int64_t> shape; // of %r, in f32
  double bound;
  Unit unit = Unit::ulp;
  std::vector<int> summed = {}; // Unit::terms: the operands that the terms are linear in
  std::string functions = "";   // what the body calls; may name types $0, $1, … too
};

// Compiles and runs each row, prints what it measures, and expects it to be within the bound. `bf16Unit`: the
// dot unit of products in bf16, to which the interpreter's are not rounded; "": everything is f32.
void checkErrorBounds(const std::vector<ErrorBound> &rows, const std::string &bf16Unit = "");

} // namespace weft::testing
