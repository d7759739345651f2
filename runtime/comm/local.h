// Ranks as threads of one process: a mesh of (data_parallel, pipeline).
#pragma once
#include "runtime/comm/communicator.h"

#include "absl/status/statusor.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>

namespace weft {

class LocalCommunicator;

// Shared by the communicators of its ranks, which must not outlive it. When every rank waits for something
// that no rank will ever give (a program whose sends and receives do not match), the mesh aborts with an
// error that says who waits for what.
class LocalMesh {
public:
  // InvalidArgument unless both are at least 1.
  static absl::StatusOr<std::unique_ptr<LocalMesh>> Create(int data_parallel, int pipeline);
  ~LocalMesh();

  int size() const { return data_parallel_ * pipeline_; }
  Communicator &communicator(int rank);

private:
  friend class LocalCommunicator;

  // A message channel: (sender's rank, receiver's rank, tag).
  using Channel = std::tuple<int, int, int32_t>;
  struct Mailbox {
    std::deque<std::vector<char>> messages;
    std::vector<std::vector<char>> spare; // buffers of received messages, reused
  };
  // What the ranks of one axis do together: each brings its pointer, all leave when all have come.
  struct Group {
    std::vector<int> members;
    std::vector<void *> pointers;
    int arrived = 0;
    int64_t generation = 0;
    // What the first to arrive wants; the others must want the same.
    const char *operation = nullptr;
    int64_t size = 0;
    int kind = 0;
  };
  struct Waiting {
    const std::function<bool()> *done = nullptr;
    std::function<std::string()> what;
  };

  LocalMesh(int data_parallel, int pipeline);
  Group &group(int rank, int axis);
  // Called with the lock held: waits until `done`, or the mesh is aborted, or nobody can go on.
  absl::Status Wait(std::unique_lock<std::mutex> &lock, int rank, const std::function<bool()> &done,
                    std::function<std::string()> what);
  // Meets the other members of a group.
  absl::Status Meet(Group &group, int rank, int member, void *pointer, const char *operation, int64_t size,
                    int kind);
  void AbortLocked(const absl::Status &status);

  const int data_parallel_, pipeline_;
  std::vector<std::unique_ptr<LocalCommunicator>> communicators_;

  std::mutex mutex_;
  std::condition_variable changed_;
  absl::Status aborted_;
  std::vector<Waiting> waiting_; // by rank; `done` is null when it does not wait
  std::map<Channel, Mailbox> mailboxes_;
  std::vector<Group> data_groups_;     // by pipeline position
  std::vector<Group> pipeline_groups_; // by data position
  Group everyone_;
};

} // namespace weft
