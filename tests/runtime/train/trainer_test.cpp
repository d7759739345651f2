#include "runtime/train/compile.h"
#include "runtime/train/trainer.h"
#include "tests/runtime/data/temp_folder.h"
#include "tests/runtime/train/bigram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace weft {
namespace {

class TrainerTest : public ::testing::Test {
protected:
  void SetUp() override {
    std::string path = folder_ / "x.tokens";
    auto writer = TokenFileWriter::Create(path, 300, 1);
    ASSERT_TRUE(writer.ok());
    for (int d = 0; d < 20; ++d) {
      std::vector<int32_t> tokens;
      for (int i = 0; i < 30 + d; ++i) tokens.push_back((i * 7 + d) % 50);
      ASSERT_TRUE(writer->AddDocument(tokens).ok());
    }
    ASSERT_TRUE(writer->Finish().ok());
    file_ = *TokenFile::Open(path);
  }
  std::unique_ptr<Ranks> MakeRanks(int data_parallel, int threads) {
    weft::testing::BigramOptions options;
    options.data_parallel = data_parallel;
    fb::ArtifactT artifact = weft::testing::Bigram(options, KERNELS_PATH);
    auto loaded = LoadArtifactFromMemory(SerializeArtifact(artifact), "bigram.weft");
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    auto ranks = Ranks::Create({*loaded, {}, data_parallel, 1, threads});
    EXPECT_TRUE(ranks.ok()) << ranks.status();
    return *std::move(ranks);
  }
  std::unique_ptr<Trainer> MakeTrainer(Ranks &ranks, int64_t batch = 8, int64_t seq = 16) {
    auto trainer = Trainer::Create(ranks, *TrainLoader::Make(*file_, {batch, seq, 3, true}));
    EXPECT_TRUE(trainer.ok()) << trainer.status();
    return *std::move(trainer);
  }
  static std::vector<float> Weights(Ranks &ranks, int rank = 0) {
    absl::Span<char> memory = *ranks.session(rank).variable("bigram.weight");
    std::vector<float> values(memory.size() / 4);
    memcpy(values.data(), memory.data(), memory.size());
    return values;
  }
  TempFolder folder_;
  std::optional<TokenFile> file_;
};

TEST_F(TrainerTest, LearnsAndDoesNotDependOnThreads) {
  std::vector<float> first;
  for (int threads : {1, 3}) {
    auto ranks = MakeRanks(1, threads);
    auto trainer = MakeTrainer(*ranks);
    ASSERT_TRUE(trainer->Initialise(5).ok());
    double start = 0, end = 0;
    for (int step = 1; step <= 20; ++step) {
      auto result = trainer->Step(step, 10);
      ASSERT_TRUE(result.ok()) << result.status();
      if (step == 1) start = result->loss;
      end = result->loss;
      EXPECT_GT(result->grad_norm, 0);
    }
    EXPECT_NEAR(start, std::log(300), 0.05);
    EXPECT_LT(end, start - 1);
    if (first.empty()) first = Weights(*ranks);
    EXPECT_TRUE(first == Weights(*ranks));
  }
}

TEST_F(TrainerTest, AStepBeyondTheLimitsIsAsIfItsBatchHadNotBeen) {
  for (int ranks_count : {1, 2}) {
    auto ranks = MakeRanks(ranks_count, 1), others = MakeRanks(ranks_count, 1);
    auto trainer = MakeTrainer(*ranks), other = MakeTrainer(*others);
    ASSERT_TRUE(trainer->Initialise(5).ok() && other->Initialise(5).ok());
    ASSERT_TRUE(trainer->Step(1, 10).ok() && other->Step(1, 10).ok());
    for (StepLimits limits : {StepLimits{1e-3f, FLT_MAX}, StepLimits{FLT_MAX, 1e-9f}}) {
      auto refused = trainer->Step(2, 10, 0, limits);
      ASSERT_TRUE(refused.ok()) << refused.status();
      EXPECT_FALSE(refused->made);
      EXPECT_GT(refused->grad_norm, 0);
    }
    for (int rank = 0; rank < ranks_count; ++rank)
      EXPECT_TRUE(Weights(*ranks, rank) == Weights(*others, rank));
    auto a = trainer->Step(2, 10, /*skipped=*/1), b = other->Step(2, 10, 1); // the third batch
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_TRUE(a->made);
    EXPECT_EQ(a->loss, b->loss);
    for (int rank = 0; rank < ranks_count; ++rank)
      EXPECT_TRUE(Weights(*ranks, rank) == Weights(*others, rank));
  }
}

TEST_F(TrainerTest, DataParallelRanksShareABatchAndEndWithTheSameWeights) {
  auto one = MakeRanks(1, 1), two = MakeRanks(2, 1);
  auto a = MakeTrainer(*one), b = MakeTrainer(*two);
  ASSERT_TRUE(a->Initialise(5).ok() && b->Initialise(5).ok());
  for (int step = 1; step <= 5; ++step) {
    auto x = a->Step(step, 10), y = b->Step(step, 10);
    ASSERT_TRUE(x.ok() && y.ok()) << y.status();
    EXPECT_NEAR(x->loss, y->loss, 1e-4); // the hand-made program has no virtual shards
  }
  EXPECT_TRUE(Weights(*two, 0) == Weights(*two, 1));
}

TEST_F(TrainerTest, ACheckpointRestoresOnAnyNumberOfRanks) {
  auto one = MakeRanks(1, 1), two = MakeRanks(2, 1);
  auto a = MakeTrainer(*one), b = MakeTrainer(*two);
  ASSERT_TRUE(a->Initialise(5).ok() && a->Step(1, 10).ok());
  CheckpointContents contents;
  contents.state.step = 1;
  contents.variables = one->CheckpointVariables();
  auto path = WriteCheckpoint(folder_ / "checkpoints", contents, 0);
  ASSERT_TRUE(path.ok()) << path.status();
  ASSERT_TRUE(b->Restore(*path).ok());
  EXPECT_TRUE(Weights(*one) == Weights(*two, 0));
  EXPECT_TRUE(Weights(*one) == Weights(*two, 1));
}

TEST_F(TrainerTest, EvaluationDoesNotDependOnRanks) {
  std::vector<double> losses;
  for (int ranks_count : {1, 2, 3}) {
    auto ranks = MakeRanks(ranks_count, 1);
    auto trainer = MakeTrainer(*ranks, 12);
    ASSERT_TRUE(trainer->Initialise(5).ok());
    auto loader = EvalLoader::Make(*file_, 2, 16);
    auto result = Evaluate(*ranks, *loader, 0);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->targets, loader->NumTargets());
    losses.push_back(result->loss);
    EXPECT_EQ(Evaluate(*ranks, *loader, 1)->targets, loader->GetBatch(0)->num_targets);
  }
  EXPECT_EQ(losses[0], losses[1]);
  EXPECT_EQ(losses[0], losses[2]);
  EXPECT_NEAR(losses[0], std::log(300), 0.05);
}

TEST_F(TrainerTest, ShapesThatDoNotFitTheArtifactAreNamed) {
  auto ranks = MakeRanks(1, 1);
  auto create = [&](int64_t batch, int64_t seq) {
    return std::string(
        Trainer::Create(*ranks, *TrainLoader::Make(*file_, {batch, seq, 3, true})).status().message());
  };
  EXPECT_EQ(create(8, 32), "the artifact was compiled for rows of 16 tokens when the data has rows of 32");
  EXPECT_EQ(
      create(3, 16),
      "a batch of 3 rows over 1 data-parallel ranks is no multiple of the artifact's micro-batch of 2 rows");
}

TEST_F(TrainerTest, AnArgumentThatIsNotKnownIsNamed) {
  auto ranks = MakeRanks(1, 1);
  auto call = EntryCall::Make(ranks->session(0), "decode");
  ASSERT_TRUE(call.ok());
  EXPECT_FALSE(call->Bind("nothing", nullptr, 0));
  EXPECT_TRUE(
      std::string(call->Run().message())
          .starts_with("entry 'decode' has an argument 'tokens' that this weft does not know\nhint: "));
}

TEST_F(TrainerTest, AFailingRankDoesNotLeaveTheOthersWaiting) {
  auto ranks = MakeRanks(2, 1);
  auto trainer = MakeTrainer(*ranks);
  ASSERT_TRUE(trainer->Initialise(5).ok());
  absl::Status status = ranks->ForEach([&](int rank) -> absl::Status {
    if (rank == 1) return absl::UnavailableError("rank 1 has no data");
    float value = 0; // a collective that rank 1 never joins
    std::vector<int32_t> tokens(2 * 16 * 2, 0);
    auto call = EntryCall::Make(ranks->session(rank), "train_step");
    int64_t count = 2;
    for (const char *name : {"tokens", "positions", "documents", "targets"})
      call->Bind(name, tokens.data(), tokens.size() * 4);
    for (const char *name :
         {"lr", "step", "inverse_targets", "loss", "grad_norm", "loss_limit", "grad_norm_limit"})
      call->Bind(name, &value, 4);
    call->Bind("micro_batches", &count, 8);
    return call->Run();
  });
  EXPECT_EQ(status.message(), "rank 1 has no data");
}

TEST_F(TrainerTest, ArtifactOptionsThatDifferFromTheRecipeAreNamed) {
  auto ranks = MakeRanks(1, 1);
  auto recipe = ParseRecipe("", "/r/recipe.toml", {"train.seq=16", "train.batch=8", "train.micro_batch=4"});
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(CheckArtifactOptions(ranks->artifact(), *recipe).message(),
            "was compiled with micro_batch 2 when the recipe has 4");
}

TEST(CompileKeyTest, SettingsThatAreArgumentsDoNotChangeIt) {
  auto key = [](const std::vector<std::string> &overrides) {
    return *CompileKey(*ParseRecipe("", "/r/recipe.toml", overrides));
  };
  EXPECT_EQ(key({}), key({"optimizer.lr=1", "train.seed=9", "run.dir=/x", "run.threads=3", "train.steps=500",
                          "run.keep=9", "train.patience=3", "train.min_improvement=0.1",
                          "train.spike=rollback", "train.spike_deviations=3", "train.spike_window=9",
                          "train.spike_most=9", "train.spike_within=99", "run.keep_best=false",
                          "run.sample_prompts=a", "run.sample_tokens=9", "run.sample_temperature=1"}));
  EXPECT_NE(key({}), key({"model.layers=3"}));
  EXPECT_NE(key({}), key({"model.lr=3"}));
  EXPECT_NE(key({}), key({"optimizer.beta2=0.9"}));
  EXPECT_NE(key({}), key({"run.ranks=2"}));
  EXPECT_NE(key({}), key({"run.target=cpu:avx2"}));
}

} // namespace
} // namespace weft
