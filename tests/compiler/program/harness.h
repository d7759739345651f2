// Compiles whole programs and runs them as a user's are run: text of graph ops through every phase, kernels
// for each CPU level, the artifact's bytes through the reader's checks, and the executor; held against the
// reference interpreter on the same text. Compiles add up: a test compiles all its programs in one module.
#pragma once
#include "tests/compiler/op_programs.h"
#include <map>
#include <string>
#include <vector>

namespace weft::testing {

// An entry function and what it runs on. Arguments and results without a weft.name are given one.
struct EntryCase {
  std::string what;  // for messages
  std::string text;  // the entry, what it calls, and its variables
  Tensors args;      // f32, i32, i64, i1
  Tensors variables; // what they hold before, in the order of `text`
  std::string entry = "f";
};

// Numbers in [low, high), as f32 holds them.
HostTensor real(llvm::ArrayRef<int64_t> shape, uint32_t seed, double low = -1, double high = 1);

// Runs every case on all CPU levels this machine has, on one thread and on three, and expects:
//   each result, and each variable afterwards, near the interpreter's in f64 (floats: to 1e-6 relative and
//   a few times what rounding inputs and every op's result to f32 does to the interpreter; integers: equal);
//   equal bytes on every level and number of threads, whatever the arena held before;
//   inputs, and what lies around the outputs, as they were.
// `slack`: how many times as far as rounding moves the interpreter results may be off.
void checkPrograms(const std::vector<EntryCase> &cases, double slack = 8);

// The same where whatever can be is computed in blocks of 32 rows (tile-rows); expects the bits of programs
// where nothing is.
void checkTiledPrograms(const std::vector<EntryCase> &cases, double slack = 8);

// What compiled code gives for a case on the machine's best level, and the interpreter in f64.
struct Computed {
  Tensors got, want;
};
// Of each case, for errors to be measured; empty, with a failure added, where one does not compile or run.
// `bf16Unit`: the dot unit of products in bf16, which the interpreter leaves exact; "": everything is f32.
std::vector<Computed> computePrograms(const std::vector<EntryCase> &cases, const std::string &bf16Unit = "");

// The same program in f32, which has code for every function; `text` and arguments.
Program inF32(Program program);

} // namespace weft::testing
