#include "runtime/profile/diff.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

namespace weft {
namespace {

constexpr double kMachineDiffers = 0.1; // two calibrations of one machine in a cloud differ by less

// The places that a kernel's lines name, without line numbers where `numbers` is false: an edit moves them.
std::set<std::string> Places(const Profile &p, const ProfileKernel &kernel, bool numbers) {
  std::set<std::string> places;
  for (int32_t line : kernel.lines) {
    if (line < 0) continue;
    const ProfileLine &l = p.lines[line];
    const std::string file = l.file.substr(l.file.rfind('/') + 1);
    places.insert(numbers || l.module.empty() ? absl::StrCat(file, ":", l.line, " ", l.module) : l.module);
  }
  return places;
}

// A schedule without the last field that older ones have, where that says nothing: `unroll` never did,
// `in_place` does not where it is 0.
std::string Blocks(const std::string &schedule) {
  for (const char *field : {", unroll = ", ", in_place = 0>"})
    if (size_t at = schedule.find(field); at != std::string::npos) return schedule.substr(0, at);
  return schedule;
}

std::string Key(const Profile &p, const ProfileKernel &k, bool numbers, bool schedule, bool work) {
  std::string key = absl::StrCat(k.family, "\n", absl::StrJoin(Places(p, k, numbers), "\n"));
  const int64_t times = p.steps() * p.ranks;
  if (schedule) absl::StrAppend(&key, "\n", Blocks(k.schedule), "\n", k.reduction);
  if (work)
    absl::StrAppendFormat(&key, "\n%d\n%.12g\n%.12g", k.work.calls / times,
                          k.work.flops / static_cast<double>(times),
                          k.work.bytes / static_cast<double>(times));
  return key;
}

std::string Relative(double from, double to) {
  return absl::StrFormat("%+.1f %%", from > 0 ? 100 * (to - from) / from : 0);
}

std::string Settings(const std::string &attribute) {
  size_t begin = attribute.find('<'), end = attribute.rfind('>');
  return begin == std::string::npos || end < begin ? attribute : attribute.substr(begin + 1, end - begin - 1);
}

double Spread(const Profile &p) {
  auto [least, most] = std::minmax_element(p.step_ns.begin(), p.step_ns.end());
  const double mean = static_cast<double>(p.total_ns()) / static_cast<double>(p.steps() * p.ranks);
  return mean > 0 ? static_cast<double>(*most - *least) / mean : 0;
}

class Comparison {
public:
  Comparison(const Profile &before, const Profile &after) : a_(before), b_(after) {
    diff_.before_ms = a_.StepMs(static_cast<double>(a_.total_ns()));
    diff_.after_ms = b_.StepMs(static_cast<double>(b_.total_ns()));
    diff_.spread = std::max(Spread(a_), Spread(b_));
    in_a_.assign(a_.kernels.size(), true);
    in_b_.assign(b_.kernels.size(), true);
  }

  ProfileDiff Make() {
    CompareSettings();
    CompareMachines();
    for (bool numbers : {true, false}) {
      Match(DiffReason::same, numbers, true, true);
      Match(DiffReason::schedule, numbers, false, true);
      Match(DiffReason::sizes, numbers, true, false);
    }
    MatchPlaces();
    for (size_t i = 0; i < in_a_.size(); ++i)
      if (in_a_[i]) Add(DiffReason::only, {i}, {});
    for (size_t i = 0; i < in_b_.size(); ++i)
      if (in_b_[i]) Add(DiffReason::only, {}, {i});
    Rest();
    std::stable_sort(diff_.rows.begin(), diff_.rows.end(), [](const DiffRow &x, const DiffRow &y) {
      return std::fabs(x.change_ms()) > std::fabs(y.change_ms());
    });
    return std::move(diff_);
  }

private:
  void CompareSettings() {
    std::map<std::string, std::string> a(a_.options.begin(), a_.options.end()),
        b(b_.options.begin(), b_.options.end());
    a["model"] = a_.model, b["model"] = b_.model;
    a["weights"] = a_.weights, b["weights"] = b_.weights;
    for (auto [map, p] : {std::pair(&a, &a_), std::pair(&b, &b_)}) {
      (*map)["tokens a step"] = absl::StrCat(p->tokens);
      (*map)["ranks"] = absl::StrCat(p->ranks);
      (*map)["threads of a rank"] = absl::StrCat(p->threads);
    }
    for (const auto &[key, value] : a)
      if (auto other = b.find(key); other == b.end() || other->second != value)
        diff_.settings.push_back(
            absl::StrCat(key, " was ", value, " and is ", other == b.end() ? "not there" : other->second));
    for (const auto &[key, value] : b)
      if (!a.count(key)) diff_.settings.push_back(absl::StrCat(key, " was not there and is ", value));
  }

  void CompareMachines() {
    const Calibration &a = a_.machine, &b = b_.machine;
    if (a.processor != b.processor)
      diff_.machine.push_back(absl::StrCat("the processor was ", a.processor, " and is ", b.processor));
    if (a.cpu_level != b.cpu_level)
      diff_.machine.push_back(absl::StrCat("the level was ", a.cpu_level, " and is ", b.cpu_level));
    for (auto [p, which] : {std::pair(&a_, "before"), std::pair(&b_, "after")})
      if (p->machine.disturbed)
        diff_.machine.push_back(
            absl::StrCat("what was measured of it ", which, " is too low: other processes ran meanwhile"));
    const double put_aside_a = static_cast<double>(a_.preemptions) / static_cast<double>(a_.steps()),
                 put_aside_b = static_cast<double>(b_.preemptions) / static_cast<double>(b_.steps());
    if (std::max(put_aside_a, put_aside_b) > 20 &&
        std::fabs(put_aside_b - put_aside_a) > 0.5 * std::max(put_aside_a, put_aside_b))
      diff_.machine.push_back(
          absl::StrFormat("other processes put threads aside %.0f times a step, and now %.0f times",
                          put_aside_a, put_aside_b));
    auto rate = [&](const std::string &what, double x, double y, double unit, const char *name) {
      if (std::fabs(y - x) <= kMachineDiffers * x) return;
      diff_.machine.push_back(
          absl::StrFormat("%s was %.4g and is %.4g %s (%s)", what, x / unit, y / unit, name, Relative(x, y)));
    };
    for (const auto &[unit, flops] : a.flops)
      if (auto other = b.flops.find(unit); other != b.flops.end())
        rate("the peak of " + unit, flops.all, other->second.all, 1e9, "GFLOP/s");
    rate("the rate of memory", a.memory_bytes_per_s(), b.memory_bytes_per_s(), 1e9, "GB/s");
    rate("an empty launch", a.launch_ns, b.launch_ns, 1e3, "us");
  }

  void Match(DiffReason reason, bool numbers, bool schedule, bool work) {
    std::map<std::string, std::vector<size_t>> waiting;
    for (size_t i = 0; i < in_a_.size(); ++i)
      if (in_a_[i]) waiting[Key(a_, a_.kernels[i], numbers, schedule, work)].push_back(i);
    for (size_t i = 0; i < in_b_.size(); ++i) {
      if (!in_b_[i]) continue;
      auto found = waiting.find(Key(b_, b_.kernels[i], numbers, schedule, work));
      if (found == waiting.end() || found->second.empty()) continue;
      const size_t first = found->second.front();
      found->second.erase(found->second.begin());
      Add(reason, {first}, {i});
    }
  }

  // Kernels of both that share a place belong together, and with what shares one with them.
  void MatchPlaces() {
    const size_t n = in_a_.size();
    std::vector<size_t> group(n + in_b_.size());
    std::iota(group.begin(), group.end(), 0);
    auto root = [&](size_t i) {
      while (group[i] != i) i = group[i] = group[group[i]];
      return i;
    };
    std::map<std::string, size_t> first;
    auto join = [&](const Profile &p, const std::vector<bool> &in, size_t offset) {
      for (size_t i = 0; i < in.size(); ++i) {
        if (!in[i]) continue;
        for (const std::string &place : Places(p, p.kernels[i], false)) {
          auto [at, fresh] = first.emplace(place, i + offset);
          if (!fresh) group[root(i + offset)] = root(at->second);
        }
      }
    };
    join(a_, in_a_, 0);
    join(b_, in_b_, n);
    std::map<size_t, std::pair<std::vector<size_t>, std::vector<size_t>>> groups;
    for (size_t i = 0; i < in_a_.size(); ++i)
      if (in_a_[i]) groups[root(i)].first.push_back(i);
    for (size_t i = 0; i < in_b_.size(); ++i)
      if (in_b_[i]) groups[root(n + i)].second.push_back(i);
    for (const auto &[key, members] : groups)
      if (!members.first.empty() && !members.second.empty())
        Add(DiffReason::fusion, members.first, members.second);
  }

  void Add(DiffReason reason, const std::vector<size_t> &a, const std::vector<size_t> &b) {
    DiffRow row;
    row.reason = reason;
    double predicted_a = 0, predicted_b = 0;
    std::set<std::string> where;
    auto take = [&](const Profile &p, const std::vector<size_t> &list, std::vector<bool> &in,
                    std::vector<std::string> &names, double &ms, double &predicted) {
      for (size_t i : list) {
        const ProfileKernel &k = p.kernels[i];
        in[i] = false;
        names.push_back(k.name);
        ms += p.StepMs(static_cast<double>(k.work.wall_ns));
        predicted += p.StepMs(k.work.predicted_ns);
        for (const std::string &place : Places(p, k, true)) where.insert(place);
      }
    };
    take(a_, a, in_a_, row.before, row.before_ms, predicted_a);
    take(b_, b, in_b_, row.after, row.after_ms, predicted_b);
    row.where = absl::StrJoin(where, ", ");
    row.why = Why(row, a, b, predicted_a, predicted_b);
    diff_.rows.push_back(std::move(row));
  }

  std::string Why(const DiffRow &row, const std::vector<size_t> &a, const std::vector<size_t> &b,
                  double predicted_a, double predicted_b) const {
    switch (row.reason) {
    case DiffReason::same:
      return WhySame(row, predicted_a, predicted_b);
    case DiffReason::schedule: {
      const ProfileKernel &x = a_.kernels[a[0]], &y = b_.kernels[b[0]];
      std::vector<std::string> changes;
      if (x.schedule != y.schedule)
        changes.push_back(absl::StrCat("the schedule was <", Settings(x.schedule), "> and is <",
                                       Settings(y.schedule), ">"));
      if (x.reduction != y.reduction)
        changes.push_back(absl::StrCat("the reduction was <", Settings(x.reduction), "> and is <",
                                       Settings(y.reduction), ">"));
      return absl::StrJoin(changes, "; ");
    }
    case DiffReason::sizes: {
      const Work &x = a_.kernels[a[0]].work, &y = b_.kernels[b[0]].work;
      const double na = static_cast<double>(a_.steps() * a_.ranks),
                   nb = static_cast<double>(b_.steps() * b_.ranks);
      return absl::StrFormat(
          "the same code has other work: %.0f calls, %.4g GFLOP, %.4g MB a step were, and %.0f, "
          "%.4g, %.4g are",
          static_cast<double>(x.calls) / na, x.flops / na / 1e9, x.bytes / na / 1e6,
          static_cast<double>(y.calls) / nb, y.flops / nb / 1e9, y.bytes / nb / 1e6);
    }
    case DiffReason::fusion:
      return absl::StrCat(
          "fused otherwise: ", row.before.size(), row.before.size() == 1 ? " kernel was" : " kernels were",
          " made of these lines, and ", row.after.size(), row.after.size() == 1 ? " is" : " are");
    case DiffReason::only:
      return row.before.empty() ? "there was no such kernel before" : "there is no such kernel any more";
    case DiffReason::rest:
      break;
    }
    return "";
  }

  std::string WhySame(const DiffRow &row, double predicted_a, double predicted_b) const {
    if (std::fabs(row.change_ms()) <= diff_.spread * row.before_ms)
      return "the same code and work; within the spread of the steps";
    // What the measurements of both machines expect counts as a reason when it is a good part of the change.
    const double expected = predicted_a > 0 ? (predicted_b - predicted_a) / predicted_a : 0,
                 changed = row.before_ms > 0 ? row.change_ms() / row.before_ms : 0;
    if (std::fabs(expected) > 0.03 && expected * changed > 0 &&
        std::fabs(expected) > 0.3 * std::fabs(changed))
      return absl::StrCat("the same code and work on another machine, or a machine in another state: by what "
                          "was measured of both, ",
                          Relative(predicted_a, predicted_b), " are expected");
    return "the same code and work, and not what was measured of the machines: other load on them, or other "
           "places in "
           "memory";
  }

  void Rest() {
    std::map<std::string, std::pair<double, double>> sums;
    for (const ProfileSite &s : a_.sites)
      if (s.kernel < 0) sums[s.kind].first += a_.StepMs(static_cast<double>(s.work.wall_ns));
    for (const ProfileSite &s : b_.sites)
      if (s.kernel < 0) sums[s.kind].second += b_.StepMs(static_cast<double>(s.work.wall_ns));
    for (auto [name, x, y] :
         {std::tuple("host", a_.host_ns, b_.host_ns), std::tuple("data", a_.data_ns, b_.data_ns),
          std::tuple("other ranks", a_.other_ranks_ns, b_.other_ranks_ns)})
      sums[name] = {a_.StepMs(static_cast<double>(x)), b_.StepMs(static_cast<double>(y))};
    for (const auto &[name, ms] : sums) {
      DiffRow row;
      row.reason = DiffReason::rest;
      row.before = row.after = {name};
      row.before_ms = ms.first, row.after_ms = ms.second;
      diff_.rows.push_back(std::move(row));
    }
  }

  const Profile &a_, &b_;
  ProfileDiff diff_;
  std::vector<bool> in_a_, in_b_; // kernels that are not matched yet
};

} // namespace

const char *DiffReasonName(DiffReason reason) {
  switch (reason) {
  case DiffReason::same:
    return "same";
  case DiffReason::schedule:
    return "schedule";
  case DiffReason::sizes:
    return "sizes";
  case DiffReason::fusion:
    return "fusion";
  case DiffReason::only:
    return "only one";
  case DiffReason::rest:
    break;
  }
  return "rest";
}

ProfileDiff CompareProfiles(const Profile &before, const Profile &after) {
  return Comparison(before, after).Make();
}

} // namespace weft
