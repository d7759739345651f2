#include "runtime/train/recipe.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

std::string Error(const std::string &text, const std::vector<std::string> &overrides = {}) {
  return std::string(ParseRecipe(text, "/r/recipe.toml", overrides).status().message());
}

TEST(Recipe, TheExampleOfTheManualParses) {
  auto recipe = ParseRecipe(R"(
[model]
name = "llama"
config = "demo"
ffn = 1408
tied = true
rope_base = 1e4
[data]
train = ["corpus/*.txt"]
validation = 0.02
tokenizer = "train:4096"
[train]
stage = "pretrain"
steps = 600
batch = 64
micro_batch = 16
seq = 256
precision = "f32"
seed = 1
shards = 0
[optimizer]
name = "adamw"
lr = 3e-3
schedule = "wsd"
warmup = 50
weight_decay = 0.1
clip = 1
[run]
dir = "/runs/demo"
plan = ""
)",
                            "/r/recipe.toml");
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->model.name, "llama");
  EXPECT_EQ(std::get<int64_t>(recipe->model.keys.at("ffn")), 1408);
  EXPECT_EQ(std::get<bool>(recipe->model.keys.at("tied")), true);
  EXPECT_EQ(std::get<double>(recipe->model.keys.at("rope_base")), 1e4);
  EXPECT_EQ(recipe->data.train, std::vector<std::string>{"/r/corpus/*.txt"}); // relative to the recipe
  EXPECT_EQ(recipe->train.shards, 1);                                         // 0 = data-parallel ranks
  EXPECT_EQ(recipe->optimizer.clip, 1.0);
  EXPECT_EQ(recipe->DecaySteps(), 120);
  EXPECT_EQ(recipe->run.dir, "/runs/demo");
}

TEST(Recipe, ResolvedTextReadsBackAsTheSameRecipe) {
  auto recipe = ParseRecipe("[model]\nodd_number = 0.1\ntext = \"a\\\"b\"\n[optimizer]\nlr = 1\nbeta2 = "
                            "0.999\n[run]\nplan = \"dp2,pp2\"",
                            "/r/recipe.toml", {"train.steps=70"});
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  std::string text = RecipeText(*recipe);
  auto again = ParseRecipe(text, "/elsewhere/recipe.toml");
  ASSERT_TRUE(again.ok()) << again.status() << text;
  EXPECT_EQ(RecipeText(*again), text);
  EXPECT_EQ(again->train.steps, 70);
  EXPECT_EQ(again->data_parallel, 2);
  EXPECT_EQ(again->pipeline, 2);
  EXPECT_EQ(std::get<std::string>(again->model.keys.at("text")), "a\"b");
}

TEST(Recipe, OverridesTakeTomlValuesAndPlainText) {
  auto recipe = ParseRecipe("", "/r/recipe.toml",
                            {"train.steps=1e2", "optimizer.schedule=cosine", "run.plan=dp2", "model.layers=3",
                             "data.train=/a.txt,/b.txt", "run.dir=/x y"});
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->train.steps, 100);
  EXPECT_EQ(recipe->optimizer.schedule, "cosine");
  EXPECT_EQ(recipe->run.ranks, 2);
  EXPECT_EQ(std::get<int64_t>(recipe->model.keys.at("layers")), 3);
  EXPECT_EQ(recipe->data.train, (std::vector<std::string>{"/a.txt", "/b.txt"}));
  EXPECT_EQ(recipe->run.dir, "/x y");
}

TEST(Recipe, UnknownKeysNameTheLineAndTheNearestKey) {
  EXPECT_EQ(Error("[train]\nsteps = 3\nbtach = 4\n"),
            "/r/recipe.toml:3: unknown key train.btach\nhint: did you mean train.batch?");
  EXPECT_EQ(Error("[train]\nlr = 3\n"),
            "/r/recipe.toml:2: unknown key train.lr\nhint: did you mean optimizer.lr?");
  EXPECT_EQ(Error("[optimiser]\nlr = 3\n"),
            "/r/recipe.toml:1: unknown section [optimiser]\nhint: did you mean [optimizer]?");
  EXPECT_EQ(Error("steps = 3\n"), "/r/recipe.toml:1: unknown key steps\nhint: did you mean train.steps?");
  EXPECT_EQ(Error("[run]\nzzzzzzzzzzzz = 3\n"),
            "/r/recipe.toml:2: unknown key run.zzzzzzzzzzzz\nhint: weft train --help-keys lists the keys");
  EXPECT_EQ(Error("", {"train.step=3"}), "unknown key train.step\nhint: did you mean train.steps?");
  EXPECT_EQ(Error("", {"train.steps"}),
            "\"train.steps\" is not of the form KEY=VALUE\nhint: for example train.steps=100");
}

TEST(Recipe, WrongValuesNameWhatIsExpected) {
  EXPECT_EQ(Error("[train]\nsteps = \"many\"\n"),
            "/r/recipe.toml:2: train.steps is \"many\" when it should be a whole number");
  EXPECT_EQ(Error("[train]\nsteps = 1.5\n"),
            "/r/recipe.toml:2: train.steps is 1.5 when it should be a whole number");
  EXPECT_EQ(Error("[train]\nsteps = 0\n"), "/r/recipe.toml:2: train.steps is 0 when it should be at least 1");
  EXPECT_EQ(Error("[data]\nvalidation = 2\n"),
            "/r/recipe.toml:2: data.validation is 2 when it should be between 0 and 0.5");
  EXPECT_EQ(Error("[optimizer]\nlr = nan\n"),
            "/r/recipe.toml:2: optimizer.lr is nan when it should be between 0 and 1e+06");
  EXPECT_EQ(Error("[data]\ntrain = [1]\n"),
            "/r/recipe.toml:2: data.train is [ 1 ] when it should be a list of texts in quotes");
  EXPECT_EQ(Error("[train]\nprecision = \"f23\"\n"), "/r/recipe.toml:2: train.precision is \"f23\" when it "
                                                     "should be one of f32, bf16\nhint: did you mean f32?");
  EXPECT_EQ(Error("[model]\nlayers = [1]\n"),
            "/r/recipe.toml:2: model.layers is [ 1 ] when it should be a number, true, false or text");
}

TEST(Recipe, TomlErrorsNameTheLine) {
  EXPECT_TRUE(Error("[train]\nsteps = = 3\n").starts_with("/r/recipe.toml:2: not valid TOML: "))
      << Error("[train]\nsteps = = 3\n");
}

TEST(Recipe, BatchesThatDoNotDivideAreErrorsThatSayWhichKeys) {
  EXPECT_EQ(Error("", {"train.batch=4", "run.ranks=8"}),
            "/r/recipe.toml: there are 8 data-parallel ranks when train.batch has 4 rows\n"
            "hint: use at most 4 ranks, or a larger train.batch");
  EXPECT_EQ(
      Error("", {"train.batch=5", "run.ranks=2"}),
      "/r/recipe.toml: train.batch is 5 rows when it should be a multiple of the 2 data-parallel ranks\n"
      "hint: for example train.batch=6");
  EXPECT_EQ(Error("", {"train.batch=12", "train.micro_batch=8"}),
            "/r/recipe.toml: train.micro_batch is 8 rows when a rank's 12 rows (train.batch 12 over 1 "
            "data-parallel ranks) "
            "should be a multiple of it\nhint: choose a train.micro_batch that divides them");
  EXPECT_EQ(Error("", {"train.shards=3", "run.ranks=2"}),
            "/r/recipe.toml: train.shards is 3 when it should be a multiple of the 2 data-parallel ranks\n"
            "hint: a rank owns whole shards");
  EXPECT_EQ(Error("", {"run.plan=dp2,pp2", "run.ranks=2"}),
            "/r/recipe.toml: run.plan \"dp2,pp2\" has 4 ranks when run.ranks is 2\nhint: leave run.ranks "
            "out, or make it 4");
  EXPECT_EQ(Error("", {"run.plan=dp2,pp2049"}),
            "/r/recipe.toml: run.plan \"dp2,pp2049\" has 4098 ranks when there may be 4096");
  EXPECT_EQ(Error("", {"run.plan=tp2"}),
            "/r/recipe.toml: run.plan is \"tp2\" when it should be like dp2, pp2 or dp2,pp2\n"
            "hint: dp is data-parallel, pp is pipeline");
}

TEST(Recipe, DefaultsOfAShortRunFitIntoIt) {
  auto recipe = ParseRecipe("", "/r/recipe.toml", {"train.steps=20", "train.batch=6"});
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->optimizer.warmup, 2);
  EXPECT_EQ(recipe->train.micro_batch, 6);
  recipe = ParseRecipe("", "/r/recipe.toml", {"train.steps=20", "optimizer.warmup=18"});
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->DecaySteps(), 2);
}

TEST(Recipe, HelpListsEveryKeyWithItsDefault) {
  std::string help = RecipeHelp();
  EXPECT_NE(help.find("steps = 600                          steps: optimiser steps of the whole run"),
            std::string::npos)
      << help;
  for (const RecipeKey &key : RecipeKeys()) EXPECT_NE(help.find(key.help), std::string::npos) << key.name;
}

} // namespace
} // namespace weft
