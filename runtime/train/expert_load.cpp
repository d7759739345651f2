#include "runtime/train/expert_load.h"
#include "runtime/train/ranks.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace weft {

void ExpertLoad::Append(const ExpertLoad &later) {
  choices.insert(choices.end(), later.choices.begin(), later.choices.end());
  biases.insert(biases.end(), later.biases.begin(), later.biases.end());
}

void ExpertLoadOutputs::Bind(EntryCall &call) {
  for (const fb::Argument *argument : call.Outputs()) {
    absl::string_view name(argument->name()->c_str(), argument->name()->size());
    bool load = absl::StartsWith(name, "expert_load."), bias = absl::StartsWith(name, "expert_bias.");
    const auto *shape = argument->shape();
    if ((!load && !bias) || argument->dtype() != fb::DType::f32 || !shape || shape->size() == 0 ||
        argument->bytes() == 0)
      continue;
    Output &output = outputs_.emplace_back();
    output.is_bias = bias;
    output.experts = shape->Get(shape->size() - 1);
    output.values.resize(argument->bytes() / sizeof(float));
    call.Bind(name, output.values.data(), argument->bytes());
  }
}

ExpertLoad ExpertLoadOutputs::Read() const {
  ExpertLoad load;
  for (const Output &output : outputs_)
    for (auto row = output.values.begin(); row < output.values.end(); row += output.experts)
      (output.is_bias ? load.biases : load.choices).emplace_back(row, row + output.experts);
  return load;
}

std::vector<std::pair<std::string, double>> ExpertLoadNumbers(const ExpertLoad &load, int64_t tokens) {
  if (load.empty()) return {};
  double largest = 0, entropy = 0, dropped = 0;
  for (const std::vector<float> &row : load.choices) {
    double total = std::accumulate(row.begin(), row.end(), 0.0);
    for (float n : row) {
      double share = total > 0 ? n / total : 0;
      largest = std::max(largest, share * static_cast<double>(row.size()));
      if (share > 0) entropy -= share * std::log(share);
    }
    // Every token has the same number of choices.
    if (tokens > 0)
      dropped += std::ceil(total / static_cast<double>(tokens)) * static_cast<double>(tokens) - total;
  }
  return {{"expert_load_max", largest},
          {"routing_entropy", entropy / static_cast<double>(load.choices.size())},
          {"dropped", dropped}};
}

std::string ExpertLoadJson(const ExpertLoad &load, int64_t tokens) {
  if (load.empty()) return "";
  auto number = [](std::string *out, double v) {
    absl::StrAppend(out, std::isfinite(v) ? absl::StrFormat("%.4g", v) : "null");
  };
  auto table = [&](const std::vector<std::vector<double>> &rows) {
    return absl::StrCat("[",
                        absl::StrJoin(rows, ",",
                                      [&](std::string *out, const std::vector<double> &row) {
                                        absl::StrAppend(out, "[", absl::StrJoin(row, ",", number), "]");
                                      }),
                        "]");
  };
  std::vector<std::vector<double>> relative, biases;
  for (const std::vector<float> &row : load.choices) {
    double total = std::accumulate(row.begin(), row.end(), 0.0);
    std::vector<double> &out = relative.emplace_back();
    for (float n : row) out.push_back(total > 0 ? n / total * static_cast<double>(row.size()) : 0);
  }
  for (const std::vector<float> &row : load.biases) biases.emplace_back(row.begin(), row.end());
  std::string text = absl::StrCat(",\"expert_load\":", table(relative));
  for (const auto &[name, value] : ExpertLoadNumbers(load, tokens)) {
    absl::StrAppend(&text, ",\"", name, "\":");
    number(&text, value);
  }
  if (!biases.empty()) absl::StrAppend(&text, ",\"expert_bias\":", table(biases));
  return text;
}

} // namespace weft
