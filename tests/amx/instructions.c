// Kernels (runtime/kernel_abi.h) that test_emulated.py runs on the emulated processor.
#include <immintrin.h>
#include <stdint.h>

#define KERNEL(name)                                                                                         \
  void name(char *const *b, const int64_t *sizes, int64_t begin, int64_t end, char *scratch)

struct configuration {
  uint8_t palette, start_row, reserved[14];
  uint16_t columns[16];
  uint8_t rows[16];
};

static const struct configuration full __attribute__((aligned(64))) = {
    1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};

// b: a (16 x 32 bf16), b (16 x 16 pairs of bf16), c (16 x 16 float), one set for each work item
KERNEL(tile_products) {
  _tile_loadconfig(&full);
  for (int64_t i = begin; i < end; ++i) {
    _tile_loadd(0, b[2] + i * 1024, 64);
    _tile_loadd(1, b[0] + i * 1024, 64);
    _tile_loadd(2, b[1] + i * 1024, 64);
    _tile_dpbf16ps(0, 1, 2);
    _tile_stored(0, b[2] + i * 1024, 64);
  }
  _tile_release();
}

// b: a (m x k bf16), b (k/2 x n pairs), c (m x n float); sizes: m, n, k, multiples of 32. Items: 32 rows of
// c.
KERNEL(tile_matmul) {
  int64_t n = sizes[1], k = sizes[2];
  _tile_loadconfig(&full);
  for (int64_t i = begin * 32; i < end * 32; i += 32)
    for (int64_t j = 0; j < n; j += 32) {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      for (int64_t l = 0; l < k; l += 32) {
        char *left = b[0] + (i * k + l) * 2, *right = b[1] + (l / 2 * n + j) * 4;
        _tile_loadd(4, left, k * 2);
        _tile_loadd(5, left + 16 * k * 2, k * 2);
        _tile_loadd(6, right, n * 4);
        _tile_stream_loadd(7, right + 64, n * 4);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
      char *out = b[2] + (i * n + j) * 4;
      _tile_stored(0, out, n * 4);
      _tile_stored(1, out + 64, n * 4);
      _tile_stored(2, out + 16 * n * 4, n * 4);
      _tile_stored(3, out + 16 * n * 4 + 64, n * 4);
    }
  _tile_release();
}

// Small tiles: c (3 x 5 float) += a (3 x 4 bf16) b (2 x 5 pairs); the configuration is written to scratch.
KERNEL(tile_small) {
  for (int i = 0; i < 64; ++i) ((volatile char *)scratch)[i] = 0;
  struct configuration *c = (struct configuration *)scratch;
  c->palette = 1;
  c->columns[0] = 20, c->rows[0] = 3;
  c->columns[1] = 8, c->rows[1] = 3;
  c->columns[2] = 20, c->rows[2] = 2;
  _tile_loadconfig(c);
  _tile_storeconfig(b[3]);
  _tile_loadd(0, b[2], 20);
  _tile_loadd(1, b[0], 8);
  _tile_loadd(2, b[1], 20);
  _tile_dpbf16ps(0, 1, 2);
  _tile_stored(0, b[2], 20);
  _tile_release();
}

// b: a, b (bf16), c (float): c += a[2 i + 1] b[2 i + 1], then + a[2 i] b[2 i], for sizes[0] floats, masked at
// the end.
KERNEL(avx512_dot) {
  for (int64_t i = 0; i < sizes[0]; i += 16) {
    __mmask16 mask = sizes[0] - i >= 16 ? 0xffff : (__mmask16)((1u << (sizes[0] - i)) - 1);
    __m512i x = _mm512_maskz_loadu_epi32(mask, b[0] + i * 4),
            y = _mm512_maskz_loadu_epi32(mask, b[1] + i * 4);
    __m512 z = _mm512_maskz_loadu_ps(mask, b[2] + i * 4);
    _mm512_mask_storeu_ps(b[2] + i * 4, mask, _mm512_dpbf16_ps(z, (__m512bh)x, (__m512bh)y));
  }
}

// b: a (float), out (bf16), sizes[0] elements, masked at the end.
KERNEL(avx512_to_bf16) {
  for (int64_t i = 0; i < sizes[0]; i += 16) {
    __mmask16 mask = sizes[0] - i >= 16 ? 0xffff : (__mmask16)((1u << (sizes[0] - i)) - 1);
    __m256bh half = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, b[0] + i * 4));
    _mm256_mask_storeu_epi16(b[1] + i * 2, mask, (__m256i)half);
  }
}

// b: a, b, c, out (float): what generated elementwise code uses of AVX-512, masked at the end.
KERNEL(avx512_elementwise) {
  for (int64_t i = 0; i < sizes[0]; i += 16) {
    __mmask16 mask = sizes[0] - i >= 16 ? 0xffff : (__mmask16)((1u << (sizes[0] - i)) - 1);
    __m512 x = _mm512_maskz_loadu_ps(mask, b[0] + i * 4), y = _mm512_maskz_loadu_ps(mask, b[1] + i * 4);
    __m512 z = _mm512_maskz_loadu_ps(mask, b[2] + i * 4), r = _mm512_fmadd_ps(x, y, z);
    r = _mm512_mask_div_ps(r, _mm512_cmp_ps_mask(x, y, _CMP_LT_OQ), r, _mm512_sqrt_ps(_mm512_abs_ps(y)));
    r = _mm512_mask_permutexvar_ps(r, 0x5555, _mm512_set1_epi32(3), _mm512_max_ps(r, z));
    r = _mm512_scalef_ps(r, _mm512_roundscale_ps(_mm512_set1_ps(1.5f), 0));
    r = _mm512_mask_sub_ps(r, _mm512_movepi8_mask(_mm512_castps_si512(x)) & 0xffff, r, y);
    _mm512_mask_storeu_ps(b[3] + i * 4, mask, r);
  }
}

// Mistakes. sizes[0]: how far.
KERNEL(read_at) { *(volatile char *)b[1] = b[0][sizes[0]]; }
KERNEL(write_at) { *(volatile char *)(b[1] + sizes[0]) = 1; }
KERNEL(forgets_configuration) { _tile_zero(0); }
KERNEL(forgets_release) { _tile_loadconfig(&full); }
KERNEL(undefined) { __asm__ volatile("ud2"); }
KERNEL(privileged) { __asm__ volatile("mov %cr0, %rax"); }
KERNEL(spins) {
  for (;;) __asm__ volatile("");
}
KERNEL(clobbers) { __asm__ volatile("xor %ebx, %ebx\n ret"); }
KERNEL(tile_load_at) {
  _tile_loadconfig(&full);
  _tile_loadd(0, b[0] + sizes[0], 64);
  _tile_release();
}
