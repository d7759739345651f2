#include "runtime/report/curves.h"

#include "runtime/data/json_depth.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace weft {
namespace {

using nlohmann::json;

constexpr int64_t kMostSteps = int64_t{1} << 53; // what JavaScript counts exactly
constexpr size_t kMostName = 64, kMostWhy = 500;
constexpr double kMostValue = 1e300; // sums of it over a bucket would be infinite beyond

bool IsStep(const json &value) {
  return value.is_number_unsigned() && value.get<uint64_t>() <= static_cast<uint64_t>(kMostSteps);
}
bool IsValue(const json &value) {
  return value.is_number() && std::abs(value.get<double>()) <= kMostValue; // false for NaN
}

// The cells of a list of numbers, or of a list of such lists of one length; empty when it is neither.
std::vector<float> Cells(const json &value, int64_t *rows, int64_t *columns) {
  std::vector<float> cells;
  const bool flat = !value.empty() && !value[0].is_array();
  *rows = flat ? 1 : static_cast<int64_t>(value.size());
  *columns = value.empty() ? 0 : static_cast<int64_t>(flat ? value.size() : value[0].size());
  auto add = [&](const json &row) {
    if (static_cast<int64_t>(row.size()) != *columns) return false;
    for (const json &cell : row) {
      if (!IsValue(cell)) return false;
      cells.push_back(static_cast<float>(std::clamp<double>(cell.get<double>(), -1e38, 1e38)));
    }
    return true;
  };
  if (flat) return add(value) ? cells : std::vector<float>();
  for (const json &row : value)
    if (!row.is_array() || !add(row)) return {};
  return cells;
}

// Means over blocks, so that there are at most `most_rows` by `most_columns`.
std::vector<float> Reduced(const std::vector<float> &cells, int64_t rows, int64_t columns, int64_t new_rows,
                           int64_t new_columns) {
  std::vector<double> sums(new_rows * new_columns, 0);
  std::vector<int64_t> counts(new_rows * new_columns, 0);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      int64_t to = r * new_rows / rows * new_columns + c * new_columns / columns;
      sums[to] += cells[r * columns + c];
      ++counts[to];
    }
  std::vector<float> out(sums.size());
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<float>(sums[i] / static_cast<double>(std::max<int64_t>(1, counts[i])));
  return out;
}

} // namespace

double Rounded(double value) { return std::strtod(absl::StrFormat("%.5g", value).c_str(), nullptr); }

void Curves::AddLine(std::string_view line) {
  if (JsonNestsDeeper(line)) return;
  const json object = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return;
  auto step = object.find("step");
  if (step == object.end() || !IsStep(*step)) return;
  const int64_t at = step->get<int64_t>();
  if (auto event = object.find("event"); event != object.end()) {
    auto why = object.find("why");
    if (!event->is_string()) return;
    ++num_events_;
    events_.push_back(
        {at, event->get<std::string>().substr(0, kMostName),
         why != object.end() && why->is_string() ? why->get<std::string>().substr(0, kMostWhy) : ""});
    if (events_.size() > kMaxEvents) events_.pop_front();
    return; // its numbers are not the run's
  }
  for (const auto &[name, value] : object.items()) {
    if (name == "step" || name.size() > kMostName) continue;
    if (IsValue(value))
      AddNumber(name, at, value.get<double>());
    else if (value.is_array())
      AddMap(name, at, value);
  }
}

void Curves::AddNumber(const std::string &name, int64_t step, double value) {
  auto found = series_.find(name);
  if (found == series_.end()) {
    if (series_.size() >= kMaxSeries) return;
    found = series_.emplace(name, Series()).first;
  }
  last_[name] = value;
  Series &series = found->second;
  auto [at, fresh] = series.buckets.try_emplace(step / series.width);
  Bucket &bucket = at->second;
  bucket.least = fresh ? value : std::min(bucket.least, value);
  bucket.most = fresh ? value : std::max(bucket.most, value);
  bucket.sum += value;
  bucket.step = step;
  ++bucket.count;
  while (series.buckets.size() > kMaxBuckets) {
    series.width *= 2;
    std::map<int64_t, Bucket> merged;
    for (const auto &[index, old] : series.buckets) {
      auto [into, first] = merged.try_emplace(index / 2, old);
      if (first) continue;
      Bucket &b = into->second;
      b.least = std::min(b.least, old.least);
      b.most = std::max(b.most, old.most);
      b.sum += old.sum;
      b.count += old.count;
      b.step = old.step;
    }
    series.buckets = std::move(merged);
  }
}

void Curves::AddMap(const std::string &name, int64_t step, const json &value) {
  int64_t layers = 0, experts = 0;
  std::vector<float> cells = Cells(value, &layers, &experts);
  if (cells.empty() || (!maps_.count(name) && maps_.size() >= kMaxMaps)) return;
  Map &map = maps_[name];
  if (map.layers != layers || map.experts != experts) { // another model's
    map = {};
    map.layers = layers, map.experts = experts;
    map.rows = std::min(layers, kMaxRows), map.columns = std::min(experts, kMaxColumns);
  }
  if (map.last_is_extra) map.frames.pop_back();
  map.last_is_extra = map.seen++ % map.stride != 0;
  if (map.rows != layers || map.columns != experts)
    cells = Reduced(cells, layers, experts, map.rows, map.columns);
  map.frames.push_back({step, std::move(cells)});
  if (map.last_is_extra || map.frames.size() <= kMaxFrames) return;
  std::vector<Frame> kept;
  for (size_t i = 0; i < map.frames.size(); i += 2) kept.push_back(std::move(map.frames[i]));
  map.last_is_extra = map.frames.size() % 2 == 0;
  if (map.last_is_extra) kept.push_back(std::move(map.frames.back()));
  map.frames = std::move(kept);
  map.stride *= 2;
}

json Curves::Json() const {
  json series = json::object(), maps = json::object(), events = json::array(), last = json::object();
  for (const auto &[name, s] : series_) {
    json steps = json::array(), mean = json::array(), least = json::array(), most = json::array();
    for (const auto &[index, bucket] : s.buckets) {
      steps.push_back(bucket.step);
      mean.push_back(Rounded(bucket.sum / static_cast<double>(bucket.count)));
      if (s.width == 1) continue;
      least.push_back(Rounded(bucket.least));
      most.push_back(Rounded(bucket.most));
    }
    series[name] = {{"width", s.width}, {"step", steps}, {"mean", mean}};
    if (s.width > 1) series[name]["least"] = least, series[name]["most"] = most;
  }
  for (const auto &[name, map] : maps_) {
    float low = map.frames[0].cells[0], high = low;
    for (const Frame &frame : map.frames)
      for (float cell : frame.cells) low = std::min(low, cell), high = std::max(high, cell);
    json steps = json::array(), frames = json::array();
    const double range = static_cast<double>(high) - static_cast<double>(low);
    for (const Frame &frame : map.frames) {
      std::string bytes;
      for (float cell : frame.cells)
        bytes += static_cast<char>(
            range > 0 ? std::lround((static_cast<double>(cell) - static_cast<double>(low)) / range * 255)
                      : 0);
      steps.push_back(frame.step);
      frames.push_back(absl::Base64Escape(bytes));
    }
    maps[name] = {{"rows", map.rows},       {"columns", map.columns}, {"layers", map.layers},
                  {"experts", map.experts}, {"low", Rounded(low)},    {"high", Rounded(high)},
                  {"steps", steps},         {"frames", frames}};
  }
  for (const Event &event : events_)
    events.push_back({{"step", event.step}, {"event", event.name}, {"why", event.why}});
  for (const auto &[name, value] : last_) last[name] = Rounded(value);
  return {
      {"series", series}, {"maps", maps}, {"events", events}, {"num_events", num_events_}, {"last", last}};
}

} // namespace weft
