#include "runtime/train/metrics.h"
#include "runtime/data/file_io.h"
#include "runtime/data/json_depth.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

namespace weft {
namespace {

constexpr uint64_t kMaxMetricsBytes = uint64_t{4} << 30;

// Bytes of the leading lines that are whole and of steps up to `last_step`.
size_t KeptBytes(const std::string &text, int64_t last_step) {
  size_t at = 0;
  while (at < text.size()) {
    size_t end = text.find('\n', at);
    if (end == std::string::npos) break;
    if (JsonNestsDeeper({text.data() + at, end - at})) break;
    nlohmann::json line = nlohmann::json::parse(text.data() + at, text.data() + end, nullptr, false);
    if (!line.is_object() || !line.contains("step") || !line["step"].is_number_integer()) break;
    if (line["step"].get<int64_t>() > last_step) break;
    at = end + 1;
  }
  return at;
}

// A float's shortest digits; JSON has no infinity.
std::string Number(double value) { return std::isfinite(value) ? absl::StrFormat("%.9g", value) : "null"; }

} // namespace

absl::StatusOr<AppendFile> OpenStepLines(const std::string &path, int64_t last_step) {
  absl::StatusOr<std::string> text = ReadFile(path, kMaxMetricsBytes);
  if (!text.ok() && !absl::IsNotFound(text.status())) return text.status();
  return AppendFile::Open(path, text.ok() ? KeptBytes(*text, last_step) : 0);
}

absl::StatusOr<std::vector<std::string>> EventLines(const std::string &path, absl::string_view name,
                                                    int64_t step) {
  absl::StatusOr<std::string> text = ReadFile(path, kMaxMetricsBytes);
  if (!text.ok()) return text.status();
  std::vector<std::string> lines;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    if (!absl::StrContains(line, "\"event\"") || JsonNestsDeeper({line.data(), line.size()})) continue;
    nlohmann::json object = nlohmann::json::parse(line.begin(), line.end(), nullptr, false);
    if (object.is_object() && object.value("event", nlohmann::json()) == std::string(name) &&
        object.value("step", nlohmann::json()) == step)
      lines.emplace_back(line);
  }
  return lines;
}

absl::StatusOr<MetricsFile> MetricsFile::Open(const std::string &path, int64_t last_step) {
  absl::StatusOr<AppendFile> file = OpenStepLines(path, last_step);
  if (!file.ok()) return file.status();
  return MetricsFile(*std::move(file));
}

absl::Status MetricsFile::Add(const StepMetrics &m) {
  std::string more;
  for (const auto &[name, value] : m.more) absl::StrAppend(&more, ",\"", name, "\":", Number(value));
  return file_.Append(absl::StrCat("{\"step\":", m.step, ",\"loss\":", Number(m.loss), more,
                                   ",\"lr\":", Number(m.lr), ",\"grad_norm\":", Number(m.grad_norm),
                                   ",\"tokens_per_second\":", absl::StrFormat("%.1f", m.tokens_per_second),
                                   ",\"step_ms\":", absl::StrFormat("%.3f", m.step_ms),
                                   ExpertLoadJson(m.experts, m.tokens), "}\n"));
}

absl::Status MetricsFile::Add(const EvalMetrics &m) {
  return file_.Append(absl::StrCat("{\"step\":", m.step, ",\"eval_loss\":",
                                   std::isfinite(m.loss) ? absl::StrFormat("%.17g", m.loss) : "null",
                                   ",\"eval_targets\":", m.targets, "}\n"));
}

absl::Status MetricsFile::Add(const RunEvent &e) {
  auto text = [](const std::string &s) {
    return nlohmann::json(s).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  std::string spike = e.batch < 0 ? ""
                                  : absl::StrCat(",\"batch\":", e.batch, ",\"spike_loss\":", Number(e.loss),
                                                 ",\"spike_grad_norm\":", Number(e.grad_norm));
  return file_.Append(absl::StrCat("{\"step\":", e.step, ",\"event\":", text(e.name),
                                   ",\"why\":", text(e.why), spike, "}\n"));
}

std::string DurationText(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "?";
  int64_t s = std::llround(seconds);
  if (s >= 86400) return absl::StrFormat("%dd%02dh", s / 86400, s / 3600 % 24);
  if (s >= 3600) return absl::StrFormat("%dh%02dm", s / 3600, s / 60 % 60);
  if (s >= 60) return absl::StrFormat("%dm%02ds", s / 60, s % 60);
  return absl::StrFormat("%ds", s);
}

std::string CountText(double count) {
  const char *units[] = {"", "k", "M", "G", "T"};
  int unit = 0;
  while (count >= 999.5 && unit < 4) count /= 1000, ++unit;
  if (unit == 0) return absl::StrFormat("%.0f", count);
  int decimals = count < 9.995 ? 2 : count < 99.95 ? 1 : 0;
  return absl::StrFormat("%.*f%s", decimals, count, units[unit]);
}

Progress::Progress(FILE *out, bool terminal, FILE *log, int64_t first_step, int64_t steps, int64_t log_every)
    : out_(out), log_(log), terminal_(terminal), first_step_(first_step), steps_(steps),
      log_every_(log_every) {}

void Progress::Clear() {
  if (line_open_) std::fputs("\r\x1b[K", out_);
  line_open_ = false;
}

void Progress::Log(const std::string &text) {
  if (!log_) return;
  bool failed = std::fprintf(log_, "%s\n", text.c_str()) < 0 || std::fflush(log_) != 0;
  if (failed && !log_failing_)
    std::fprintf(out_, "warning: cannot write the log: %s (it is said here alone)\n", std::strerror(errno));
  log_failing_ = failed;
  std::clearerr(log_);
}

void Progress::Say(const std::string &text) {
  Clear();
  std::fprintf(out_, "%s\n", text.c_str());
  std::fflush(out_);
  Log(text);
}

void Progress::Step(const StepMetrics &m) {
  smoothed_ms_ = smoothed_ms_ == 0 ? m.step_ms : 0.95 * smoothed_ms_ + 0.05 * m.step_ms;
  std::string more;
  for (const auto &[name, value] : m.more) absl::StrAppend(&more, absl::StrFormat("  %s %.4f", name, value));
  std::string text =
      absl::StrFormat("step %d/%d  loss %.4f%s  lr %.2e  grad norm %.2f  %s tokens/s  %s left", m.step,
                      steps_, m.loss, more, m.lr, m.grad_norm, CountText(m.tokens_per_second),
                      DurationText((steps_ - m.step) * smoothed_ms_ / 1000));
  bool last = m.step == steps_;
  bool line = m.step % log_every_ == 0 || last || m.step == first_step_;
  if (!terminal_) {
    if (line) Say(text);
    return;
  }
  if (line) Log(text);
  auto now = std::chrono::steady_clock::now();
  if (!last && line_open_ && now - last_drawn_ < std::chrono::milliseconds(100)) return;
  Clear();
  std::fputs(text.c_str(), out_);
  std::fflush(out_);
  line_open_ = true;
  last_drawn_ = now;
}

void Progress::Eval(const EvalMetrics &m) {
  Say(absl::StrFormat("step %d/%d  validation loss %.4f  perplexity %.2f  (%s targets)", m.step, steps_,
                      m.loss, std::exp(m.loss), CountText(m.targets)));
}

void Progress::Finish() {
  if (line_open_) std::fputs("\n", out_);
  line_open_ = false;
}

} // namespace weft
