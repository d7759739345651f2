// How kernels compute with denormals: those of inputs and results are zero (docs/numerics.md, 8).
#pragma once
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace weft {

// While it lives, floating point arithmetic of this thread takes and gives zero for denormals.
class FlushDenormals {
public:
#if defined(__x86_64__)
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); } // FTZ, DAZ
  ~FlushDenormals() { _mm_setcsr(before_); }
#else
  FlushDenormals() {}
#endif
  FlushDenormals(const FlushDenormals &) = delete;
  FlushDenormals &operator=(const FlushDenormals &) = delete;

private:
  [[maybe_unused]] unsigned before_ = 0;
};

} // namespace weft
