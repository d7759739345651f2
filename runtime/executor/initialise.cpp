#include "runtime/executor/initialise.h"
#include "runtime/artifact/dtype.h"
#include "runtime/data/philox.h"

#include "absl/strings/str_cat.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace weft {
namespace {

// Natural logarithm of a normal positive number: x = m 2^e with m in [sqrt(1/2), sqrt(2)), and
// log(m) = 2 atanh(f) = 2 (f + f^3/3 + f^5/5 + ...) with f = (m - 1) / (m + 1), |f| < 0.172.
double Log(double x) {
  uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  int exponent = static_cast<int>(bits >> 52) - 1022;
  bits = (bits & 0x000FFFFFFFFFFFFF) | 0x3FE0000000000000; // [1/2, 1)
  double m;
  std::memcpy(&m, &bits, sizeof m);
  if (m < 0.70710678118654752440) {
    m *= 2;
    --exponent;
  }
  double f = (m - 1) / (m + 1), f2 = f * f, sum = 0;
  for (int k = 25; k >= 3; k -= 2) sum = (sum + 1.0 / k) * f2;
  return exponent * 0.69314718055994530942 + 2 * (f + f * sum);
}

// c[0] + c[1] x + ... + c[7] x^7
double Polynomial(const double (&c)[8], double x) {
  double sum = c[7];
  for (int i = 6; i >= 0; --i) sum = sum * x + c[i];
  return sum;
}

// The u of element `element`, given its block's words.
double Uniform(const std::array<uint32_t, 4> &words, int64_t element) {
  int pair = 2 * static_cast<int>(element % 2);
  uint64_t word = uint64_t{words[pair]} << 32 | words[pair + 1];
  return (static_cast<double>(word >> 12) + 0.5) * 0x1p-52;
}

template <typename T>
void Random(const fb::Variable &variable, uint64_t seed, int64_t begin, int64_t end, T *data) {
  int64_t elements = variable.bytes() / static_cast<int64_t>(sizeof(T));
  int64_t per_layer = variable.layers() > 0 ? elements / variable.layers() : elements;
  bool normal = variable.init() == fb::InitKind::normal;
  double scale = variable.init_scale();
  while (begin < end) {
    int64_t layer = begin / per_layer, first = layer * per_layer;
    int64_t stop = std::min(end, first + per_layer);
    std::string name = WeightName(variable, variable.layer_begin() + layer);
    uint64_t stream = XXH3_64bits(name.data(), name.size());
    std::array<uint32_t, 4> words{};
    for (int64_t i = begin; i < stop; ++i) {
      int64_t element = i - first;
      if (i == begin || element % 2 == 0) words = Philox(seed, stream, element / 2);
      double u = Uniform(words, element);
      data[i] = static_cast<T>(scale * (normal ? NormalQuantile(u) : 2 * u - 1));
    }
    begin = stop;
  }
}

template <typename T> void Fill(const fb::Variable &variable, int64_t begin, int64_t end, char *data) {
  T value = variable.init() == fb::InitKind::ones ? T(1) : static_cast<T>(variable.init_scale());
  std::fill(reinterpret_cast<T *>(data) + begin, reinterpret_cast<T *>(data) + end, value);
}

} // namespace

std::string WeightName(const fb::Variable &variable, int64_t layer) {
  std::string name = variable.file_name() ? variable.file_name()->str() : "";
  if (name.empty()) {
    name = variable.name()->str();
    if (variable.layers() > 0) absl::StrAppend(&name, "#", layer);
  } else if (size_t braces = name.find("{}"); variable.layers() > 0 && braces != std::string::npos) {
    name.replace(braces, 2, absl::StrCat(layer));
  }
  return name;
}

double NormalQuantile(double u) {
  static constexpr double a[8] = {
      3.3871328727963666080e0,  1.3314166789178437745e+2, 1.9715909503065514427e+3, 1.3731693765509461125e+4,
      4.5921953931549871457e+4, 6.7265770927008700853e+4, 3.3430575583588128105e+4, 2.5090809287301226727e+3};
  static constexpr double b[8] = {1.0,
                                  4.2313330701600911252e+1,
                                  6.8718700749205790830e+2,
                                  5.3941960214247511077e+3,
                                  2.1213794301586595867e+4,
                                  3.9307895800092710610e+4,
                                  2.8729085735721942674e+4,
                                  5.2264952788528545610e+3};
  static constexpr double c[8] = {1.42343711074968357734e0,  4.63033784615654529590e0,
                                  5.76949722146069140550e0,  3.64784832476320460504e0,
                                  1.27045825245236838258e0,  2.41780725177450611770e-1,
                                  2.27238449892691845833e-2, 7.74545014278341407640e-4};
  static constexpr double d[8] = {1.0,
                                  2.05319162663775882187e0,
                                  1.67638483018380384940e0,
                                  6.89767334985100004550e-1,
                                  1.48103976427480074590e-1,
                                  1.51986665636164571966e-2,
                                  5.47593808499534494600e-4,
                                  1.05075007164441684324e-9};
  static constexpr double e[8] = {6.65790464350110377720e0,  5.46378491116411436990e0,
                                  1.78482653991729133580e0,  2.96560571828504891230e-1,
                                  2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                  2.71155556874348757815e-5, 2.01033439929228813265e-7};
  static constexpr double f[8] = {1.0,
                                  5.99832206555887937690e-1,
                                  1.36929880922735805310e-1,
                                  1.48753612908506148525e-2,
                                  7.86869131145613259100e-4,
                                  1.84631831751005468180e-5,
                                  1.42151175831644588870e-7,
                                  2.04426310338993978564e-15};
  double q = u - 0.5;
  if (std::fabs(q) <= 0.425) {
    double r = 0.180625 - q * q;
    return q * Polynomial(a, r) / Polynomial(b, r);
  }
  double r = std::sqrt(-Log(q < 0 ? u : 1 - u));
  double z =
      r <= 5 ? Polynomial(c, r - 1.6) / Polynomial(d, r - 1.6) : Polynomial(e, r - 5) / Polynomial(f, r - 5);
  return q < 0 ? -z : z;
}

void InitialiseElements(const fb::Variable &variable, uint64_t seed, int64_t begin, int64_t end, char *data) {
  if (begin >= end) return;
  switch (variable.init()) {
  case fb::InitKind::zeros: {
    int64_t size = ByteSize(variable.dtype());
    std::memset(data + begin * size, 0, (end - begin) * size);
    return;
  }
  case fb::InitKind::normal:
  case fb::InitKind::uniform:
    if (variable.dtype() == fb::DType::f32)
      Random(variable, seed, begin, end, reinterpret_cast<float *>(data));
    if (variable.dtype() == fb::DType::f64)
      Random(variable, seed, begin, end, reinterpret_cast<double *>(data));
    return;
  case fb::InitKind::ones:
  case fb::InitKind::constant:
    switch (variable.dtype()) {
    case fb::DType::f32:
      return Fill<float>(variable, begin, end, data);
    case fb::DType::f64:
      return Fill<double>(variable, begin, end, data);
    case fb::DType::i32:
      return Fill<int32_t>(variable, begin, end, data);
    case fb::DType::i64:
      return Fill<int64_t>(variable, begin, end, data);
    case fb::DType::boolean:
      return Fill<bool>(variable, begin, end, data);
    case fb::DType::bf16:
      return; // no parameter: it starts as zeros
    }
  }
}

} // namespace weft
