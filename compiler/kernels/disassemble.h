// The machine code of one kernel of an ELF object: instructions, loops, and what the instructions are.
#pragma once
#include "passes/codegen/cpu/level.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace weft {

struct Instruction {
  uint64_t offset = 0; // bytes from the function's start
  uint32_t size = 0;
  std::string mnemonic, operands; // Intel's syntax
  std::string constant;           // what a read relative to the instruction finds: "1.4427 ×16"; "" for none
  int64_t target = -1;            // offset that it may jump to within the function
  uint32_t line = 0;              // of the kernel's text (the object's line table); 0 for none
  bool load = false, store = false, ends = false; // ends: nothing falls through
};

// A jump back and what it repeats: instructions [first, last].
struct CodeLoop {
  size_t first = 0, last = 0;
  bool innermost = true;
  int64_t fmas = 0; // multiply-adds and dot products of vectors among its instructions
};

// Instructions by kind; a vector one counts under what it computes.
struct InstructionMix {
  int64_t all = 0;
  std::map<std::string, int64_t> kinds; // "fma", "vector arithmetic", "load", "store", "spill", "reload", …
};

struct Disassembly {
  std::vector<Instruction> instructions;
  std::vector<CodeLoop> loops; // by where they start
  int64_t hot = -1; // the innermost loop with the most multiply-adds, else the longest with vector code
};

// `symbol` of an ELF object, shared or relocatable, compiled for x86-64, or the function that several kernels
// share if it is a jump to that (passes/codegen/cpu/share_code.h); with `lines`, the line of each instruction
// from the object's line table. Errors: no such function, or bytes that are no instructions.
llvm::Expected<Disassembly> disassemble(llvm::StringRef image, llvm::StringRef symbol, bool lines);

// Of instructions [first, last].
InstructionMix mixOf(const Disassembly &code, size_t first, size_t last);

// Whether two pieces of code are the same instructions on the same constants, wherever they lie.
bool sameCode(const Disassembly &a, const Disassembly &b);

} // namespace weft
