// The products of instructions.c in scalar code, for the machine that runs the test (any x86-64 with FMA):
// its own rounding, and its own flushing of denormals.
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

static float wide(uint16_t x) {
  uint32_t bits = (uint32_t)x << 16;
  float result;
  memcpy(&result, &bits, 4);
  return result;
}

static float fused(uint16_t x, uint16_t y, float z) { return __builtin_fmaf(wide(x), wide(y), z); }

__attribute__((noinline)) static void product(const uint16_t *a, const uint16_t *b, float *c) {
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) {
      float even = 0, odd = 0;
      for (int k = 0; k < 16; ++k) {
        even = fused(a[i * 32 + 2 * k], b[k * 32 + 2 * j], even);
        odd = fused(a[i * 32 + 2 * k + 1], b[k * 32 + 2 * j + 1], odd);
      }
      float both = even + odd;
      c[i * 16 + j] += both;
    }
}

__attribute__((noinline)) static void dot(const uint16_t *a, const uint16_t *b, float *c, int64_t n) {
  for (int64_t i = 0; i < n; ++i) c[i] = fused(a[2 * i], b[2 * i], fused(a[2 * i + 1], b[2 * i + 1], c[i]));
}

enum { flushing = 0x9fc0 }; // MXCSR: flush to zero, denormals are zero, to nearest even

void reference_tile_product(const uint16_t *a, const uint16_t *b, float *c) {
  unsigned before = _mm_getcsr();
  _mm_setcsr(flushing);
  product(a, b, c);
  _mm_setcsr(before);
}

void reference_dot(const uint16_t *a, const uint16_t *b, float *c, int64_t n) {
  unsigned before = _mm_getcsr();
  _mm_setcsr(flushing);
  dot(a, b, c, n);
  _mm_setcsr(before);
}
