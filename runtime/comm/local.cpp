#include "runtime/comm/local.h"
#include "runtime/artifact/dtype.h"
#include "runtime/comm/tree_sum.h"

#include "absl/strings/str_cat.h"

#include <algorithm>
#include <cstring>

namespace weft {

class LocalCommunicator : public Communicator {
public:
  LocalCommunicator(LocalMesh &mesh, int rank) : mesh_(mesh), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return mesh_.size(); }
  int position(int axis) const override {
    return axis == kDataAxis ? rank_ / mesh_.pipeline_ : rank_ % mesh_.pipeline_;
  }
  int axis_size(int axis) const override {
    return axis == kDataAxis ? mesh_.data_parallel_ : mesh_.pipeline_;
  }

  absl::Status AllReduceSum(void *data, fb::DType dtype, int64_t elements, int axis) override {
    if (absl::Status status = CheckAxis(axis); !status.ok()) return status;
    if (elements < 0 || ByteSize(dtype) == 0 || dtype == fb::DType::boolean || dtype == fb::DType::bf16)
      return Fail(absl::InvalidArgumentError(absl::StrCat("all-reduce of ", elements, " elements of type ",
                                                          static_cast<int>(dtype), " is not defined")));
    LocalMesh::Group &group = mesh_.group(rank_, axis);
    int members = axis_size(axis), member = position(axis);
    absl::Status status =
        mesh_.Meet(group, rank_, member, data, "all-reduce", elements, static_cast<int>(dtype));
    if (!status.ok() || members == 1) return status;
    // Every member sums its slice of all arrays. Borders at whole cache lines keep the members off each
    // other's lines.
    int64_t lines = (elements + 15) / 16;
    int64_t begin = std::min(elements, lines * member / members * 16);
    int64_t end = std::min(elements, lines * (member + 1) / members * 16);
    TreeSumInPlace(group.pointers, dtype, begin, end);
    return mesh_.Meet(group, rank_, member, data, "all-reduce's end", elements, static_cast<int>(dtype));
  }

  absl::Status Broadcast(void *data, int64_t bytes, int root, int axis) override {
    if (absl::Status status = CheckPeer(axis, root, "broadcast"); !status.ok()) return status;
    LocalMesh::Group &group = mesh_.group(rank_, axis);
    int member = position(axis);
    absl::Status status = mesh_.Meet(group, rank_, member, data, "broadcast", bytes, root);
    if (!status.ok()) return status;
    if (member != root && bytes > 0) std::memcpy(data, group.pointers[root], bytes);
    return mesh_.Meet(group, rank_, member, data, "broadcast's end", bytes, root);
  }

  absl::Status Send(const void *data, int64_t bytes, int axis, int peer, int32_t tag) override {
    if (absl::Status status = CheckPeer(axis, peer, "send"); !status.ok()) return status;
    LocalMesh::Channel channel{rank_, PeerRank(axis, peer), tag};
    std::vector<char> message;
    {
      std::lock_guard<std::mutex> lock(mesh_.mutex_);
      if (!mesh_.aborted_.ok()) return mesh_.aborted_;
      auto &spare = mesh_.mailboxes_[channel].spare;
      if (!spare.empty()) {
        message = std::move(spare.back());
        spare.pop_back();
      }
    }
    message.resize(bytes);
    if (bytes > 0) std::memcpy(message.data(), data, bytes);
    std::lock_guard<std::mutex> lock(mesh_.mutex_);
    mesh_.mailboxes_[channel].messages.push_back(std::move(message));
    mesh_.changed_.notify_all();
    return mesh_.aborted_;
  }

  absl::Status Receive(void *data, int64_t bytes, int axis, int peer, int32_t tag) override {
    if (absl::Status status = CheckPeer(axis, peer, "receive"); !status.ok()) return status;
    int sender = PeerRank(axis, peer);
    std::unique_lock<std::mutex> lock(mesh_.mutex_);
    LocalMesh::Mailbox &mailbox = mesh_.mailboxes_[{sender, rank_, tag}];
    absl::Status status = mesh_.Wait(
        lock, rank_, [&] { return !mailbox.messages.empty(); },
        [&] { return absl::StrCat("a message from rank ", sender, " with tag ", tag); });
    if (!status.ok()) return status;
    std::vector<char> message = std::move(mailbox.messages.front());
    mailbox.messages.pop_front();
    lock.unlock();
    if (static_cast<int64_t>(message.size()) != bytes)
      return Fail(absl::InvalidArgumentError(absl::StrCat("rank ", rank_, " receives ", bytes,
                                                          " bytes from rank ", sender, " with tag ", tag,
                                                          " when ", message.size(), " were sent")));
    if (bytes > 0) std::memcpy(data, message.data(), bytes);
    lock.lock();
    mailbox.spare.push_back(std::move(message));
    return absl::OkStatus();
  }

  absl::Status Barrier() override {
    return mesh_.Meet(mesh_.everyone_, rank_, rank_, nullptr, "barrier", 0, 0);
  }

  void Abort(const absl::Status &status) override {
    std::lock_guard<std::mutex> lock(mesh_.mutex_);
    mesh_.AbortLocked(status);
  }

private:
  absl::Status Fail(absl::Status status) {
    Abort(status);
    return status;
  }
  absl::Status CheckAxis(int axis) {
    if (axis >= 0 && axis < kNumAxes) return absl::OkStatus();
    return Fail(absl::InvalidArgumentError(
        absl::StrCat("axis is ", axis, " when it should be 0 (data) or 1 (pipeline)")));
  }
  absl::Status CheckPeer(int axis, int peer, const char *operation) {
    if (absl::Status status = CheckAxis(axis); !status.ok()) return status;
    if (peer >= 0 && peer < axis_size(axis)) return absl::OkStatus();
    return Fail(absl::InvalidArgumentError(absl::StrCat(operation, " names peer ", peer, " when axis ", axis,
                                                        " has ", axis_size(axis), " ranks")));
  }
  int PeerRank(int axis, int peer) const {
    return axis == kDataAxis ? peer * mesh_.pipeline_ + position(kPipelineAxis)
                             : position(kDataAxis) * mesh_.pipeline_ + peer;
  }

  LocalMesh &mesh_;
  const int rank_;
};

absl::StatusOr<std::unique_ptr<LocalMesh>> LocalMesh::Create(int data_parallel, int pipeline) {
  if (data_parallel < 1 || pipeline < 1 || int64_t{data_parallel} * pipeline > 4096)
    return absl::InvalidArgumentError(
        absl::StrCat("a mesh of ", data_parallel, " x ", pipeline,
                     " ranks is not possible: both should be at least 1, with 4096 ranks at most"));
  return std::unique_ptr<LocalMesh>(new LocalMesh(data_parallel, pipeline));
}

LocalMesh::LocalMesh(int data_parallel, int pipeline)
    : data_parallel_(data_parallel), pipeline_(pipeline), waiting_(size()), data_groups_(pipeline),
      pipeline_groups_(data_parallel) {
  for (int rank = 0; rank < size(); ++rank) {
    communicators_.push_back(std::make_unique<LocalCommunicator>(*this, rank));
    data_groups_[rank % pipeline].members.push_back(rank);
    pipeline_groups_[rank / pipeline].members.push_back(rank);
    everyone_.members.push_back(rank);
  }
  auto prepare = [](Group &group) { group.pointers.resize(group.members.size()); };
  for (Group &group : data_groups_) prepare(group);
  for (Group &group : pipeline_groups_) prepare(group);
  prepare(everyone_);
}

LocalMesh::~LocalMesh() = default;

Communicator &LocalMesh::communicator(int rank) { return *communicators_[rank]; }

LocalMesh::Group &LocalMesh::group(int rank, int axis) {
  return axis == kDataAxis ? data_groups_[rank % pipeline_] : pipeline_groups_[rank / pipeline_];
}

void LocalMesh::AbortLocked(const absl::Status &status) {
  if (!aborted_.ok()) return;
  aborted_ = status.ok() ? absl::AbortedError("a rank aborted without a reason") : status;
  changed_.notify_all();
}

absl::Status LocalMesh::Wait(std::unique_lock<std::mutex> &lock, int rank, const std::function<bool()> &done,
                             std::function<std::string()> what) {
  if (!aborted_.ok()) return aborted_;
  if (done()) return absl::OkStatus();
  waiting_[rank] = {&done, std::move(what)};
  // What others wait for may have come already, without their having woken up yet.
  bool stuck = std::all_of(waiting_.begin(), waiting_.end(),
                           [](const Waiting &waiting) { return waiting.done && !(*waiting.done)(); });
  if (stuck) {
    std::string who;
    for (int r = 0; r < size(); ++r)
      absl::StrAppend(&who, r ? "; " : "", "rank ", r, " for ", waiting_[r].what());
    AbortLocked(absl::InternalError(absl::StrCat("every rank waits and none can go on: ", who)));
  }
  changed_.wait(lock, [&] { return !aborted_.ok() || done(); });
  waiting_[rank] = {};
  return aborted_;
}

absl::Status LocalMesh::Meet(Group &group, int rank, int member, void *pointer, const char *operation,
                             int64_t size, int kind) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (!aborted_.ok()) return aborted_;
  if (group.arrived == 0) {
    group.operation = operation;
    group.size = size;
    group.kind = kind;
  } else if (std::strcmp(group.operation, operation) != 0 || group.size != size || group.kind != kind) {
    AbortLocked(absl::InternalError(absl::StrCat(
        "rank ", rank, " comes to ", operation, " of size ", size, " and type or root ", kind,
        " when the others are at ", group.operation, " of size ", group.size, " and ", group.kind)));
    return aborted_;
  }
  // At an operation's end the others may still read the pointers: leave them alone.
  if (group.pointers[member] != pointer) group.pointers[member] = pointer;
  int64_t generation = group.generation;
  if (++group.arrived == static_cast<int>(group.members.size())) {
    group.arrived = 0;
    ++group.generation;
    changed_.notify_all();
    return absl::OkStatus();
  }
  return Wait(
      lock, rank, [&group, generation] { return group.generation != generation; },
      [operation, &group] {
        return absl::StrCat(operation, " (", group.arrived, " of ", group.members.size(),
                            " ranks have come)");
      });
}

} // namespace weft
