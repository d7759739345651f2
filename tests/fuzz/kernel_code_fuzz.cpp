// What `weft inspect --source` and `weft compile --substitute-kernel` read of machine code: ELF objects and
// instructions.
#include "compiler/kernels/assemble.h"
#include "compiler/kernels/disassemble.h"
#include "compiler/kernels/kernel_file.h"
#include "tests/fuzz/fuzz_target.h"

namespace weft::fuzz {

std::vector<std::string> Seeds() {
  const char *texts[] = {R"(
    .text
    .globl kernel
    .type kernel,@function
kernel:
    testq %rcx, %rcx
    jle .Lend
    vbroadcastss .Lone(%rip), %ymm0
.Lloop:
    vfmadd231ps (%rdi), %ymm0, %ymm1
    vmovups %ymm1, 32(%rsp)
    addq $32, %rdi
    decq %rcx
    jne .Lloop
.Lend:
    vzeroupper
    retq
    .size kernel, .-kernel
    .section .rodata
.Lone:
    .long 0x3f800000
)",
                         R"(
    .globl other
    .globl kernel
    .type kernel,@function
kernel:
    callq other@PLT
    vmovdqa64 %zmm2, %zmm3{%k1}{z}
    jmp kernel
    .size kernel, .-kernel
)"};
  std::vector<std::string> seeds;
  for (const char *text : texts) {
    auto object = assemble(text, "seed.s", cpu::avx512Level());
    Require(bool(object), "a seed assembles");
    seeds.push_back(*object);
  }
  return seeds;
}

std::vector<std::string> Words() {
  return {"kernel", ".text", ".symtab", ".init_array", std::string("\x62\xf1", 2)};
}

} // namespace weft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace weft;
  llvm::StringRef bytes(reinterpret_cast<const char *>(data), size);
  fuzz::Outcome(kernelObjectProblem(bytes, "kernel"));
  auto code = disassemble(bytes, "kernel", /*lines=*/false);
  if (!code) {
    fuzz::Outcome(llvm::toString(code.takeError()));
    return 0;
  }
  for (const CodeLoop &loop : code->loops) {
    fuzz::Require(loop.first <= loop.last && loop.last < code->instructions.size(),
                  "a loop is of instructions");
    mixOf(*code, loop.first, loop.last);
  }
  fuzz::Require(sameCode(*code, *code), "code is the same as itself");
  return 0;
}
