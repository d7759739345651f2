// An artifact's prefill and decode entries as a NextTokenModel.
#pragma once

#include "runtime/executor/executor.h"
#include "runtime/generate/generator.h"
#include "runtime/train/trainer.h"

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include <memory>
#include <string>
#include <vector>

namespace weft {

// How a prompt of `count` tokens is read: the largest bucket as often as it fits, then smaller ones, then the
// smallest one padded; a single token by decode. The sizes of the calls; 1 is decode. With buckets 16 and 64:
//   150 tokens: 64 64 16 16 (6 of the last 16 are tokens)
// Padding repeats the last token at its position: the same row of the cache is written again with the same
// numbers.
std::vector<int64_t> PlanPrefill(int64_t count, absl::Span<const int64_t> buckets);

class SessionModel : public NextTokenModel {
public:
  // The session, which holds the weights, must outlive it. FailedPrecondition when the artifact has no decode
  // entry of the shape that is expected.
  static absl::StatusOr<std::unique_ptr<SessionModel>> Create(Session &session);

  // Makes what the artifact keeps of the weights in another form (the entry "derive"). Create() has done so;
  // again when the session's weights have changed.
  absl::Status DeriveWeights();

  int64_t vocab() const override { return static_cast<int64_t>(logits_.size()); }
  int64_t context() const override { return context_; }
  absl::Status Feed(absl::Span<const int32_t> tokens, int64_t position) override;
  absl::Span<const float> logits() const override { return logits_; }
  float lse() const override { return lse_; }

private:
  struct Bucket {
    int64_t size = 0;
    std::vector<int32_t> tokens, positions; // (1, size)
    std::unique_ptr<EntryCall> call;
  };
  explicit SessionModel(Session &session) : session_(session) {}
  absl::Status AddBucket(const std::string &entry);

  Session &session_;
  int64_t context_ = 0;
  std::vector<Bucket> buckets_; // rising; the first is decode
  int32_t last_ = 0;
  std::vector<float> logits_;
  float lse_ = 0;
};

} // namespace weft
