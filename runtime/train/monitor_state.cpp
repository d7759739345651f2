#include "runtime/train/monitor_state.h"

#include <nlohmann/json.hpp>

#include <cmath>

namespace weft {
namespace {

using nlohmann::json;

constexpr size_t kMaxValues = 65536; // as the keys train.spike_window and train.spike_most have it

bool Whole(const json &object, const char *key, int64_t *out) {
  auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned() || found->get<uint64_t>() > uint64_t{1} << 53)
    return false;
  *out = found->get<int64_t>();
  return true;
}

bool Finite(const json &value) { return value.is_number() && std::isfinite(value.get<double>()); }

bool Floats(const json &object, const char *key, std::vector<float> *out) {
  auto found = object.find(key);
  if (found == object.end() || !found->is_array() || found->size() > kMaxValues) return false;
  for (const json &value : *found) {
    if (!Finite(value) || std::abs(value.get<double>()) > FLT_MAX) return false;
    out->push_back(value.get<float>());
  }
  return true;
}

} // namespace

json MonitorJson(const MonitorState &state) {
  json root = {{"anchor", state.anchor},
               {"waited", state.stopping.waited},
               {"skipped", state.spikes.skipped},
               {"losses", state.spikes.losses},
               {"grad_norms", state.spikes.grad_norms},
               {"spikes", state.spikes.batches}};
  if (state.stopping.best_step >= 0)
    root["best"] = {{"step", state.stopping.best_step}, {"loss", state.stopping.best}};
  return root;
}

bool ReadMonitor(const json &object, MonitorState *state) {
  *state = {};
  if (!object.is_object() || !Whole(object, "anchor", &state->anchor) ||
      !Whole(object, "waited", &state->stopping.waited) ||
      !Whole(object, "skipped", &state->spikes.skipped) || !Floats(object, "losses", &state->spikes.losses) ||
      !Floats(object, "grad_norms", &state->spikes.grad_norms) ||
      state->spikes.losses.size() != state->spikes.grad_norms.size())
    return false;
  if (auto best = object.find("best"); best != object.end()) {
    if (!best->is_object() || !Whole(*best, "step", &state->stopping.best_step) || !best->contains("loss") ||
        !Finite((*best)["loss"]))
      return false;
    state->stopping.best = (*best)["loss"].get<double>();
  }
  auto spikes = object.find("spikes");
  if (spikes == object.end() || !spikes->is_array() || spikes->size() > kMaxValues) return false;
  for (const json &batch : *spikes) {
    if (!batch.is_number_unsigned() || batch.get<uint64_t>() > uint64_t{1} << 53) return false;
    state->spikes.batches.push_back(batch.get<int64_t>());
  }
  return true;
}

} // namespace weft
