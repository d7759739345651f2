// Saves checkpoints while the run goes on.
#pragma once

#include "runtime/train/checkpoint.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include <cstdint>
#include <functional>
#include <future>
#include <optional>
#include <string>

namespace weft {

// The run stands still while the bytes go to the system; a thread then waits for the disk, gives the folder
// its name and removes old checkpoints. No second copy of the state is held: what waits is in the page cache.
class CheckpointSaver {
public:
  CheckpointSaver(std::string folder, int64_t keep) : folder_(std::move(folder)), keep_(keep) {}

  struct Outcome {
    int64_t step = 0;
    absl::StatusOr<std::string> path; // of the checkpoint, or why there is none
    absl::Status best;                // why `best` could not be made to name the best one
  };
  // Begins a checkpoint; none may be under way. `sync`, called by the thread, puts onto the disk what should
  // be there before the checkpoint has its name.
  absl::Status Begin(const CheckpointContents &contents, std::function<absl::Status()> sync);
  // How the checkpoint under way ended, told once; nothing when there is none, or it goes on and `wait` is
  // false.
  std::optional<Outcome> Ended(bool wait);

private:
  std::string folder_;
  int64_t keep_;
  std::future<Outcome> under_way_; // its destructor waits
};

} // namespace weft
