// What the command line says to right and wrong usage.
#include "tests/cli/child.h"
#include "tests/runtime/train/bigram.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace weft {
namespace {

class Usage : public ::testing::Test {
protected:
  ChildResult Weft(std::vector<std::string> arguments) { return Child(folder_, std::move(arguments)).Wait(); }
  TempFolder folder_;
};

TEST_F(Usage, EveryCommandHasHelp) {
  for (const char *command : {"train", "generate", "chat", "eval", "import", "export", "inspect", "profile",
                              "tokenizer", "new", "version"}) {
    ChildResult result = Weft({command, "--help"});
    EXPECT_EQ(result.status, 0) << command;
    EXPECT_TRUE(result.out.starts_with(std::string("usage: weft ") + command)) << result.out;
    EXPECT_EQ(result.error, "") << command;
  }
  EXPECT_EQ(Weft({"--help"}).status, 0);
  EXPECT_NE(Weft({"train", "--help-keys"}).out.find("steps = 600"), std::string::npos);
}

TEST_F(Usage, BadUsageIsStatusTwoWithAHint) {
  auto expect = [&](std::vector<std::string> arguments, const std::string &error) {
    ChildResult result = Weft(arguments);
    EXPECT_EQ(result.status, 2) << error;
    EXPECT_EQ(result.error, error);
    EXPECT_EQ(result.out, "");
  };
  expect({"trian"}, "error: unknown command trian\nhint: did you mean weft train?\n");
  expect({"zzz"}, "error: unknown command zzz\nhint: weft --help lists the commands\n");
  expect(
      {"train"},
      "error: weft train needs a recipe or a run directory\nhint: weft new NAME makes one to start from\n");
  expect({"train", "r.toml", "--resum"}, "error: unknown option --resum\nhint: did you mean --resume?\n");
  expect({"train", "r.toml", "--resume=1"}, "error: --resume takes no value\nhint: weft train --help\n");
  expect({"generate"}, "error: weft generate needs RUN|CHECKPOINT\nhint: weft generate --help\n");
  expect(
      {"generate", "run"},
      "error: weft generate needs either --prompt TEXT or --prompt-file FILE\nhint: weft generate --help\n");
  expect({"generate", "run", "--prompt"},
         "error: --prompt needs a value: --prompt TEXT\nhint: weft generate --help\n");
  expect({"generate", "run", "more", "--prompt", "x"},
         "error: unexpected argument more\nhint: weft generate --help\n");
  expect({"generate", "run", "--prompt", "x", "--max-tokens", "1.5"},
         "error: --max-tokens is 1.5 when it should be a whole number of at least 0\nhint: weft generate "
         "--help\n");
  expect({"generate", "run", "--prompt", "x", "--top-p=2"},
         "error: --top-p is 2 when it should be a number between 0 and 1\nhint: weft generate --help\n");
  expect({"generate", "run", "--seed", "1", "--seed", "2"},
         "error: --seed is given twice\nhint: weft generate --help\n");
  expect({"eval", "run"},
         "error: weft eval needs either --data FILE or --ids FILE\nhint: weft eval --help\n");
  expect({"tokenizer"},
         "error: weft tokenizer needs train, encode, decode or inspect\nhint: weft tokenizer --help\n");
  expect({"new", "a-b"}, "error: \"a-b\" cannot name a model: letters, digits and _ only, the first no "
                         "digit, and no word of C++\nhint: weft new my_model\n");
}

TEST_F(Usage, ErrorsAreStatusOneAndNameTheThing) {
  auto error = [&](std::vector<std::string> arguments) {
    ChildResult result = Weft(arguments);
    EXPECT_EQ(result.status, 1);
    return result.error;
  };
  std::string none = folder_ / "none", dir = folder_.path();
  EXPECT_EQ(error({"train", none}), "error: cannot read " + none + ": No such file or directory\n");
  EXPECT_EQ(error({"generate", none, "--prompt", "x"}),
            "error: there is no run or checkpoint " + none + "\n");
  EXPECT_EQ(
      error({"generate", dir, "--prompt", "x"}),
      "error: " + dir +
          " holds no checkpoint\nhint: name a run directory of weft train, or one of its checkpoints\n");
  std::string recipe = folder_.Write("r.toml", "[train]\nbtach = 3\n");
  EXPECT_EQ(error({"train", recipe}),
            "error: " + recipe + ":2: unknown key train.btach\nhint: did you mean train.batch?\n");
  std::string empty = folder_.Write("e.toml", "[run]\ndir = \"" + dir + "/run\"\n");
  EXPECT_EQ(error({"train", empty}),
            "error: data.train names no text\nhint: for example data.train = [\"corpus/*.txt\"]\n");
  std::string not_weft = folder_.Write("x.weft", "this is no artifact at all");
  EXPECT_TRUE(error({"inspect", not_weft}).starts_with("error: " + not_weft + ": is not a Weft artifact"));
}

TEST_F(Usage, NewMakesAProjectWhoseRecipeReads) {
  std::string project = folder_ / "my_model";
  ChildResult result = Weft({"new", project});
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_NE(Slurp(project + "/model.cc").find("WEFT_MODEL(my_model)"), std::string::npos);
  result = Weft({"train", project + "/recipe.toml", "run.dir=" + (folder_ / "run"),
                 "data.train=" + (folder_ / "no.txt")});
  EXPECT_EQ(result.status, 1); // the recipe is right, the text is not there
  EXPECT_NE(result.error.find("no.txt"), std::string::npos) << result.error;
  EXPECT_EQ(Weft({"new", project}).error,
            "error: " + project + " exists already\nhint: choose another name, or remove it\n");
}

TEST_F(Usage, TokenizerRoundTripsText) {
  std::string text = folder_.Write(
                  "t.txt",
                  "so much depends upon a red wheel barrow glazed with rain water, so much, so much\n"),
              file = folder_ / "t.json";
  ChildResult result = Weft({"tokenizer", "train", text, "--vocab", "270", "-o", file});
  ASSERT_EQ(result.status, 0) << result.error;
  result = Weft({"tokenizer", "encode", "so much é", "--tokenizer", file});
  ASSERT_EQ(result.status, 0) << result.error;
  EXPECT_EQ(Weft({"tokenizer", "decode", result.out, "--tokenizer", file}).out, "so much é");
  EXPECT_EQ(Weft({"tokenizer", "train", text, "--split", "llama4"}).error,
            "error: --split is \"llama4\" when it should be llama3, qwen2, gpt2 or deepseek3\n");
  const std::string other = file + ".other", again = file + ".again";
  result = Weft({"tokenizer", "train", text, "--vocab", "270", "--split", "deepseek3", "--special", "<s>",
                 "-o", other});
  ASSERT_EQ(result.status, 0) << result.error;
  result = Weft({"tokenizer", "inspect", other, "-o", again});
  EXPECT_NE(result.out.find("added     257  <s>  special\n"), std::string::npos) << result.out;
  EXPECT_EQ(Weft({"tokenizer", "inspect", again}).out, result.out);
  std::string error = Weft({"tokenizer", "decode", "1", "99999", "--tokenizer", file}).error;
  EXPECT_TRUE(error.starts_with("error: \"99999\" is no id: ids are whole numbers from 0 to 2")) << error;
}

TEST_F(Usage, InspectShowsWhatAnArtifactHolds) {
  fb::ArtifactT artifact = weft::testing::Bigram({}, KERNELS_PATH);
  std::string path = folder_ / "b.weft";
  ASSERT_TRUE(WriteArtifact(artifact, path).ok());
  EXPECT_NE(Weft({"inspect", path}).out.find("parameters     90.0k, 351.56 KiB"), std::string::npos)
      << Weft({"inspect", path}).out;
  ChildResult all = Weft({"inspect", path, "--params", "--memory", "--kernels", "--remarks"});
  EXPECT_EQ(all.status, 0);
  for (const char *text :
       {"model.bigram.weight", "normal 0.02", "arena of train_step", "accumulate", "no remarks"})
    EXPECT_NE(all.out.find(text), std::string::npos) << text << "\n" << all.out;
  auto json = nlohmann::json::parse(Weft({"inspect", path, "--json"}).out);
  EXPECT_EQ(json["stages"][0]["variables"][0]["shape"], nlohmann::json({300, 300}));
  EXPECT_EQ(json["kernels"][0]["train_step"]["launches"], 1);
}

} // namespace
} // namespace weft
