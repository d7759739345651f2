// What a run remembers of its curves between steps, and how weft-state.json holds it.
#pragma once

#include "runtime/train/early_stopping.h"
#include "runtime/train/spikes.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>

namespace weft {

struct MonitorState {
  StoppingState stopping;
  SpikeState spikes;
  // The step of the checkpoint that a rollback goes back to: the newest that every such run makes, unlike one
  // of Ctrl-C. 0: the initial values.
  int64_t anchor = 0;
};

// {"anchor":50,"best":{"step":40,"loss":2.5},"waited":1,"skipped":3,"losses":[…],"grad_norms":[…],"spikes":[51]}
nlohmann::json MonitorJson(const MonitorState &state);
// False when a field is missing or wrong.
bool ReadMonitor(const nlohmann::json &object, MonitorState *state);

} // namespace weft
