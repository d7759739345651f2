#include "runtime/data/loader.h"

#include <algorithm>

#include "runtime/data/permutation.h"
#include "runtime/data/str_cat.h"

namespace weft {
namespace {

// Bounds that keep every index within 64 bits: 2^31 rows of 2^31 tokens are beyond any machine.
constexpr int64_t kMaxSide = INT32_MAX;

absl::Status CheckShape(int64_t batch, int64_t seq) {
  if (batch < 1 || batch > kMaxSide)
    return absl::InvalidArgumentError(StrCat("batch is ", batch, " rows when it should be 1 to ", kMaxSide));
  if (seq < 1 || seq > kMaxSide)
    return absl::InvalidArgumentError(StrCat("seq is ", seq, " tokens when it should be 1 to ", kMaxSide));
  return absl::OkStatus();
}

Batch EmptyBatch(int64_t rows, int64_t seq) {
  Batch b;
  b.rows = rows;
  b.seq = seq;
  for (auto *v : {&b.tokens, &b.positions, &b.documents, &b.targets}) v->resize(rows * seq);
  return b;
}

} // namespace

void PackedRows::Fill(int64_t row, int32_t *tokens, int32_t *positions, int32_t *documents,
                      int32_t *targets) const {
  const int64_t begin = row * seq_, end = std::min(begin + seq_, file_.num_tokens());
  const int64_t count = end - begin;
  file_.Read(begin, {tokens, static_cast<size_t>(count)});

  if (cross_document_) {
    for (int64_t i = 0; i < count; ++i) {
      positions[i] = static_cast<int32_t>(i);
      documents[i] = 0;
      targets[i] = i + 1 < count ? tokens[i + 1] : end < file_.num_tokens() ? file_.token(end) : -1;
    }
    return Pad(count, 1, tokens, positions, documents, targets);
  }
  // The row's documents, or what of them lies in it, one after another.
  int32_t ordinal = 0;
  int64_t at = begin;
  for (int64_t d = file_.DocumentOf(begin); at < end; ++d, ++ordinal) {
    const int64_t document_end = file_.document_end(d), stop = std::min(document_end, end);
    for (int64_t first = at; at < stop; ++at) {
      const int64_t i = at - begin;
      positions[i] = static_cast<int32_t>(at - first);
      documents[i] = ordinal;
      targets[i] = at + 1 == document_end ? -1 : at + 1 < end ? tokens[i + 1] : file_.token(at + 1);
    }
  }
  Pad(count, ordinal, tokens, positions, documents, targets);
}

void PackedRows::Pad(int64_t begin, int32_t document, int32_t *tokens, int32_t *positions, int32_t *documents,
                     int32_t *targets) const {
  for (int64_t i = begin; i < seq_; ++i) {
    tokens[i] = 0;
    positions[i] = static_cast<int32_t>(i - begin);
    documents[i] = document;
    targets[i] = -1;
  }
}

void PackedRows::FillPadding(int32_t *tokens, int32_t *positions, int32_t *documents,
                             int32_t *targets) const {
  Pad(0, 0, tokens, positions, documents, targets);
}

int64_t PackedRows::NumTargets(int64_t row) const {
  const int64_t begin = row * seq_, end = std::min(begin + seq_, file_.num_tokens());
  if (cross_document_) return end - begin - (end == file_.num_tokens() ? 1 : 0);
  return end - begin - (file_.DocumentsEndingBy(end) - file_.DocumentsEndingBy(begin));
}

absl::StatusOr<TrainLoader> TrainLoader::Make(TokenFile file, const TrainLoaderOptions &options) {
  if (absl::Status s = CheckShape(options.batch, options.seq); !s.ok()) return s;
  return TrainLoader(PackedRows(std::move(file), options.seq, options.cross_document), options);
}

// Small enough for every row's number to fit 64 bits.
bool TrainLoader::IsStep(int64_t step) const { return step >= 0 && step < INT64_MAX / options_.batch; }

DataPosition TrainLoader::PositionAt(int64_t step) const {
  const int64_t global = step * options_.batch;
  return {global / rows_.num_rows(), global % rows_.num_rows()};
}

int64_t TrainLoader::RowAt(int64_t step, int64_t row) const {
  const int64_t global = step * options_.batch + row;
  const int64_t epoch = global / rows_.num_rows(), i = global % rows_.num_rows();
  return options_.shuffle ? static_cast<int64_t>(PermutedIndex(options_.seed, epoch, rows_.num_rows(), i))
                          : i;
}

absl::StatusOr<int64_t> TrainLoader::FillRows(int64_t step, int64_t first_row, int64_t num_rows,
                                              const BatchSpans &out) const {
  if (!IsStep(step))
    return absl::OutOfRangeError(
        StrCat("step is ", step, " when it should be 0 to ", INT64_MAX / options_.batch - 1));
  if (first_row < 0 || num_rows < 0 || num_rows > options_.batch || first_row > options_.batch - num_rows)
    return absl::OutOfRangeError(
        StrCat(num_rows, " rows from row ", first_row, " on were asked of a batch of ", options_.batch));
  const int64_t seq = rows_.seq();
  for (const auto &span : {out.tokens, out.positions, out.documents, out.targets})
    if (static_cast<int64_t>(span.size()) != num_rows * seq)
      return absl::InvalidArgumentError(
          StrCat("a batch's part has room for ", span.size(), " values when it should be ", num_rows * seq));
  int64_t num_targets = 0;
  for (int64_t i = 0; i < num_rows; ++i) {
    const int64_t row = RowAt(step, first_row + i), at = i * seq;
    rows_.Fill(row, out.tokens.data() + at, out.positions.data() + at, out.documents.data() + at,
               out.targets.data() + at);
    num_targets += rows_.NumTargets(row);
  }
  return num_targets;
}

absl::StatusOr<Batch> TrainLoader::GetRows(int64_t step, int64_t first_row, int64_t num_rows) const {
  if (num_rows < 0 || num_rows > options_.batch)
    return absl::OutOfRangeError(
        StrCat(num_rows, " rows from row ", first_row, " on were asked of a batch of ", options_.batch));
  Batch b = EmptyBatch(num_rows, rows_.seq());
  absl::StatusOr<int64_t> n = FillRows(step, first_row, num_rows,
                                       {absl::MakeSpan(b.tokens), absl::MakeSpan(b.positions),
                                        absl::MakeSpan(b.documents), absl::MakeSpan(b.targets)});
  if (!n.ok()) return n.status();
  b.num_targets = *n;
  return b;
}

int64_t TrainLoader::NumTargets(int64_t step) const {
  int64_t n = 0;
  if (!IsStep(step)) return n;
  for (int64_t i = 0; i < options_.batch; ++i) n += rows_.NumTargets(RowAt(step, i));
  return n;
}

absl::StatusOr<EvalLoader> EvalLoader::Make(TokenFile file, int64_t batch, int64_t seq) {
  if (absl::Status s = CheckShape(batch, seq); !s.ok()) return s;
  return EvalLoader(PackedRows(std::move(file), seq), batch);
}

absl::StatusOr<Batch> EvalLoader::GetBatch(int64_t index) const {
  if (index < 0 || index >= num_batches())
    return absl::OutOfRangeError(StrCat("batch ", index, " was asked of ", num_batches()));
  const int64_t seq = rows_.seq();
  Batch b = EmptyBatch(batch_, seq);
  for (int64_t i = 0; i < batch_; ++i) {
    const int64_t row = index * batch_ + i, at = i * seq;
    int32_t *parts[] = {&b.tokens[at], &b.positions[at], &b.documents[at], &b.targets[at]};
    if (row < rows_.num_rows()) {
      rows_.Fill(row, parts[0], parts[1], parts[2], parts[3]);
      b.num_targets += rows_.NumTargets(row);
    } else {
      rows_.FillPadding(parts[0], parts[1], parts[2], parts[3]);
    }
  }
  return b;
}

} // namespace weft
