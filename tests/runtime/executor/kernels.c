// Kernels of the generated code's calling convention (runtime/kernel_abi.h) for the executor's tests.
#include <stdint.h>
#include <string.h>

// buffers: a, b, out (items f32 each). out = a + sizes[0] * b
void axpy(char *const *buffers, const int64_t *sizes, int64_t begin, int64_t end, char *scratch) {
  const float *a = (const float *)buffers[0], *b = (const float *)buffers[1];
  float *out = (float *)buffers[2];
  for (int64_t i = begin; i < end; ++i) out[i] = a[i] + (float)sizes[0] * b[i];
}

// buffers: value (i64), log (i64: a count, then entries). Appends the value to the log.
void append(char *const *buffers, const int64_t *sizes, int64_t begin, int64_t end, char *scratch) {
  int64_t *log = (int64_t *)buffers[1];
  log[++log[0]] = *(const int64_t *)buffers[0];
}

// buffers: in, out (items f32). Uses sizes[0] floats of scratch on the way: out = in * 2, and the scratch must be aligned.
void through_scratch(char *const *buffers, const int64_t *sizes, int64_t begin, int64_t end, char *scratch) {
  const float *in = (const float *)buffers[0];
  float *out = (float *)buffers[1], *hold = (float *)scratch;
  if ((uintptr_t)scratch % 64) return;
  for (int64_t at = begin; at < end; at += sizes[0]) {
    int64_t n = end - at < sizes[0] ? end - at : sizes[0];
    for (int64_t i = 0; i < n; ++i) hold[i] = in[at + i];
    for (int64_t i = 0; i < n; ++i) out[at + i] = hold[i] * 2;
  }
}

// buffers: out (i64). Writes where each item's range began: shows how items were cut.
void ranges(char *const *buffers, const int64_t *sizes, int64_t begin, int64_t end, char *scratch) {
  for (int64_t i = begin; i < end; ++i) ((int64_t *)buffers[0])[i] = begin;
}
