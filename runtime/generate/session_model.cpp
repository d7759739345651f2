#include "runtime/generate/session_model.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include <algorithm>

namespace weft {

std::vector<int64_t> PlanPrefill(int64_t count, absl::Span<const int64_t> buckets) {
  std::vector<int64_t> sizes(buckets.begin(), buckets.end()), plan;
  sizes.push_back(1);
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  while (count > 0) {
    size_t fit = sizes.size() - 1;
    while (sizes[fit] > count) --fit;                       // ends at 1
    if (fit == 0 && count > 1 && sizes.size() > 1) fit = 1; // padded
    plan.push_back(sizes[fit]);
    count -= std::min(count, sizes[fit]);
  }
  return plan;
}

absl::StatusOr<std::unique_ptr<SessionModel>> SessionModel::Create(Session &session) {
  std::unique_ptr<SessionModel> model(new SessionModel(session));
  if (absl::Status status = model->AddBucket("decode"); !status.ok()) return status;
  if (model->buckets_[0].size != 1)
    return absl::FailedPreconditionError(
        absl::StrCat("entry 'decode' takes ", model->buckets_[0].size, " tokens when it should take 1"));
  for (const fb::Entry *entry : *session.stage().entries())
    if (absl::StartsWith(entry->name()->str(), "prefill_"))
      if (absl::Status status = model->AddBucket(entry->name()->str()); !status.ok()) return status;
  std::sort(model->buckets_.begin(), model->buckets_.end(),
            [](const Bucket &a, const Bucket &b) { return a.size < b.size; });

  for (const char *key : {"context", "seq"})
    if (std::string text = ArtifactOption(session.artifact(), key); model->context_ == 0 && !text.empty())
      if (!absl::SimpleAtoi(text, &model->context_) || model->context_ < 1)
        return absl::FailedPreconditionError(absl::StrCat("the artifact's option ", key, " is \"", text,
                                                          "\" when it should be a number of tokens"));
  if (model->context_ == 0) return absl::FailedPreconditionError("the artifact does not say its context");
  if (absl::Status status = model->DeriveWeights(); !status.ok()) return status;
  return model;
}

absl::Status SessionModel::DeriveWeights() {
  absl::StatusOr<int> derive = session_.FindEntry("derive");
  return derive.ok() ? session_.Run(*derive, {}) : absl::OkStatus();
}

absl::Status SessionModel::AddBucket(const std::string &entry) {
  absl::StatusOr<std::pair<int64_t, int64_t>> shape = TokensShape(session_, entry);
  if (!shape.ok()) return shape.status();
  absl::StatusOr<EntryCall> call = EntryCall::Make(session_, entry);
  if (!call.ok()) return call.status();
  const fb::Argument *logits = call->Find("logits");
  if (shape->first != 1 || !logits || !logits->shape() || logits->shape()->size() != 2 ||
      logits->shape()->Get(0) != 1)
    return absl::FailedPreconditionError(absl::StrCat(
        "entry '", entry, "' takes tokens of shape (", shape->first, ", ", shape->second,
        ") when it should take one text and give logits of shape (1, vocab)\nhint: weft compile … --set "
        "run.generate_batch=1"));
  size_t vocab = logits->shape()->Get(1);
  if (!logits_.empty() && logits_.size() != vocab)
    return absl::FailedPreconditionError(
        absl::StrCat("entry '", entry, "' gives ", vocab, " logits when 'decode' gives ", logits_.size()));
  logits_.resize(vocab);

  Bucket bucket;
  bucket.size = shape->second;
  bucket.tokens.resize(bucket.size);
  bucket.positions.resize(bucket.size);
  bucket.call = std::make_unique<EntryCall>(*std::move(call));
  bucket.call->Bind("tokens", bucket.tokens.data(), bucket.size * sizeof(int32_t));
  bucket.call->Bind("positions", bucket.positions.data(), bucket.size * sizeof(int32_t));
  bucket.call->Bind("last", &last_, sizeof last_);
  bucket.call->Bind("logits", logits_.data(), logits_.size() * sizeof(float));
  bucket.call->Bind("lse", &lse_, sizeof lse_);
  buckets_.push_back(std::move(bucket));
  return absl::OkStatus();
}

absl::Status SessionModel::Feed(absl::Span<const int32_t> tokens, int64_t position) {
  int64_t count = static_cast<int64_t>(tokens.size());
  if (count < 1 || position < 0 || position + count > context_)
    return absl::InvalidArgumentError(
        absl::StrCat(count, " tokens at position ", position, " when the context holds ", context_));
  std::vector<int64_t> sizes;
  if (count > 1)
    for (const Bucket &bucket : buckets_) sizes.push_back(bucket.size);
  int64_t at = 0;
  for (int64_t size : PlanPrefill(count, sizes)) {
    Bucket &bucket =
        *std::find_if(buckets_.begin(), buckets_.end(), [&](const Bucket &b) { return b.size == size; });
    int64_t valid = std::min(size, count - at);
    for (int64_t i = 0; i < size; ++i) {
      int64_t from = at + std::min(i, valid - 1);
      bucket.tokens[i] = tokens[from];
      bucket.positions[i] = static_cast<int32_t>(position + from);
    }
    last_ = static_cast<int32_t>(valid - 1);
    if (absl::Status status = bucket.call->Run(); !status.ok()) return status;
    at += valid;
  }
  return absl::OkStatus();
}

} // namespace weft
