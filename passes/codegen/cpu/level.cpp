#include "passes/codegen/cpu/level.h"

namespace weft::cpu {

#define WEFT_AVX2 "+sse2,+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt,+movbe,+cx16"

const CpuLevel &avx2Level() {
  static const CpuLevel level{"avx2", WEFT_AVX2, 32, 16};
  return level;
}

const CpuLevel &avx512Level() {
  // Without -prefer-256-bit LLVM would not use the wide registers on its own.
  static const CpuLevel level{
      "avx512", WEFT_AVX2 ",+avx512f,+avx512cd,+avx512bw,+avx512dq,+avx512vl,+evex512,-prefer-256-bit", 64,
      32};
  return level;
}

const CpuLevel *findCpuLevel(llvm::StringRef name) {
  for (const CpuLevel *level : {&avx2Level(), &avx512Level()})
    if (level->name == name) return level;
  return nullptr;
}

} // namespace weft::cpu
