// The ranks of a run as threads of this process, each with its session.
#pragma once

#include "runtime/artifact/reader.h"
#include "runtime/comm/local.h"
#include "runtime/executor/executor.h"
#include "runtime/train/checkpoint.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace weft {

struct RanksOptions {
  std::shared_ptr<const LoadedArtifact> artifact;
  CpuOptions cpu;
  int data_parallel = 1, pipeline = 1;
  int threads = 0; // of a rank; 0 = the machine's, divided by the ranks
};

// Rank = data position * pipeline + pipeline position.
class Ranks {
public:
  // Errors of KernelLibrary::Load and Session::Create.
  static absl::StatusOr<std::unique_ptr<Ranks>> Create(const RanksOptions &options);
  ~Ranks();

  int size() const { return static_cast<int>(sessions_.size()); }
  int data_parallel() const { return options_.data_parallel; }
  int pipeline() const { return options_.pipeline; }
  int data_position(int rank) const { return rank / options_.pipeline; }
  Session &session(int rank) { return *sessions_[rank]; }
  int threads() const { return threads_; }
  const fb::Artifact &artifact() const { return *options_.artifact->root; }
  const std::string &artifact_path() const { return options_.artifact->path; }

  // Calls `f` with every rank on the rank's own thread, and returns when all have returned: the error that
  // came first, if any; after one the ranks cannot be used again.
  absl::Status ForEach(const std::function<absl::Status(int rank)> &f);

  // The variables that a checkpoint is made of: every stage's, of the first data-parallel rank.
  std::vector<VariableView> CheckpointVariables();
  std::vector<VariableView> Variables(int rank);

private:
  explicit Ranks(RanksOptions options) : options_(std::move(options)) {}
  void Work(int rank);
  absl::Status Call(const std::function<absl::Status(int)> &f, int rank);

  RanksOptions options_;
  int threads_ = 1;
  std::unique_ptr<LocalMesh> mesh_;
  std::vector<std::unique_ptr<Session>> sessions_;

  // Rank 0 runs on the caller's thread.
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<absl::Status(int)> *job_ = nullptr;
  int64_t generation_ = 0;
  int pending_ = 0;
  bool stop_ = false;
  absl::Status first_error_;
};

// An option of an artifact; "" when it has none of that name.
std::string ArtifactOption(const fb::Artifact &artifact, absl::string_view key);

// One entry of one rank with its arguments bound by name: what a stage has no use for is simply not there.
class EntryCall {
public:
  // NotFound when the stage has no such entry.
  static absl::StatusOr<EntryCall> Make(Session &session, absl::string_view entry);
  // Binds if the entry has such an argument; says whether it has.
  bool Bind(absl::string_view name, const void *data, int64_t bytes);
  bool Has(absl::string_view name) const { return Find(name) != nullptr; }
  // Null when there is none.
  const fb::Argument *Find(absl::string_view name) const;
  // What the entry gives, in the artifact's order.
  std::vector<const fb::Argument *> Outputs() const;
  // FailedPrecondition when an argument was never bound: the compiler and this runtime do not know the same
  // arguments.
  absl::Status Run();

private:
  EntryCall(Session *session, int entry) : session_(session), entry_(entry) {}
  Session *session_;
  int entry_;
  std::vector<Binding> bindings_;
  std::vector<bool> bound_;
};

} // namespace weft
