// Seconds that an artifact's prefill and decode take, on its first weights and tokens that look random: what
// the numbers are does not change the time.
//   generate_bench ARTIFACT PROMPT TOKENS REPETITIONS THREADS
// Reads a prompt of PROMPT tokens, then TOKENS tokens one by one, as often as asked; each repetition begins
// with an empty text. Prints a JSON object: seconds to load (weights derived), of each prompt, and of each
// repetition's tokens together, and what the process held at most. THREADS 0: as many as there are
// processors.
#include "runtime/artifact/reader.h"
#include "runtime/device/cpu.h"
#include "runtime/generate/session_model.h"
#include "runtime/train/ranks.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>
#include <sys/resource.h>

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;
double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Options {
  std::string artifact;
  int64_t prompt = 0, tokens = 0, repetitions = 0, threads = 0;
};

absl::StatusOr<nlohmann::json> Measure(const Options &options) {
  auto start = Clock::now();
  auto artifact = LoadArtifact(options.artifact);
  if (!artifact.ok()) return artifact.status();
  RanksOptions ranks_options;
  ranks_options.artifact = *artifact;
  ranks_options.cpu = CpuOptionsFromEnvironment();
  ranks_options.threads = static_cast<int>(options.threads);
  auto ranks = Ranks::Create(ranks_options);
  if (!ranks.ok()) return ranks.status();
  Session &session = (*ranks)->session(0);
  session.Initialise(/*seed=*/1);
  auto model = SessionModel::Create(session);
  if (!model.ok()) return model.status();
  if (options.prompt > (*model)->context() - options.tokens)
    return absl::InvalidArgumentError(absl::StrCat(options.prompt, " and ", options.tokens,
                                                   " tokens when the artifact's context holds ",
                                                   (*model)->context()));
  nlohmann::json result = {{"load", SecondsSince(start)},
                           {"threads", (*ranks)->threads()},
                           {"cpu_level", session.cpu_level()},
                           {"prefill", nlohmann::json::array()},
                           {"decode", nlohmann::json::array()}};
  std::mt19937 random(1);
  std::vector<int32_t> ids(options.prompt + options.tokens);
  for (int32_t &id : ids) id = static_cast<int32_t>(random() % (*model)->vocab());
  for (int64_t r = 0; r < options.repetitions; ++r) {
    absl::Span<const int32_t> text = ids;
    auto begin = Clock::now();
    if (absl::Status s = (*model)->Feed(text.first(options.prompt), 0); !s.ok()) return s;
    result["prefill"].push_back(SecondsSince(begin));
    begin = Clock::now();
    for (int64_t at = options.prompt; at < options.prompt + options.tokens; ++at)
      if (absl::Status s = (*model)->Feed(text.subspan(at, 1), at); !s.ok()) return s;
    result["decode"].push_back(SecondsSince(begin));
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  result["peak_bytes"] = usage.ru_maxrss * 1024;
  return result;
}

} // namespace
} // namespace weft

int main(int argc, char **argv) {
  constexpr int64_t kMost = 1 << 20;
  weft::Options options;
  auto number = [&](int at, int64_t least, int64_t &value) {
    return absl::SimpleAtoi(argv[at], &value) && value >= least && value <= kMost;
  };
  if (argc != 6 || !number(2, 1, options.prompt) || !number(3, 1, options.tokens) ||
      !number(4, 1, options.repetitions) || !number(5, 0, options.threads)) {
    std::fputs("error: usage: generate_bench ARTIFACT PROMPT TOKENS REPETITIONS THREADS, each 1 to 1048576 "
               "(THREADS also 0: as many as there are processors)\n",
               stderr);
    return 2;
  }
  options.artifact = argv[1];
  auto result = weft::Measure(options);
  if (!result.ok()) {
    std::fprintf(stderr, "error: %s\n", std::string(result.status().message()).c_str());
    return 1;
  }
  std::printf("%s\n", result->dump().c_str());
}
