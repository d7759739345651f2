#include "runtime/train/checkpoint_saver.h"

#include <chrono>
#include <memory>

namespace weft {

absl::Status CheckpointSaver::Begin(const CheckpointContents &contents, std::function<absl::Status()> sync) {
  absl::StatusOr<UnsyncedCheckpoint> begun = BeginCheckpoint(folder_, contents);
  if (!begun.ok()) return begun.status();
  under_way_ =
      std::async(std::launch::async, [keep = keep_, step = contents.state.step, sync = std::move(sync),
                                      checkpoint = std::make_unique<UnsyncedCheckpoint>(*std::move(begun))] {
        Outcome outcome;
        outcome.step = step;
        if (absl::Status synced = sync(); !synced.ok()) {
          checkpoint->Abandon();
          outcome.path = synced;
        } else {
          outcome.path = checkpoint->Commit(keep, &outcome.best);
        }
        return outcome;
      });
  return absl::OkStatus();
}

std::optional<CheckpointSaver::Outcome> CheckpointSaver::Ended(bool wait) {
  if (!under_way_.valid()) return std::nullopt;
  if (!wait && under_way_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return std::nullopt;
  return under_way_.get();
}

} // namespace weft
