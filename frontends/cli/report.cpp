#include "frontends/cli/report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include <algorithm>
#include <cstdio>

namespace weft {
namespace {

// Columns that UTF-8 text takes, a character one.
size_t Width(const std::string &text) {
  return std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xc0) != 0x80; });
}

} // namespace

void PrintError(const std::string &message) { std::fprintf(stderr, "error: %s\n", message.c_str()); }

int Fail(const absl::Status &status) {
  PrintError(std::string(status.message()));
  return 1;
}

void Notice(const std::string &text) { std::fprintf(stderr, "%s\n", text.c_str()); }

std::string BytesText(double bytes) {
  const char *units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  while (bytes >= 1024 && unit < 4) bytes /= 1024, ++unit;
  return unit == 0 ? absl::StrFormat("%.0f B", bytes) : absl::StrFormat("%.2f %s", bytes, units[unit]);
}

std::string TableText(const std::vector<std::vector<std::string>> &rows, const std::vector<size_t> &right) {
  std::vector<size_t> widths;
  for (const auto &row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string out;
  for (const auto &row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      std::string space(widths[i] - Width(row[i]), ' ');
      bool to_right = std::find(right.begin(), right.end(), i) != right.end();
      absl::StrAppend(&line, i ? "  " : "", to_right ? space : "", row[i], to_right ? "" : space);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&out, line, "\n");
  }
  return out;
}

} // namespace weft
