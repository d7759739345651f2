// One launch of a kernel with data of its own: memory as large as the program's, behind it a page that may
// not be touched, and numbers that depend on the seed alone. Needs nothing but Linux and C++17: `weft inspect
// --dump-kernel` writes this file beside the kernel.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>
#include <xmmintrin.h>

namespace launch_data {

// The calling convention: an address a buffer, sizes and strides, the half-open range of work items, scratch
// memory of the thread's own (64-byte aligned).
using Kernel = void (*)(char *const *buffers, const int64_t *sizes, int64_t begin, int64_t end,
                        char *scratch);

enum Type { f32, f64, i32, i64, boolean, bf16 };
enum Fill {
  floats,    // within [-1, 1)
  positive,  // floats within [0.05, 1.05)
  integers,  // within [0, limit)
  ascending, // from 0 to limit, as the ends of groups
  zeros,     // where a query's keys begin
  ends,      // where they end: element e is that of query e % period, causal among `limit` keys
};

// Its bytes lie at `offset` of block number `block`: buffers of one block overlap as they do in the program.
struct Buffer {
  Type type;
  bool input, output; // both: what an output holds is read first
  int64_t bytes;
  int block;
  int64_t offset;
  Fill fill;
  int64_t limit, period;
};

struct Launch {
  std::string what; // entry and model line
  std::vector<int64_t> sizes;
  int64_t items, piece, scratch_bytes;
  double flops, bytes, times;  // times: in one call of the entry
  std::vector<int64_t> blocks; // bytes of each
  std::vector<Buffer> buffers;
};

inline int64_t bytes_of(Type type) {
  return type == f64 || type == i64 ? 8 : type == boolean ? 1 : type == bf16 ? 2 : 4;
}

// Uniform 32 bits for (seed, buffer, element): the finaliser of SplitMix64.
inline uint32_t random_bits(uint64_t seed, uint64_t buffer, uint64_t element) {
  uint64_t z = seed * 0x9E3779B97F4A7C15u + buffer * 0xD1B54A32D192ED03u + element * 0x8CB92BA72F3D8DD7u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return uint32_t((z ^ z >> 31) >> 32);
}

class Memory {
public:
  Memory() = default;
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;
  ~Memory() {
    for (auto &[address, bytes] : mapped_) munmap(address, bytes);
  }

  // False when the system has not that much memory.
  bool take(const Launch &launch, int threads) {
    for (int64_t bytes : launch.blocks) {
      char *block = map(bytes);
      if (!block) return false;
      blocks_.push_back(block);
    }
    for (const Buffer &b : launch.buffers) addresses_.push_back(blocks_[b.block] + b.offset);
    for (int t = 0; t < threads; ++t) {
      scratch_.push_back(map(launch.scratch_bytes));
      if (!scratch_.back()) return false;
    }
    return true;
  }

  // Outputs first, so that what is also an input holds the input's numbers.
  void fill(const Launch &launch, uint64_t seed) {
    for (size_t i = 0; i < blocks_.size(); ++i) std::memset(blocks_[i], 0, launch.blocks[i]);
    for (size_t i = 0; i < launch.buffers.size(); ++i)
      if (launch.buffers[i].input) fill(launch.buffers[i], i, seed, addresses_[i]);
  }

  char *const *buffers() const { return addresses_.data(); }
  char *scratch(int thread) const { return scratch_[thread]; }

private:
  // `bytes` that end, rounded up to 64, where a page begins that may not be touched.
  char *map(int64_t bytes) {
    const int64_t page = 4096, used = (bytes + 63) / 64 * 64, whole = (used + page - 1) / page * page;
    void *memory = mmap(nullptr, whole + page, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    mapped_.push_back({memory, size_t(whole + page)});
    mprotect(static_cast<char *>(memory) + whole, page, PROT_NONE);
    return static_cast<char *>(memory) + whole - used;
  }

  static void fill(const Buffer &b, uint64_t number, uint64_t seed, char *at) {
    const int64_t count = b.bytes / bytes_of(b.type);
    for (int64_t e = 0; e < count; ++e) {
      const uint32_t bits = random_bits(seed, number, e);
      if (b.type == f32 || b.type == f64 || b.type == bf16) {
        double unit = bits / 4294967296.0, value = b.fill == positive ? unit + 0.05 : 2 * unit - 1;
        float single = float(value);
        uint32_t word;
        std::memcpy(&word, &single, 4);
        uint16_t half = uint16_t(word >> 16);
        if (b.type == f64) std::memcpy(at + e * 8, &value, 8);
        if (b.type == f32) std::memcpy(at + e * 4, &single, 4);
        if (b.type == bf16) std::memcpy(at + e * 2, &half, 2);
        continue;
      }
      int64_t value = b.limit > 0 ? int64_t(uint64_t(bits) * uint64_t(b.limit) >> 32) : 0;
      if (b.type == boolean) value = bits & 1;
      if (b.fill == zeros) value = 0;
      if (b.fill == ascending) value = count > 1 ? b.limit * e / (count - 1) : 0;
      if (b.fill == ends)
        value = std::min<int64_t>(b.limit, std::max<int64_t>(0, b.limit - b.period) + e % b.period + 1);
      const int32_t narrow = int32_t(value);
      if (b.type == i64) std::memcpy(at + e * 8, &value, 8);
      if (b.type == i32) std::memcpy(at + e * 4, &narrow, 4);
      if (b.type == boolean) at[e] = char(value);
    }
  }

  std::vector<std::pair<void *, size_t>> mapped_;
  std::vector<char *> blocks_, addresses_, scratch_;
};

// What the runtime sets for its threads: denormals count as zero, and AMX's registers may be used where there
// are any.
inline void prepare_thread() {
  _mm_setcsr(_mm_getcsr() | 0x8040);
  syscall(SYS_arch_prctl, 0x1023, 18); // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
}

} // namespace launch_data
