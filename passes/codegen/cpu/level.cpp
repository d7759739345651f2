#include "passes/codegen/cpu/level.h"

namespace weft::cpu {

#define WEFT_AVX2 "+sse2,+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt,+movbe,+cx16,+prfchw"

// Without -prefer-256-bit LLVM would not use the wide registers on its own.
#define WEFT_AVX512 WEFT_AVX2 ",+avx512f,+avx512cd,+avx512bw,+avx512dq,+avx512vl,+evex512,-prefer-256-bit"

const CpuLevel &avx2Level() {
  static const CpuLevel level{"avx2", WEFT_AVX2, 32, 16, false, false};
  return level;
}
const CpuLevel &avx512Level() {
  static const CpuLevel level{"avx512", WEFT_AVX512, 64, 32, false, false};
  return level;
}
const CpuLevel &avx512Bf16Level() {
  static const CpuLevel level{"avx512bf16", WEFT_AVX512 ",+avx512bf16", 64, 32, true, false};
  return level;
}
const CpuLevel &amxLevel() {
  static const CpuLevel level{"amx", WEFT_AVX512 ",+avx512bf16,+amx-tile,+amx-bf16", 64, 32, true, true};
  return level;
}

llvm::ArrayRef<const CpuLevel *> cpuLevels() {
  static const CpuLevel *const levels[] = {&avx2Level(), &avx512Level(), &avx512Bf16Level(), &amxLevel()};
  return levels;
}

const CpuLevel *findCpuLevel(llvm::StringRef name) {
  for (const CpuLevel *level : cpuLevels())
    if (level->name == name) return level;
  return nullptr;
}

} // namespace weft::cpu
