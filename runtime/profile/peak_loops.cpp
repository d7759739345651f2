#include "runtime/profile/peak_loops.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace weft {

#if defined(__x86_64__)
namespace {

// Enough independent sums to hide an addition's latency, each in a register: a loop over them would be
// unrolled too late for that. The barriers keep the compiler from folding rounds.
#define TIMES_4(f, at) f(at) f(at + 1) f(at + 2) f(at + 3)
#define TIMES_12(f) TIMES_4(f, 0) TIMES_4(f, 4) TIMES_4(f, 8)
#define TIMES_24(f) TIMES_12(f) TIMES_4(f, 12) TIMES_4(f, 16) TIMES_4(f, 20)

__attribute__((target("avx2,fma"))) void FmaAvx2(int64_t rounds) {
  __m256 v[12], a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
  for (__m256 &x : v) x = b;
  for (int64_t i = 0; i < rounds; ++i) {
#define STEP(j)                                                                                              \
  v[j] = _mm256_fmadd_ps(v[j], a, b);                                                                        \
  asm volatile("" : "+x"(v[j]));
    TIMES_12(STEP)
#undef STEP
  }
}

__attribute__((target("avx512f"))) void FmaAvx512(int64_t rounds) {
  __m512 v[24], a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
  for (__m512 &x : v) x = b;
  for (int64_t i = 0; i < rounds; ++i) {
#define STEP(j)                                                                                              \
  v[j] = _mm512_fmadd_ps(v[j], a, b);                                                                        \
  asm volatile("" : "+v"(v[j]));
    TIMES_24(STEP)
#undef STEP
  }
}

__attribute__((target("avx512f,avx512bf16"))) void Vdpbf16(int64_t rounds) {
  const __m512bh a = (__m512bh)_mm512_set1_epi16(0x3c00); // 2^-7
  __m512 v[24];
  for (__m512 &x : v) x = _mm512_setzero_ps();
  for (int64_t i = 0; i < rounds; ++i) {
#define STEP(j)                                                                                              \
  v[j] = _mm512_dpbf16_ps(v[j], a, a);                                                                       \
  asm volatile("" : "+v"(v[j]));
    TIMES_24(STEP)
#undef STEP
  }
}

// Four tiles of 16 x 16 sums, each from 16 x 32 and 32 x 16 values of bf16.
__attribute__((target("amx-tile,amx-bf16"))) void Amx(int64_t rounds) {
  struct alignas(64) {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
  } config;
  for (int t = 0; t < 8; ++t) config.row_bytes[t] = 64, config.rows[t] = 16;
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (int64_t i = 0; i < rounds; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}

__attribute__((target("avx2"))) void ReadAvx2(const char *data, int64_t bytes, int64_t rounds) {
  __m256i v[8] = {};
  for (int64_t r = 0; r < rounds; ++r)
    for (int64_t i = 0; i < bytes; i += 256) {
#define STEP(j)                                                                                              \
  v[j] = _mm256_or_si256(v[j], _mm256_load_si256((const __m256i *)(data + i + 32 * (j))));                   \
  asm volatile("" : "+x"(v[j]));
      TIMES_4(STEP, 0) TIMES_4(STEP, 4)
#undef STEP
    }
}

__attribute__((target("avx2,fma"))) void TriadAvx2(char *a, const char *b, const char *c, int64_t bytes,
                                                   int64_t rounds) {
  const __m256 s = _mm256_set1_ps(0.5f);
  for (int64_t r = 0; r < rounds; ++r)
    for (int64_t i = 0; i < bytes; i += 128)
#pragma GCC unroll 4
      for (int j = 0; j < 128; j += 32)
        _mm256_store_ps((float *)(a + i + j), _mm256_fmadd_ps(s, _mm256_load_ps((const float *)(c + i + j)),
                                                              _mm256_load_ps((const float *)(b + i + j))));
}

} // namespace

std::vector<PeakLoop> PeakLoops(const std::string &level) {
  const bool amx = level == "amx", bf16 = amx || level == "avx512bf16", wide = bf16 || level == "avx512";
  std::vector<PeakLoop> loops;
  if (wide)
    loops.push_back({"fma", 24 * 16 * 2, FmaAvx512});
  else if (level == "avx2")
    loops.push_back({"fma", 12 * 8 * 2, FmaAvx2});
  if (bf16) loops.push_back({"vdpbf16", 24 * 32 * 2, Vdpbf16});
  if (amx) loops.push_back({"amx", 4 * 16 * 16 * 32 * 2, Amx});
  return loops;
}

void ReadLoop(const char *data, int64_t bytes, int64_t rounds) { ReadAvx2(data, bytes, rounds); }
void TriadLoop(char *a, const char *b, const char *c, int64_t bytes, int64_t rounds) {
  TriadAvx2(a, b, c, bytes, rounds);
}

#else

std::vector<PeakLoop> PeakLoops(const std::string &) { return {}; }
void ReadLoop(const char *, int64_t, int64_t) {}
void TriadLoop(char *, const char *, const char *, int64_t, int64_t) {}

#endif

} // namespace weft
