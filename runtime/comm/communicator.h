// What a rank uses to talk to the others of its mesh, whatever carries the bytes.
#pragma once
#include "runtime/artifact/artifact_generated.h"

#include "absl/status/status.h"

#include <cstdint>

namespace weft {

// The axes of the mesh, as AllReduce.axis and Send.axis in the artifact number them.
inline constexpr int kDataAxis = 0;
inline constexpr int kPipelineAxis = 1;
inline constexpr int kNumAxes = 2;

// One rank's end. Used by one thread at a time. After Abort, here or on any other rank, every call returns
// that status. A call that does not fit the others' (sizes, types, order) fails on all ranks.
class Communicator {
public:
  virtual ~Communicator() = default;

  // Rank = data position * pipeline size + pipeline position, in [0, size).
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual int position(int axis) const = 0;
  virtual int axis_size(int axis) const = 0;

  // In place over the ranks that share the other axis's position: element by element, the sum over the axis
  // in rank order in a fixed balanced binary tree (tree_sum.h): the same bits on every rank. f32, f64, i32
  // and i64; integers wrap.
  virtual absl::Status AllReduceSum(void *data, fb::DType dtype, int64_t elements, int axis) = 0;
  // Copies `bytes` bytes from the rank at position `root` to the others of the axis.
  virtual absl::Status Broadcast(void *data, int64_t bytes, int root, int axis) = 0;
  // A message to the rank at position `peer` of the axis. The n-th Receive of (axis, peer, tag) gets the n-th
  // Send; both must name the same number of bytes. Send returns when `data` may be reused and never waits for
  // the receiver.
  virtual absl::Status Send(const void *data, int64_t bytes, int axis, int peer, int32_t tag) = 0;
  virtual absl::Status Receive(void *data, int64_t bytes, int axis, int peer, int32_t tag) = 0;
  // Waits for every rank of the mesh.
  virtual absl::Status Barrier() = 0;
  // Makes every present and later call on every rank return `status` (not OK). The first one counts.
  virtual void Abort(const absl::Status &status) = 0;
};

} // namespace weft
