#include "frontends/cli/profile_report.h"
#include "frontends/cli/report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace weft {
namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string Percent(double part, double whole) {
  return whole > 0 ? absl::StrFormat("%.1f %%", 100 * part / whole) : "";
}
std::string Ms(double ms) { return absl::StrFormat("%.3f", ms); }

class Table {
public:
  explicit Table(const Profile &profile) : p_(profile), times_(profile.steps() * profile.ranks) {}

  std::vector<std::string> Row(const std::string &name, const Work &w, const std::string &where) const {
    const double wall = static_cast<double>(w.wall_ns), per = static_cast<double>(times_);
    std::vector<std::string> row = {
        name,
        absl::StrFormat("%g", static_cast<double>(w.calls) / per),
        Ms(p_.StepMs(wall)),
        Percent(wall, static_cast<double>(p_.total_ns())),
        Percent(static_cast<double>(w.busy_ns), wall * static_cast<double>(p_.threads)),
        absl::StrFormat("%.4g", w.flops / per / 1e9),
        absl::StrFormat("%.4g", w.bytes / per / 1e6),
        wall > 0 ? absl::StrFormat("%.1f", w.flops / wall) : "",
        wall > 0 ? absl::StrFormat("%.1f", w.bytes / wall) : "",
        Percent(w.roof_ns, wall),
        w.predicted_ns > 0 ? Ms(p_.StepMs(w.predicted_ns)) : "",
        w.predicted_ns > 0 && wall > 0 ? absl::StrFormat("%+.0f %%", 100 * (w.predicted_ns - wall) / wall)
                                       : ""};
    if (p_.no_counters.empty()) {
      const double cycles = static_cast<double>(w.counters[0]),
                   instructions = static_cast<double>(w.counters[1]),
                   misses = static_cast<double>(w.counters[3]);
      row.push_back(cycles > 0 ? absl::StrFormat("%.2f", instructions / cycles) : "");
      row.push_back(instructions > 0 ? absl::StrFormat("%.2f", 1000 * misses / instructions) : "");
    }
    row.push_back(where);
    return row;
  }
  Rows Begin(const std::string &of, const std::string &where) const {
    std::vector<std::string> row = {of,   "calls",   "ms",   "share",   "busy",      "GFLOP",
                                    "MB", "GFLOP/s", "GB/s", "of roof", "predicted", "error"};
    if (p_.no_counters.empty()) row.insert(row.end(), {"IPC", "misses/1k"});
    row.push_back(where);
    return {row};
  }
  // What is no instruction of the program, and the sum of all.
  void Finish(Rows &rows, const Work &sum) const {
    for (auto [name, ns] : {std::pair("host", p_.host_ns), std::pair("data", p_.data_ns),
                            std::pair("other ranks", p_.other_ranks_ns)})
      if (ns > 0 || std::string(name) != "other ranks")
        rows.push_back({name, "", Ms(p_.StepMs(static_cast<double>(ns))),
                        Percent(static_cast<double>(ns), static_cast<double>(p_.total_ns()))});
    Work all = sum;
    all.wall_ns += p_.host_ns + p_.data_ns + p_.other_ranks_ns;
    all.predicted_ns += static_cast<double>(p_.host_ns + p_.data_ns + p_.other_ranks_ns);
    rows.push_back(Row("together", all, ""));
  }

private:
  const Profile &p_;
  int64_t times_;
};

std::string WorkTable(const Profile &profile, const std::vector<WorkRow> &rows, int64_t top, bool kernels) {
  Table table(profile);
  Rows out = table.Begin(kernels ? "kernel" : "model line", kernels ? "lines" : "");
  Work sum, others;
  int64_t shown = 0, left = 0;
  for (const WorkRow &row : rows) {
    sum.Add(row.work);
    if (top > 0 && shown >= top) {
      others.Add(row.work);
      ++left;
      continue;
    }
    ++shown;
    std::string where;
    if (kernels && row.index >= 0) {
      std::vector<std::string> lines;
      for (int32_t line : profile.kernels[row.index].lines)
        if (std::string text = LineText(profile, line);
            std::find(lines.begin(), lines.end(), text) == lines.end())
          lines.push_back(text);
      if (lines.size() > 2) lines.resize(2), lines.push_back("…");
      where = absl::StrJoin(lines, " ");
    }
    out.push_back(table.Row(row.name, row.work, where));
  }
  if (left > 0) out.push_back(table.Row(absl::StrCat(left, left == 1 ? " other" : " others"), others, ""));
  table.Finish(out, sum);
  return TableText(out, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
}

std::string ThreadTable(const Profile &profile) {
  Rows rows = {{profile.ranks > 1 ? "rank, thread" : "thread", "kernels", "copies", "communication", "launch",
                "waiting", "host", "data", "= step, ms"}};
  const double steps = static_cast<double>(profile.steps()) * 1e6;
  for (const ThreadTime &t : profile.thread_times) {
    auto ms = [&](int64_t ns) { return Ms(static_cast<double>(ns) / steps); };
    rows.push_back({profile.ranks > 1 ? absl::StrCat(t.rank, ", ", t.thread) : absl::StrCat(t.thread),
                    ms(t.kernels_ns), ms(t.moves_ns), ms(t.communication_ns), ms(t.launch_ns),
                    ms(t.waiting_ns), ms(t.host_ns), ms(t.data_ns), ms(t.Sum())});
  }
  return TableText(rows, {1, 2, 3, 4, 5, 6, 7, 8});
}

std::string MachineText(const Profile &p) {
  std::string out = absl::StrCat("machine   ", p.machine.processor, ", ", p.machine.cpu_level, ", ",
                                 p.machine.threads, p.machine.threads == 1 ? " thread: " : " threads: ");
  for (const auto &[unit, rate] : p.machine.flops)
    absl::StrAppendFormat(&out, "%s %.0f GFLOP/s, ", unit, rate.all / 1e9);
  for (const MemoryLevel &level : p.machine.levels)
    absl::StrAppendFormat(&out, "%s %.0f GB/s, ", level.name, level.rate.all / 1e9);
  absl::StrAppendFormat(&out, "an empty launch %.2f us (measured %s%s)\n", p.machine.launch_ns / 1e3,
                        p.machine.measured, p.machine.disturbed ? ", beside other processes: too low" : "");
  return out;
}

} // namespace

std::string ProfileText(const Profile &p, int64_t top) {
  const auto [least, most] = std::minmax_element(p.step_ns.begin(), p.step_ns.end());
  const double mean = p.StepMs(static_cast<double>(p.total_ns())), profiled = Median(p.step_ns) / 1e6,
               plain = Median(p.plain_ns) / 1e6;
  std::string out =
      absl::StrFormat("step      %.1f ms (%d measured, %.1f to %.1f), %.0f tokens/s; %d %s of %d %s\n", mean,
                      p.steps(), static_cast<double>(*least) / 1e6, static_cast<double>(*most) / 1e6,
                      static_cast<double>(p.tokens) / mean * 1e3, p.ranks, p.ranks == 1 ? "rank" : "ranks",
                      p.threads, p.threads == 1 ? "thread" : "threads");
  if (plain > 0)
    absl::StrAppendFormat(
        &out, "profiler  %.1f ms without it, %.1f with it (medians of steps by turns): %+.1f %%\n", plain,
        profiled, 100 * (profiled - plain) / plain);
  out += MachineText(p);
  absl::StrAppendFormat(&out, "others    threads were put aside for other processes %.1f times a step\n",
                        static_cast<double>(p.preemptions) / static_cast<double>(p.steps()));
  absl::StrAppend(&out, "model     ", p.model, ", ", p.weights, "\n");
  absl::StrAppend(&out, "counters  ",
                  p.no_counters.empty() ? "of the processor, in the threads' shares" : p.no_counters, "\n\n");
  absl::StrAppend(&out, WorkTable(p, RowsByKernel(p), top, true), "\n",
                  WorkTable(p, RowsByLine(p), top, false), "\n", ThreadTable(p));
  out += "\nOf one step: ms from a launch until its last thread is done; busy: how much of that the threads "
         "compute; of "
         "roof: how near\nto what the dot unit and memory allow (above 100 %: from a cache). "
         "docs/profiling.md says how to "
         "read it.\n";
  return out;
}

std::string DiffText(const ProfileDiff &diff, int64_t top) {
  std::string out = absl::StrFormat(
      "step  %.1f ms before, %.1f after: %+.1f ms (%+.1f %%); steps of one profile differ by "
      "up to %.1f %%\n",
      diff.before_ms, diff.after_ms, diff.after_ms - diff.before_ms,
      diff.before_ms > 0 ? 100 * (diff.after_ms - diff.before_ms) / diff.before_ms : 0, 100 * diff.spread);
  for (const std::string &setting : diff.settings) absl::StrAppend(&out, "setting: ", setting, "\n");
  for (const std::string &machine : diff.machine) absl::StrAppend(&out, "machine: ", machine, "\n");
  out += "\n";
  Rows rows = {{"before, ms", "after", "change", "reason", "kernels", "why"}};
  double before = 0, after = 0;
  int64_t left = 0;
  for (const DiffRow &row : diff.rows) {
    if (top > 0 && static_cast<int64_t>(rows.size()) > top) {
      before += row.before_ms, after += row.after_ms;
      ++left;
      continue;
    }
    const std::string a = absl::StrJoin(row.before, "+"), b = absl::StrJoin(row.after, "+");
    rows.push_back({Ms(row.before_ms), Ms(row.after_ms), absl::StrFormat("%+.3f", row.change_ms()),
                    DiffReasonName(row.reason),
                    a == b ? a : absl::StrCat(a.empty() ? "–" : a, " → ", b.empty() ? "–" : b),
                    absl::StrCat(row.why, row.where.empty() ? "" : absl::StrCat(" [", row.where, "]"))});
  }
  if (left > 0)
    rows.push_back(
        {Ms(before), Ms(after), absl::StrFormat("%+.3f", after - before), "", absl::StrCat(left, " others")});
  rows.push_back({Ms(diff.before_ms), Ms(diff.after_ms),
                  absl::StrFormat("%+.3f", diff.after_ms - diff.before_ms), "", "together"});
  return out + TableText(rows, {0, 1, 2});
}

std::string DiffJson(const ProfileDiff &diff) {
  nlohmann::json rows = nlohmann::json::array();
  for (const DiffRow &row : diff.rows)
    rows.push_back({{"reason", DiffReasonName(row.reason)},
                    {"before", row.before},
                    {"after", row.after},
                    {"before_ms", row.before_ms},
                    {"after_ms", row.after_ms},
                    {"where", row.where},
                    {"why", row.why}});
  nlohmann::json root = {{"before_ms", diff.before_ms}, {"after_ms", diff.after_ms}, {"spread", diff.spread},
                         {"settings", diff.settings},   {"machine", diff.machine},   {"rows", rows}};
  return root.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

} // namespace weft
