#include "runtime/train/byte_size.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"

namespace weft {

std::optional<int64_t> ParseByteSize(std::string_view text) {
  static constexpr std::pair<const char *, double> kUnits[] = {
      {"kib", 1024.0}, {"mib", 1048576.0}, {"gib", 1073741824.0}, {"tib", 1099511627776.0},
      {"kb", 1e3},     {"mb", 1e6},        {"gb", 1e9},           {"tb", 1e12},
      {"b", 1}};
  std::string number =
      absl::AsciiStrToLower(absl::StripAsciiWhitespace(absl::string_view(text.data(), text.size())));
  double unit = 1, value = 0;
  for (auto [name, factor] : kUnits) {
    size_t length = std::string_view(name).size();
    if (number.size() <= length || number.compare(number.size() - length, length, name) != 0) continue;
    number = std::string(absl::StripAsciiWhitespace(number.substr(0, number.size() - length)));
    unit = factor;
    break;
  }
  if (number.find_first_not_of("0123456789.") != std::string::npos || !absl::SimpleAtod(number, &value))
    return std::nullopt;
  double bytes = value * unit;
  if (!(bytes >= 1 && bytes < 9e18)) return std::nullopt;
  return static_cast<int64_t>(bytes);
}

std::string ByteText(int64_t bytes) {
  for (auto [name, factor] : {std::pair{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}}) {
    double value = static_cast<double>(bytes) / factor;
    if (value >= 1) return absl::StrFormat("%.*f %s", value < 10 ? 2 : value < 100 ? 1 : 0, value, name);
  }
  return absl::StrFormat("%d B", bytes);
}

} // namespace weft
