// weft profile on the bigram model: what it prints, what it writes, and what it leaves alone.
#include "tests/cli/bigram_run.h"

#include <cstdlib>

namespace weft {
namespace {

using nlohmann::json;

class ProfileCommand : public BigramRun {
protected:
  void SetUp() override {
    BigramRun::SetUp();
    setenv("XDG_CACHE_HOME", (folder_ / "cache").c_str(), 1);
    run_ = MakeRun("run");
  }
  ChildResult Profile(std::vector<std::string> more = {}, const std::string &what = "") {
    std::vector<std::string> arguments = {"profile", what.empty() ? recipe_ : what};
    if (what.empty()) arguments.push_back("run.dir=" + run_);
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Weft(arguments);
  }
  static json Read(const std::string &path) { return json::parse(Slurp(path)); }
  std::string run_;
};

// All rows and what is no instruction are the steps, to the nanosecond; so is each thread.
void ExpectAddsUp(const json &profile) {
  int64_t steps = 0, rows = 0;
  for (const json &ns : profile["step_ns"]) steps += ns.get<int64_t>();
  for (const json &site : profile["sites"]) rows += site["work"]["wall_ns"].get<int64_t>();
  for (const char *rest : {"host_ns", "data_ns", "other_ranks_ns"}) rows += profile[rest].get<int64_t>();
  EXPECT_EQ(rows, steps * profile["ranks"].get<int64_t>());
  ASSERT_EQ(profile["thread_times"].size(),
            profile["ranks"].get<size_t>() * profile["threads"].get<size_t>());
  for (const json &thread : profile["thread_times"]) {
    int64_t sum = 0;
    for (const auto &[key, value] : thread.items())
      if (key.ends_with("_ns")) sum += value.get<int64_t>();
    EXPECT_EQ(sum, steps) << thread;
  }
}

TEST_F(ProfileCommand, SaysWhereTheTimeGoesAndWritesItsFiles) {
  ChildResult result = Profile({"--steps", "3"});
  ASSERT_EQ(result.status, 0) << result.error;
  for (const char *text :
       {"(3 measured, ", "tokens/s; 1 rank of 1 thread", "without it", "machine   ", "fma ", "counters  ",
        "kernel ", "accumulate", "update", "model line", "thread", "host", "data", "together"})
    EXPECT_NE(result.out.find(text), std::string::npos) << text << "\n" << result.out;
  EXPECT_NE(result.error.find("measuring this machine"), std::string::npos) << result.error;
  EXPECT_NE(result.error.find("wrote profile.json, trace.json and report.html into " + run_ + "/profile"),
            std::string::npos)
      << result.error;
  const json profile = Read(run_ + "/profile/profile.json");
  EXPECT_EQ(profile["step_ns"].size(), 3u);
  EXPECT_EQ(profile["plain_ns"].size(), 3u);
  EXPECT_EQ(profile["model"], "bigram");
  EXPECT_EQ(profile["weights"], "first values");
  EXPECT_EQ(profile["tokens"], 64);
  ExpectAddsUp(profile);
  int64_t calls = 0;
  for (const json &kernel : profile["kernels"])
    if (kernel["name"] == "accumulate") calls = kernel["work"]["calls"];
  EXPECT_EQ(calls, 3 * 2); // two micro-batches a step
  EXPECT_GT(Read(run_ + "/profile/trace.json")["traceEvents"].size(), 20u);
  EXPECT_NE(Slurp(run_ + "/profile/report.html").find("Profile of bigram"), std::string::npos);
  // The run directory has nothing else new, and no training begun.
  EXPECT_FALSE(fs::exists(run_ + "/checkpoints"));
  EXPECT_FALSE(fs::exists(run_ + "/recipe.toml"));
  EXPECT_EQ(Train(run_).status, 0);
}

TEST_F(ProfileCommand, ASecondProfileIsComparedWithTheFirst) {
  const std::string a = folder_ / "a", b = folder_ / "b";
  ASSERT_EQ(Profile({"--steps", "2", "-o", a}).status, 0);
  ChildResult result = Profile({"--steps=2", "-o", b, "run.threads=2", "--json", "--warm-up=0"});
  ASSERT_EQ(result.status, 0) << result.error;
  ExpectAddsUp(json::parse(result.out));
  EXPECT_EQ(json::parse(result.out), Read(b + "/profile.json"));
  result = Weft({"profile", "diff", a, b + "/profile.json"});
  ASSERT_EQ(result.status, 0) << result.error;
  for (const char *text : {"step  ", "setting: threads of a rank was 1 and is 2", "before, ms", "accumulate",
                           "the same code", "host", "together"})
    EXPECT_NE(result.out.find(text), std::string::npos) << text << "\n" << result.out;
  const json diff = json::parse(Weft({"profile", "diff", a, b, "--json"}).out);
  double before = 0;
  for (const json &row : diff["rows"]) before += row["before_ms"].get<double>();
  EXPECT_NEAR(before, diff["before_ms"], 1e-9);
}

TEST_F(ProfileCommand, RanksAreAllAccountedFor) {
  run_ = MakeRun("two", {.data_parallel = 2});
  ChildResult result = Profile({"--steps", "2", "run.plan=dp2", "train.shards=2"});
  ASSERT_EQ(result.status, 0) << result.error;
  const json profile = Read(run_ + "/profile/profile.json");
  EXPECT_EQ(profile["ranks"], 2);
  ExpectAddsUp(profile);
  EXPECT_NE(result.out.find("rank, thread"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("all_reduce"), std::string::npos) << result.out;
}

TEST_F(ProfileCommand, ARunIsProfiledWithItsNewestWeightsAndLeftAsItWas) {
  ASSERT_EQ(Train(run_).status, 0);
  std::map<std::string, std::string> before;
  for (const auto &entry : fs::recursive_directory_iterator(run_))
    if (entry.is_regular_file()) before[entry.path()] = Slurp(entry.path());
  ChildResult result = Profile({"--steps", "1", "--no-counters"}, run_);
  ASSERT_EQ(result.status, 0) << result.error;
  EXPECT_NE(result.out.find("step-000012"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("they were not asked for"), std::string::npos) << result.out;
  // The tokens were there already.
  EXPECT_EQ(result.error.find("tokenizer:"), std::string::npos) << result.error;
  for (const auto &[path, content] : before) EXPECT_EQ(Slurp(path), content) << path;
}

TEST_F(ProfileCommand, CtrlCLeavesNoProfile) {
  Child child(folder_, {"profile", recipe_, "run.dir=" + run_, "--steps", "10000"});
  ASSERT_TRUE(child.Says("step 1 of 10000"));
  child.Signal(SIGINT);
  ChildResult result = child.Wait();
  EXPECT_EQ(result.status, 130);
  EXPECT_TRUE(result.error.ends_with("error: interrupted: no profile was written\n")) << result.error;
  EXPECT_FALSE(fs::exists(run_ + "/profile/profile.json"));
}

TEST_F(ProfileCommand, WrongUsageAndWrongFilesAreNamed) {
  EXPECT_TRUE(Weft({"profile", "--help"}).out.starts_with("usage: weft profile RECIPE.toml|RUN"));
  EXPECT_TRUE(Weft({"profile", "diff", "--help"}).out.starts_with("usage: weft profile diff BEFORE AFTER"));
  EXPECT_EQ(Weft({"profile"}).status, 2);
  EXPECT_EQ(Weft({"profile", "diff", "x"}).error,
            "error: weft profile diff needs BEFORE AFTER\nhint: weft profile diff --help\n");
  EXPECT_EQ(Profile({"--steps", "0"}).error, "error: --steps is 0 when it should be a whole number between 1 "
                                             "and 10000\nhint: weft profile --help\n");
  const std::string none = folder_ / "none",
                    broken = folder_.Write("broken/profile.json", "{\"format_version\": 1}");
  EXPECT_EQ(Weft({"profile", none}).error, "error: cannot read " + none + ": No such file or directory\n");
  EXPECT_EQ(Weft({"profile", "diff", none, none}).error,
            "error: there is no profile " + none + "\nhint: weft profile RECIPE.toml -o DIR makes one\n");
  EXPECT_EQ(Weft({"profile", "diff", broken, broken}).error, "error: " + broken + ": model is missing\n");
  const std::string file = folder_.Write("a_file", "");
  EXPECT_NE(Profile({"-o", file + "/x"}).error.find("error: cannot create the run directory " + file + "/x"),
            std::string::npos);
  EXPECT_EQ(Profile({"--cpu-level", "sse"}).status, 1);
  const std::string lost = " is a run directory, whose files a profile would overwrite\nhint: -o ";
  EXPECT_EQ(Profile({"-o", run_}).error, "error: " + run_ + lost + run_ + "/profile\n");
  EXPECT_EQ(Profile({"run.dir=" + (folder_ / "new"), "-o", folder_ / "new/"}).status, 1);
  const std::string other = MakeRun("other");
  ASSERT_EQ(Train(other).status, 0);
  EXPECT_EQ(Profile({"-o", other}).error, "error: " + other + lost + other + "/profile\n");
}

} // namespace
} // namespace weft
