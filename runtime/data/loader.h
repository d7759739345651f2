// Batches for training and evaluation, from a token file.
//
// The file's documents, each ended by <|endoftext|>, stand one after another, and the stream is cut into rows
// of `seq` tokens. With seq 6 and the documents "a b c ." and "d e f g h ." ('.' is <|endoftext|>):
//
//   row        0             1                     2 would be the next document's
//   tokens     a b c . d e   f  g  h  .  0  0
//   positions  0 1 2 3 0 1   0  1  2  3  0  1      a document cut by a row's end starts anew: its context is
//   gone documents  0 0 0 0 1 1   0  0  0  0  1  1      counted from each row's start; equal = may attend to
//   each other targets    b c . - e f   g  h  .  -  -  -      '-' is -1: no target, at a document's end and
//   in the padding
//
// With `cross_document` a row is one document instead: positions count from its start, every token may attend
// to all before it in the row, and at a document's end the target is the next one's first token:
//
//   positions  0 1 2 3 4 5   0  1  2  3  4  5
//   documents  0 0 0 0 0 0   0  0  0  0  1  1
//   targets    b c . d e f   g  h  .  -  -  -
//
// Only the last row of the file is padded. Training takes the rows of each epoch in the order of a keyed
// permutation, so what step s holds is a pure function of (seed, s): any step, and any rows of it, can be had
// at once, by any rank, and a run resumed at step s goes on as one that never stopped.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/data/token_file.h"

namespace weft {

// Rows of a batch; each vector is (rows, seq), row-major.
struct Batch {
  int64_t rows = 0, seq = 0;
  std::vector<int32_t> tokens, positions, documents, targets;
  int64_t num_targets = 0; // targets in these rows that are not -1
};

// The same, into memory of the caller's: each span has rows * seq elements.
struct BatchSpans {
  absl::Span<int32_t> tokens, positions, documents, targets;
};

// A token file cut into rows.
class PackedRows {
public:
  PackedRows(TokenFile file, int64_t seq, bool cross_document = false)
      : file_(std::move(file)), seq_(seq), cross_document_(cross_document) {}
  int64_t seq() const { return seq_; }
  int64_t num_rows() const { return (file_.num_tokens() + seq_ - 1) / seq_; }
  const TokenFile &file() const { return file_; }
  // Fills one row: every pointer is to seq values. 0 <= row < num_rows().
  void Fill(int64_t row, int32_t *tokens, int32_t *positions, int32_t *documents, int32_t *targets) const;
  // A row without tokens: padding alone, and no target.
  void FillPadding(int32_t *tokens, int32_t *positions, int32_t *documents, int32_t *targets) const;
  // The targets of one row that are not -1, from the documents' ends alone.
  int64_t NumTargets(int64_t row) const;

private:
  void Pad(int64_t begin, int32_t document, int32_t *tokens, int32_t *positions, int32_t *documents,
           int32_t *targets) const;
  TokenFile file_;
  int64_t seq_;
  bool cross_document_;
};

struct TrainLoaderOptions {
  int64_t batch = 64; // rows a step, over all ranks and micro-batches
  int64_t seq = 256;  // tokens a row
  uint64_t seed = 1;
  bool shuffle = true;
  bool cross_document = false; // tokens attend to the documents before theirs in the row
};

// Where step s stands in the data: for progress, and to be kept in a checkpoint beside the step itself.
struct DataPosition {
  int64_t epoch = 0; // passes over the file completed before the step's first row
  int64_t row = 0;   // of this epoch's rows, how many were taken before it
};

// Endless batches for training; for any number of threads. Steps count from 0.
class TrainLoader {
public:
  // InvalidArgument for a batch or seq below 1.
  static absl::StatusOr<TrainLoader> Make(TokenFile file, const TrainLoaderOptions &options);

  // Rows [first_row, first_row + num_rows) of step's batch. OutOfRange for rows outside it or a negative
  // step.
  absl::StatusOr<Batch> GetRows(int64_t step, int64_t first_row, int64_t num_rows) const;
  absl::StatusOr<Batch> GetBatch(int64_t step) const { return GetRows(step, 0, options_.batch); }
  // Likewise, without allocating; gives the number of targets in these rows.
  absl::StatusOr<int64_t> FillRows(int64_t step, int64_t first_row, int64_t num_rows,
                                   const BatchSpans &out) const;
  // The targets of the whole batch of a step, whatever part of it is asked for: the loss's divisor. Fast. 0
  // for a step that FillRows refuses.
  int64_t NumTargets(int64_t step) const;

  DataPosition PositionAt(int64_t step) const;
  int64_t rows_per_epoch() const { return rows_.num_rows(); }
  const TrainLoaderOptions &options() const { return options_; }
  const TokenFile &file() const { return rows_.file(); }

private:
  TrainLoader(PackedRows rows, const TrainLoaderOptions &options)
      : rows_(std::move(rows)), options_(options) {}
  bool IsStep(int64_t step) const;
  int64_t RowAt(int64_t step, int64_t row) const; // the file's row that stands there

  PackedRows rows_;
  TrainLoaderOptions options_;
};

// Every token of a file once, in order, for evaluation. The last batch is filled up with rows without
// targets, so that all batches have one shape.
class EvalLoader {
public:
  static absl::StatusOr<EvalLoader> Make(TokenFile file, int64_t batch, int64_t seq);
  int64_t num_batches() const { return (rows_.num_rows() + batch_ - 1) / batch_; }
  // OutOfRange outside [0, num_batches()).
  absl::StatusOr<Batch> GetBatch(int64_t index) const;
  // The targets of the whole file.
  int64_t NumTargets() const { return rows_.file().num_tokens() - rows_.file().num_documents(); }

private:
  EvalLoader(PackedRows rows, int64_t batch) : rows_(std::move(rows)), batch_(batch) {}
  PackedRows rows_;
  int64_t batch_;
};

} // namespace weft
