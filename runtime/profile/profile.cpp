#include "runtime/profile/profile.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <map>

namespace weft {

void Work::Add(const Work &other) {
  calls += other.calls;
  wall_ns += other.wall_ns;
  busy_ns += other.busy_ns;
  flops += other.flops;
  bytes += other.bytes;
  roof_ns += other.roof_ns;
  predicted_ns += other.predicted_ns;
  for (int c = 0; c < kNumCounters; ++c) counters[c] += other.counters[c];
}

int64_t Profile::total_ns() const {
  int64_t sum = 0;
  for (int64_t ns : step_ns) sum += ns;
  return sum * ranks;
}

double Median(std::vector<int64_t> values) {
  if (values.empty()) return 0;
  const size_t middle = values.size() / 2;
  std::sort(values.begin(), values.end());
  return values.size() % 2
             ? static_cast<double>(values[middle])
             : (static_cast<double>(values[middle - 1]) + static_cast<double>(values[middle])) / 2;
}

std::string LineText(const Profile &profile, int32_t line) {
  if (line < 0 || line >= static_cast<int32_t>(profile.lines.size())) return "";
  const ProfileLine &l = profile.lines[line];
  return absl::StrCat(l.file.substr(l.file.rfind('/') + 1), ":", l.line,
                      l.module.empty() ? "" : absl::StrCat(" (", l.module, ")"));
}

namespace {

std::vector<WorkRow> Sorted(std::map<std::pair<int32_t, std::string>, Work> sums) {
  std::vector<WorkRow> rows;
  for (auto &[key, work] : sums)
    if (work.calls > 0) rows.push_back({key.second, key.first, work});
  std::stable_sort(rows.begin(), rows.end(),
                   [](const WorkRow &a, const WorkRow &b) { return a.work.wall_ns > b.work.wall_ns; });
  return rows;
}

} // namespace

std::vector<WorkRow> RowsByKernel(const Profile &profile) {
  std::map<std::pair<int32_t, std::string>, Work> sums;
  for (const ProfileSite &site : profile.sites)
    sums[{site.kernel, site.kernel >= 0 ? profile.kernels[site.kernel].name : site.kind}].Add(site.work);
  return Sorted(std::move(sums));
}

std::vector<WorkRow> RowsByLine(const Profile &profile) {
  std::map<std::pair<int32_t, std::string>, Work> sums;
  for (const ProfileSite &site : profile.sites)
    sums[{site.line, site.line >= 0     ? LineText(profile, site.line)
                     : site.kernel >= 0 ? "no line of a model"
                                        : site.kind}]
        .Add(site.work);
  return Sorted(std::move(sums));
}

} // namespace weft
