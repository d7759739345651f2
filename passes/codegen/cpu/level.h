// The CPU levels code is generated for. Features alone name a level, never a processor's name:
// getHostCPUName() is wrong on some virtual machines.
#pragma once
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>

namespace weft::cpu {

struct CpuLevel {
  llvm::StringRef name;     // as in the artifact: "avx2", "avx512", "avx512bf16", "amx"
  llvm::StringRef features; // LLVM's feature string
  int64_t vectorBytes;      // of one register
  int64_t vectorRegisters;
  bool bf16; // VDPBF16PS and VCVTNEPS2BF16
  bool amx;  // TDPBF16PS

  // Registers that one vector<16 x f32> takes: every kernel is emitted in 16 lanes and LLVM splits them, so
  // both levels give the same bits.
  int64_t registersPerLanes() const { return 64 / vectorBytes; }
};

const CpuLevel &avx2Level();   // AVX2, FMA, F16C, BMI 1 and 2
const CpuLevel &avx512Level(); // those and AVX-512 F, BW, DQ, VL (CD too, as on every processor with them)
const CpuLevel &avx512Bf16Level(); // those and AVX512_BF16
const CpuLevel &amxLevel();        // those and AMX with bf16

// All, in rising order.
llvm::ArrayRef<const CpuLevel *> cpuLevels();

// By name; null when there is no such level.
const CpuLevel *findCpuLevel(llvm::StringRef name);

} // namespace weft::cpu
