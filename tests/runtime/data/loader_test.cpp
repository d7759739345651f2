#include "runtime/data/loader.h"

#include <gtest/gtest.h>
#include <numeric>
#include <set>

#include "runtime/data/permutation.h"
#include "tests/runtime/data/temp_folder.h"

namespace weft {
namespace {

using Ids = std::vector<int32_t>;

TokenFile MakeFile(const TempFolder &folder, const std::vector<Ids> &documents) {
  absl::StatusOr<TokenFileWriter> writer = TokenFileWriter::Create(folder / "a.tokens", 100000, 0);
  for (const Ids &d : documents) EXPECT_TRUE(writer->AddDocument(d).ok());
  EXPECT_TRUE(writer->Finish().ok());
  return TokenFile::Open(folder / "a.tokens").value();
}

// Documents of 1, 2, … tokens, every token of the file another one.
TokenFile Staircase(const TempFolder &folder, int documents) {
  std::vector<Ids> all;
  int32_t token = 0;
  for (int d = 1; d <= documents; ++d) {
    all.emplace_back(d);
    std::iota(all.back().begin(), all.back().end(), token);
    token += d;
  }
  return MakeFile(folder, all);
}

TrainLoader Make(const TokenFile &file, TrainLoaderOptions options) {
  return TrainLoader::Make(file, options).value();
}

TEST(Permutation, IsAPermutationOfAnySize) {
  for (uint64_t n : {1, 2, 3, 4, 5, 7, 16, 17, 100, 1000, 4097}) {
    std::set<uint64_t> images;
    for (uint64_t i = 0; i < n; ++i) {
      const uint64_t image = PermutedIndex(1, 2, n, i);
      EXPECT_LT(image, n);
      images.insert(image);
    }
    EXPECT_EQ(images.size(), n);
  }
}

TEST(Permutation, ReachesEveryPlaceEquallyOften) {
  // 4000 streams of a permutation of 10: each (place, image) about 400 times; 6 standard deviations are 114.
  int counts[10][10] = {};
  for (uint64_t stream = 0; stream < 4000; ++stream)
    for (uint64_t i = 0; i < 10; ++i) ++counts[i][PermutedIndex(7, stream, 10, i)];
  for (auto &row : counts)
    for (int count : row) EXPECT_NEAR(count, 400, 114);
}

TEST(Permutation, TakesSizesBeyond32Bits) {
  const uint64_t n = uint64_t{1} << 45 | 12345;
  std::set<uint64_t> images;
  for (uint64_t i = 0; i < 1000; ++i) {
    images.insert(PermutedIndex(1, 1, n, n - 1 - i));
    EXPECT_LT(*images.rbegin(), n);
  }
  EXPECT_EQ(images.size(), 1000u);
}

// The worked example of loader.h.
TEST(Loader, KeepsDocumentsApartWithinARow) {
  TempFolder folder;
  const TokenFile file = MakeFile(folder, {{11, 12, 13, 1}, {21, 22, 23, 24, 25, 1}});
  const Batch b = Make(file, {.batch = 2, .seq = 6, .shuffle = false}).GetBatch(0).value();
  EXPECT_EQ(b.tokens, (Ids{11, 12, 13, 1, 21, 22, 23, 24, 25, 1, 0, 0}));
  EXPECT_EQ(b.positions, (Ids{0, 1, 2, 3, 0, 1, 0, 1, 2, 3, 0, 1}));
  EXPECT_EQ(b.documents, (Ids{0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1}));
  EXPECT_EQ(b.targets, (Ids{12, 13, 1, -1, 22, 23, 24, 25, 1, -1, -1, -1}));
  EXPECT_EQ(b.num_targets, 8);
}

TEST(Loader, TakesARowAsOneDocumentWhereItIsTold) {
  TempFolder folder;
  const TokenFile file = MakeFile(folder, {{11, 12, 13, 1}, {21, 22, 23, 24, 25, 1}});
  const TrainLoader loader = Make(file, {.batch = 2, .seq = 6, .shuffle = false, .cross_document = true});
  const Batch b = loader.GetBatch(0).value();
  EXPECT_EQ(b.tokens, (Ids{11, 12, 13, 1, 21, 22, 23, 24, 25, 1, 0, 0}));
  EXPECT_EQ(b.positions, (Ids{0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 0, 1}));
  EXPECT_EQ(b.documents, (Ids{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1}));
  EXPECT_EQ(b.targets, (Ids{12, 13, 1, 21, 22, 23, 24, 25, 1, -1, -1, -1}));
  EXPECT_EQ(b.num_targets, 9);
  EXPECT_EQ(loader.NumTargets(0), 9);
  for (int64_t seq : {1, 2, 3, 4, 5, 9, 10, 11}) { // the targets counted are those that are there
    const TrainLoader other = Make(file, {.batch = 3, .seq = seq, .cross_document = true});
    for (int64_t step = 0; step < 5; ++step) {
      const Batch rows = other.GetBatch(step).value();
      EXPECT_EQ(std::count_if(rows.targets.begin(), rows.targets.end(), [](int32_t t) { return t >= 0; }),
                rows.num_targets);
      EXPECT_EQ(other.NumTargets(step), rows.num_targets);
    }
  }
}

TEST(Loader, NeverPredictsAcrossDocumentsAndCountsItsTargets) {
  TempFolder folder;
  const TokenFile file = Staircase(folder, 40); // 820 tokens
  for (int64_t seq : {1, 2, 3, 7, 64, 820, 1000}) {
    const TrainLoader loader = Make(file, {.batch = 5, .seq = seq});
    for (int64_t step = 0; step < 12; ++step) {
      const Batch b = loader.GetBatch(step).value();
      int64_t targets = 0;
      for (int64_t i = 0; i < b.rows * seq; ++i) {
        const bool starts = i % seq == 0 || b.documents[i] != b.documents[i - 1];
        EXPECT_EQ(b.positions[i], starts ? 0 : b.positions[i - 1] + 1);
        if (b.targets[i] < 0) continue;
        ++targets;
        EXPECT_EQ(b.targets[i], b.tokens[i] + 1); // the file's tokens count up
        EXPECT_EQ(file.DocumentOf(b.tokens[i]), file.DocumentOf(b.targets[i]));
      }
      EXPECT_EQ(b.num_targets, targets);
      EXPECT_EQ(loader.NumTargets(step), targets);
    }
  }
}

TEST(Loader, TakesEveryRowOncePerEpochInAnotherOrder) {
  TempFolder folder;
  const TokenFile file = Staircase(folder, 40);
  const TrainLoader loader = Make(file, {.batch = 7, .seq = 10}); // 82 rows an epoch: batches straddle epochs
  std::vector<Ids> epochs(3);
  for (int64_t global = 0; global < 82 * 3; ++global) {
    const Batch row = loader.GetRows(global / 7, global % 7, 1).value();
    epochs[global / 82].push_back(row.tokens[0]);
  }
  for (Ids order : epochs) {
    EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
    std::sort(order.begin(), order.end());
    for (int32_t i = 0; i < 82; ++i) EXPECT_EQ(order[i], 10 * i);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
  EXPECT_EQ(loader.PositionAt(12).epoch, 1);
  EXPECT_EQ(loader.PositionAt(12).row, 84 - 82);
}

TEST(Loader, GivesAStepWhateverCameBeforeAndWhoeverAsks) {
  TempFolder folder;
  const TokenFile file = Staircase(folder, 60);
  const TrainLoaderOptions options = {.batch = 8, .seq = 16, .seed = 3};
  std::vector<Batch> run;
  const TrainLoader first = Make(file, options);
  for (int64_t step = 0; step < 40; ++step) run.push_back(first.GetBatch(step).value());
  // Resumed at step 25, another process's loader goes on with the same batches.
  const TrainLoader resumed = Make(TokenFile::Open(file.path()).value(), options);
  for (int64_t step = 25; step < 40; ++step) EXPECT_EQ(resumed.GetBatch(step)->tokens, run[step].tokens);
  // Two ranks of two micro-batches each take parts that make up the same batch.
  for (int64_t step : {0, 17}) {
    Batch joined;
    int64_t targets = 0;
    for (int64_t first_row = 0; first_row < 8; first_row += 2) {
      const Batch part = resumed.GetRows(step, first_row, 2).value();
      targets += part.num_targets;
      for (auto member : {&Batch::tokens, &Batch::positions, &Batch::documents, &Batch::targets})
        (joined.*member).insert((joined.*member).end(), (part.*member).begin(), (part.*member).end());
    }
    EXPECT_EQ(joined.tokens, run[step].tokens);
    EXPECT_EQ(joined.positions, run[step].positions);
    EXPECT_EQ(joined.documents, run[step].documents);
    EXPECT_EQ(joined.targets, run[step].targets);
    EXPECT_EQ(targets, first.NumTargets(step));
  }
  // Another seed, another order.
  EXPECT_NE(Make(file, {.batch = 8, .seq = 16, .seed = 4}).GetBatch(0)->tokens, run[0].tokens);
}

TEST(Loader, JumpsToAFarStepAtOnce) {
  TempFolder folder;
  const TrainLoader loader = Make(Staircase(folder, 60), {.batch = 8, .seq = 16});
  EXPECT_TRUE(loader.GetBatch(1'000'000'000'000'000).ok());
}

TEST(Loader, MakesRowsOfASmallestCorpus) {
  TempFolder folder;
  const TrainLoader loader = Make(MakeFile(folder, {{'x', 1}}), {.batch = 3, .seq = 4});
  const Batch b = loader.GetBatch(5).value();
  EXPECT_EQ(b.tokens, (Ids{'x', 1, 0, 0, 'x', 1, 0, 0, 'x', 1, 0, 0}));
  EXPECT_EQ(b.targets, (Ids{1, -1, -1, -1, 1, -1, -1, -1, 1, -1, -1, -1}));
  EXPECT_EQ(b.num_targets, 3);
}

TEST(Loader, RefusesWhatIsNotThere) {
  TempFolder folder;
  const TokenFile file = Staircase(folder, 5);
  EXPECT_EQ(TrainLoader::Make(file, {.batch = 0}).status().message(),
            "batch is 0 rows when it should be 1 to 2147483647");
  EXPECT_EQ(TrainLoader::Make(file, {.seq = -1}).status().message(),
            "seq is -1 tokens when it should be 1 to 2147483647");
  const TrainLoader loader = Make(file, {.batch = 4, .seq = 4});
  EXPECT_EQ(loader.GetBatch(-1).status().message(), "step is -1 when it should be 0 to 2305843009213693950");
  EXPECT_FALSE(loader.GetBatch(INT64_MAX).ok());
  EXPECT_EQ(loader.GetRows(0, 3, 2).status().message(), "2 rows from row 3 on were asked of a batch of 4");
  EXPECT_FALSE(loader.GetRows(0, INT64_MAX, 1).ok());
  EXPECT_FALSE(loader.GetRows(0, 0, INT64_MAX).ok());
  EXPECT_FALSE(loader.GetRows(0, -1, 1).ok());
  Ids small(3), right(4);
  EXPECT_EQ(loader
                .FillRows(0, 0, 1,
                          {absl::MakeSpan(right), absl::MakeSpan(right), absl::MakeSpan(right),
                           absl::MakeSpan(small)})
                .status()
                .message(),
            "a batch's part has room for 3 values when it should be 4");
}

TEST(EvalLoader, TakesEveryTokenOnceInOrder) {
  TempFolder folder;
  const TokenFile file = Staircase(folder, 40);
  const EvalLoader loader = EvalLoader::Make(file, 4, 50).value(); // 17 rows, 5 batches
  ASSERT_EQ(loader.num_batches(), 5);
  int64_t targets = 0;
  int32_t next = 0;
  for (int64_t i = 0; i < 5; ++i) {
    const Batch b = loader.GetBatch(i).value();
    ASSERT_EQ(b.tokens.size(), 200u);
    targets += b.num_targets;
    EXPECT_EQ(std::count_if(b.targets.begin(), b.targets.end(), [](int32_t t) { return t >= 0; }),
              b.num_targets);
    for (size_t k = 0; k < 200 && next < 820; ++k) EXPECT_EQ(b.tokens[k], next++);
  }
  EXPECT_EQ(next, 820);
  EXPECT_EQ(targets, 820 - 40);
  EXPECT_EQ(loader.NumTargets(), targets);
  EXPECT_EQ(loader.GetBatch(5).status().message(), "batch 5 was asked of 5");
}

} // namespace
} // namespace weft
