// Two kernels of the generated code's calling convention (runtime/kernel_abi.h).
#include <stdint.h>

void first(char *const *buffers, const int64_t *sizes, int64_t begin, int64_t end, char *scratch) {
  for (int64_t i = begin; i < end; ++i) ((int64_t *)buffers[1])[i] = ((int64_t *)buffers[0])[i] + sizes[0];
}

void second(char *const *buffers, const int64_t *sizes, int64_t begin, int64_t end, char *scratch) {
  ((float *)buffers[0])[0] = 42;
}
