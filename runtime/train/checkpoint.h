// Checkpoints: a folder step-000200/ with the weights as a Hugging Face folder and Weft's own state beside
// them.
//
//   config.json, tokenizer.json, tokenizer_config.json, model.safetensors   what `transformers` loads
//   weft-state.safetensors   the optimiser's variables, by path ("optimizer.m.layers.mlp.up_proj.weight#3")
//   weft-state.json          step, place in the data, seed, how it was compiled; size and XXH3 of every other
//   file weft-recipe.toml         the run's recipe
//
// Layers are written one by one under their global numbers, so that a checkpoint fits every pipeline layout
// and number of ranks. A folder is written under a temporary name, synced, renamed, and its parent synced: a
// crash at any moment leaves the checkpoints that were there.
#pragma once

#include "runtime/artifact/artifact_generated.h"
#include "runtime/data/file_io.h"
#include "runtime/train/monitor_state.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace weft {

struct CheckpointState {
  int64_t step = 0; // optimiser steps done
  int64_t epoch = 0,
          row = 0; // place in the data of the next step: passes completed, rows into the present one
  uint64_t seed = 0;
  std::string data_hash;                      // of the training tokens
  std::string cpu_level;                      // "avx512": what it ran on; equal bits do not need it equal
  std::map<std::string, std::string> options; // the artifact's: dot_unit, shards, …
  MonitorState monitor;                       // all zero in a checkpoint of an older weft
};

// A variable and its memory in one rank.
struct VariableView {
  const fb::Variable *variable = nullptr;
  absl::Span<char> memory; // Variable.bytes
};

struct CheckpointContents {
  CheckpointState state;
  // Every stage's variables (of one data-parallel rank). A weight that two stages hold must be equal in both.
  std::vector<VariableView> variables;
  // Further files, by name: config.json, tokenizer.json, …
  std::map<std::string, std::string> files;
  bool keep_best = false; // state.monitor.stopping's best checkpoint is kept, and `best` names it
};

// Folders and what they are called.
std::string CheckpointName(int64_t step); // "step-000200"
// Steps of the checkpoints in `folder`, rising; by name alone.
std::vector<int64_t> ListCheckpoints(const std::string &folder);
// Makes folder/best, a symbolic link, name the checkpoint of `step`, in one rename; where there is no such
// checkpoint it stays what it is. Errors carry the system's reason: not every file system has links.
absl::Status LinkBest(const std::string &folder, int64_t step);

// A checkpoint under a temporary name, whole but perhaps not on the disk yet. The variables may change again.
class UnsyncedCheckpoint {
public:
  UnsyncedCheckpoint(UnsyncedCheckpoint &&) = default;
  // Syncs it and gives it its name, then removes all but the newest `keep` (0 = none is removed), step 0, the
  // best, and the one that a rollback goes back to. Returns the path. On an error nothing of it is left, and
  // what was there before is as it was. `best` gets what LinkBest says, which is no error of the checkpoint.
  absl::StatusOr<std::string> Commit(int64_t keep, absl::Status *best = nullptr);
  // Leaves nothing of it.
  void Abandon();

private:
  friend absl::StatusOr<UnsyncedCheckpoint> BeginCheckpoint(const std::string &, const CheckpointContents &);
  UnsyncedCheckpoint(std::string folder, const CheckpointContents &contents)
      : folder_(std::move(folder)), step_(contents.state.step),
        best_(contents.keep_best ? contents.state.monitor.stopping.best_step : -1),
        anchor_(contents.state.monitor.anchor) {}
  std::string Temporary() const;
  absl::Status Write(const CheckpointContents &contents);
  absl::Status PutIntoPlace();
  std::string folder_;
  int64_t step_, best_, anchor_; // best_: -1 for none
  std::vector<UnsyncedFile> files_;
};

// Hands a checkpoint's bytes to the system: the part that reads the variables. Errors name the file and the
// system's reason, and leave nothing; Internal when two stages hold different bytes of one weight.
absl::StatusOr<UnsyncedCheckpoint> BeginCheckpoint(const std::string &folder,
                                                   const CheckpointContents &contents);

// Both parts: writes folder/step-….
absl::StatusOr<std::string> WriteCheckpoint(const std::string &folder, const CheckpointContents &contents,
                                            int64_t keep);

// Checks that every file is there and whole. DataLoss names the checkpoint, the file and what is wrong with
// it.
absl::StatusOr<CheckpointState> VerifyCheckpoint(const std::string &path);

// The newest checkpoint of `folder` that is whole; each broken one met before it is told to `notice`.
// NotFound when there is none at all; DataLoss when there are, but all are broken.
struct FoundCheckpoint {
  std::string path;
  CheckpointState state;
};
absl::StatusOr<FoundCheckpoint> FindCheckpoint(const std::string &folder,
                                               const std::function<void(const std::string &)> &notice);

// The checkpoint that `path` names: itself, verified, or the newest good one of a run directory, as above.
absl::StatusOr<FoundCheckpoint> LocateCheckpoint(const std::string &path,
                                                 const std::function<void(const std::string &)> &notice);

// Reads a checkpoint into variables: parameters, and with `all` the optimiser's and others too (caches are
// left alone). The checkpoint should have been verified. Errors of SafetensorsReader::Read.
absl::Status ReadCheckpoint(const std::string &path, absl::Span<const VariableView> variables, bool all);

// Removes what a crash left half written or half removed. Only for the one process that writes to `folder`.
void RemoveLeftovers(const std::string &folder);

} // namespace weft
