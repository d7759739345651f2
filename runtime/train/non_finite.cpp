#include "runtime/train/non_finite.h"
#include "runtime/artifact/dtype.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace weft {

bool IsFloat(fb::DType dtype) {
  return dtype == fb::DType::f32 || dtype == fb::DType::f64 || dtype == fb::DType::bf16;
}

double FloatAt(fb::DType dtype, const char *at) {
  if (dtype == fb::DType::f64) {
    double value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  uint32_t word = 0;
  if (dtype == fb::DType::bf16) {
    uint16_t half;
    std::memcpy(&half, at, sizeof half);
    word = static_cast<uint32_t>(half) << 16;
  } else {
    std::memcpy(&word, at, sizeof word);
  }
  float value;
  std::memcpy(&value, &word, sizeof value);
  return value;
}

namespace {

struct Dimension {
  int size_number; // of the launch's sizes
  int64_t size, stride;
};

// The kernel's addresses in a buffer. Nothing where they come from data, or do not lie within what the launch
// may touch.
std::vector<Dimension> Dimensions(const ObservedLaunch &launch, const fb::KernelBuffer &buffer,
                                  int64_t elements) {
  std::vector<Dimension> dimensions;
  if (!buffer.dims() || buffer.indexed() || !launch.launch->sizes()) return dimensions;
  int64_t last = 0;
  for (uint32_t j = 0; j < buffer.dims()->size(); ++j) {
    const int dim = buffer.dims()->Get(j);
    const int64_t size = launch.launch->sizes()->Get(dim),
                  stride = launch.launch->sizes()->Get(buffer.slot() + j);
    int64_t reach = 0;
    if (size <= 0 || stride < 0 || __builtin_mul_overflow(size - 1, stride, &reach) ||
        __builtin_add_overflow(last, reach, &last) || last >= elements)
      return {};
    dimensions.push_back({dim, size, stride});
  }
  return dimensions;
}

void Add(FloatScan &scan, double value, int64_t address, const std::vector<Dimension> &dimensions,
         const std::vector<int64_t> &index) {
  if (std::isfinite(value)) {
    const bool first = scan.elements == scan.nans + scan.infinities;
    scan.least = first ? value : std::min(scan.least, value);
    scan.most = first ? value : std::max(scan.most, value);
  } else {
    ++(std::isnan(value) ? scan.nans : scan.infinities);
    // A NaN counts before an infinity.
    if (scan.first < 0 || (std::isnan(value) && !std::isnan(scan.value))) {
      scan.first = address;
      scan.value = value;
      scan.at.clear();
      for (size_t j = 0; j < dimensions.size(); ++j)
        if (dimensions[j].stride != 0) scan.at.emplace_back(dimensions[j].size_number, index[j]);
    }
  }
  ++scan.elements;
}

// Calls `f(address, dimensions, index)` for each element that the kernel addresses, the indices in `fixed`
// held.
template <typename F>
void ForEachElement(const ObservedLaunch &launch, int number,
                    const std::vector<std::pair<int, int64_t>> &fixed, F f) {
  const fb::KernelBuffer &buffer = *launch.kernel->buffers()->Get(number);
  const int64_t elements = launch.launch->buffers()->Get(number)->extent() / ByteSize(buffer.dtype());
  const std::vector<Dimension> dimensions = Dimensions(launch, buffer, elements);
  if (dimensions.empty()) {
    for (int64_t e = 0; e < elements; ++e) f(e, dimensions, std::vector<int64_t>());
    return;
  }
  std::vector<int64_t> index(dimensions.size(), 0);
  std::vector<bool> held(dimensions.size(), false);
  for (size_t j = 0; j < dimensions.size(); ++j) {
    held[j] = dimensions[j].stride == 0; // a repeated element is looked at once
    for (const auto &[dim, at] : fixed)
      if (dim == dimensions[j].size_number && at < dimensions[j].size) held[j] = true, index[j] = at;
  }
  for (bool more = true; more;) {
    int64_t address = 0;
    for (size_t j = 0; j < dimensions.size(); ++j) address += index[j] * dimensions[j].stride;
    f(address, dimensions, index);
    more = false;
    for (size_t j = dimensions.size(); j-- > 0 && !more;) {
      if (held[j]) continue;
      more = ++index[j] < dimensions[j].size;
      if (!more) index[j] = 0;
    }
  }
}

} // namespace

FloatScan ScanBuffer(const ObservedLaunch &launch, int number,
                     const std::vector<std::pair<int, int64_t>> &fixed) {
  const fb::DType dtype = launch.kernel->buffers()->Get(number)->dtype();
  FloatScan scan;
  if (!IsFloat(dtype)) return scan;
  const char *data = launch.buffers[number];
  ForEachElement(launch, number, fixed, [&](int64_t address, const auto &dimensions, const auto &index) {
    Add(scan, FloatAt(dtype, data + address * ByteSize(dtype)), address, dimensions, index);
  });
  return scan;
}

void NonFiniteFinder::Before(const ObservedLaunch &launch) {
  ++ordinal_;
  if (nan_ || !launch.kernel->buffers()) return;
  const auto &buffers = *launch.kernel->buffers();
  before_.assign(buffers.size(), {});
  nan_before_ = infinity_before_ = false;
  for (uint32_t i = 0; i < buffers.size(); ++i) {
    if (buffers.Get(i)->use() == fb::BufferUse::output) continue;
    before_[i] = ScanBuffer(launch, i);
    nan_before_ |= before_[i].nans > 0;
    infinity_before_ |= before_[i].infinities > 0;
  }
  if (nan_before_ || infinity_before_) return;
  // What lies where results go is of no meaning: what is not written there must not look like a result.
  for (uint32_t i = 0; i < buffers.size(); ++i) {
    const fb::KernelBuffer &buffer = *buffers.Get(i);
    if (buffer.use() != fb::BufferUse::output || !IsFloat(buffer.dtype())) continue;
    const int64_t size = ByteSize(buffer.dtype());
    ForEachElement(launch, i, {}, [&](int64_t address, const auto &, const auto &) {
      char *at = launch.buffers[i] + address * size;
      if (!std::isfinite(FloatAt(buffer.dtype(), at))) std::memset(at, 0, size);
    });
  }
}

void NonFiniteFinder::After(const ObservedLaunch &launch) {
  if (nan_ || !launch.kernel->buffers()) return;
  const auto &buffers = *launch.kernel->buffers();
  for (uint32_t i = 0; i < buffers.size(); ++i) {
    if (buffers.Get(i)->use() == fb::BufferUse::input || nan_before_) continue;
    FloatScan result = ScanBuffer(launch, i);
    if (result.nans > 0) {
      nan_ = Describe(launch, i, std::move(result));
      return;
    }
    if (result.infinities > 0 && !infinity_before_ && !infinity_ && !launch.kernel->makes_infinity())
      infinity_ = Describe(launch, i, std::move(result));
  }
}

// Inputs that the launch has written over are described as they were, but for the place.
NonFiniteLaunch NonFiniteFinder::Describe(const ObservedLaunch &launch, int buffer, FloatScan result) const {
  NonFiniteLaunch out;
  out.ordinal = ordinal_;
  out.launch = launch.launch;
  out.kernel = launch.kernel;
  out.entry = launch.entry;
  out.buffer = buffer;
  out.loops.assign(launch.loops.begin(), launch.loops.end());
  out.inputs = before_;
  for (uint32_t i = 0; i < launch.kernel->buffers()->size(); ++i) {
    out.buffer_names.push_back(BufferName(launch, i));
    bool input = launch.kernel->buffers()->Get(i)->use() == fb::BufferUse::input;
    out.inputs_there.push_back(input ? ScanBuffer(launch, i, result.at) : FloatScan());
  }
  out.result = std::move(result);
  return out;
}

std::string NonFiniteFinder::BufferName(const ObservedLaunch &launch, int number) const {
  const fb::Ref &ref = *launch.launch->buffers()->Get(number);
  if (ref.space() == fb::Space::argument)
    return absl::StrCat("argument ",
                        session_.entry(launch.entry).arguments()->Get(ref.index())->name()->str());
  if (ref.space() == fb::Space::arena) return "arena";
  const char *at = launch.buffers[number];
  if (session_.stage().variables())
    for (const fb::Variable *variable : *session_.stage().variables()) {
      absl::Span<char> memory = session_.memory(*variable);
      if (at < memory.data() || at >= memory.data() + memory.size()) continue;
      std::string name =
          absl::StrCat(variable->kind() == fb::VariableKind::parameter ? "parameter " : "variable ",
                       variable->name()->str());
      if (variable->layers() > 0)
        absl::StrAppend(&name, ", layer ",
                        variable->layer_begin() +
                            (at - memory.data()) /
                                std::max<int64_t>(1, variable->bytes() / variable->layers()));
      return name;
    }
  return "persistent memory";
}

void InputKeeper::Before(const ObservedLaunch &launch) {
  if (++ordinal_ != wanted_ || !launch.kernel->buffers()) return;
  for (uint32_t i = 0; i < launch.kernel->buffers()->size(); ++i)
    inputs_.emplace_back(launch.kernel->buffers()->Get(i)->use() == fb::BufferUse::output
                             ? std::string()
                             : std::string(launch.buffers[i], launch.launch->buffers()->Get(i)->extent()));
}

} // namespace weft
