// Seconds that an artifact's prefill and decode take, on its first weights and tokens that look random: what
// the numbers are does not change the time.
//   generate_bench ARTIFACT PROMPT TOKENS REPETITIONS THREADS [--kernels]
// Reads a prompt of PROMPT tokens, then TOKENS tokens one by one, as often as asked; each repetition begins
// with an empty text. With an artifact of run.generate_batch texts, that many texts at once; PROMPT is then
// the size of one of its prefill entries. Prints a JSON object: seconds to load (weights derived), of each
// prompt, and of each repetition's tokens together, and what the process held at most. THREADS 0: as many as
// there are processors. --kernels: on stderr the time of each kernel of decode and the bytes that it moves a
// second.
#include "runtime/artifact/dtype.h"
#include "runtime/artifact/reader.h"
#include "runtime/device/cpu.h"
#include "runtime/executor/initialise.h"
#include "runtime/generate/session_model.h"
#include "runtime/train/ranks.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
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
  bool kernels = false;
  int64_t prompt = 0, tokens = 0, repetitions = 0, threads = 0;
};

// The time of each kernel of decode, by name.
class KernelTimes : public LaunchObserver {
public:
  explicit KernelTimes(int entry) : entry_(entry) {}
  void Before(const ObservedLaunch &) override { begin_ = Clock::now(); }
  void After(const ObservedLaunch &launch) override {
    if (launch.entry != entry_) return;
    Time &time = times_[launch.kernel->name()->str()];
    time.seconds += SecondsSince(begin_);
    time.bytes += static_cast<double>(launch.launch->bytes());
    ++time.calls;
  }
  void Print(int64_t tokens) const {
    std::vector<std::pair<std::string, Time>> rows(times_.begin(), times_.end());
    std::sort(rows.begin(), rows.end(),
              [](const auto &a, const auto &b) { return a.second.seconds > b.second.seconds; });
    std::fprintf(stderr, "%-32s %10s %10s %8s\n", "kernel", "us/token", "calls", "GB/s");
    for (const auto &[name, time] : rows)
      std::fprintf(stderr, "%-32s %10.1f %10.1f %8.1f\n", name.c_str(), time.seconds * 1e6 / tokens,
                   double(time.calls) / tokens, time.bytes / time.seconds / 1e9);
  }

private:
  struct Time {
    double seconds = 0, bytes = 0;
    int64_t calls = 0;
  };
  int entry_;
  Clock::time_point begin_;
  std::map<std::string, Time> times_;
};

// Texts side by side, through the artifact's entries.
class Texts {
public:
  static absl::StatusOr<Texts> Create(Session &session, int64_t batch) {
    if (absl::StatusOr<int> derive = session.FindEntry("derive"); derive.ok())
      if (absl::Status s = session.Run(*derive, {}); !s.ok()) return s;
    return Texts(session, batch);
  }
  // `tokens` are all texts' at positions from `position` on.
  absl::Status Feed(absl::Span<const int32_t> tokens, int64_t position) {
    const int64_t length = static_cast<int64_t>(tokens.size());
    std::string entry = length == 1 ? "decode" : absl::StrCat("prefill_", length);
    auto found = entries_.find(length);
    if (found == entries_.end()) {
      auto call = EntryCall::Make(session_, entry);
      if (!call.ok()) return call.status();
      const fb::Argument *logits = call->Find("logits");
      if (!logits) return absl::FailedPreconditionError(absl::StrCat("entry '", entry, "' gives no logits"));
      Entry made{std::make_unique<EntryCall>(*std::move(call)),
                 std::vector<int32_t>(batch_ * length),
                 std::vector<int32_t>(batch_ * length),
                 std::vector<int32_t>(batch_, static_cast<int32_t>(length - 1)),
                 std::vector<float>(batch_ * logits->shape()->Get(1)),
                 std::vector<float>(batch_)};
      auto bind = [&](const char *name, auto &values) {
        made.call->Bind(name, values.data(), values.size() * sizeof values[0]);
      };
      bind("tokens", made.tokens), bind("positions", made.positions), bind("last", made.last);
      bind("logits", made.logits), bind("lse", made.lse);
      found = entries_.emplace(length, std::move(made)).first;
    }
    Entry &e = found->second;
    for (int64_t i = 0; i < batch_ * length; ++i) {
      e.tokens[i] = tokens[i % length];
      e.positions[i] = static_cast<int32_t>(position + i % length);
    }
    return e.call->Run();
  }

private:
  struct Entry {
    std::unique_ptr<EntryCall> call;
    std::vector<int32_t> tokens, positions, last;
    std::vector<float> logits, lse;
  };
  Texts(Session &session, int64_t batch) : session_(session), batch_(batch) {}
  Session &session_;
  int64_t batch_;
  std::map<int64_t, Entry> entries_; // by length
};

// Seconds of prompts and of tokens, into `result`.
template <class Model>
absl::Status Repeat(Model &model, const Options &options, absl::Span<const int32_t> text,
                    nlohmann::json &result) {
  for (int64_t r = 0; r < options.repetitions; ++r) {
    auto begin = Clock::now();
    if (absl::Status s = model.Feed(text.first(options.prompt), 0); !s.ok()) return s;
    result["prefill"].push_back(SecondsSince(begin));
    begin = Clock::now();
    for (int64_t at = options.prompt; at < options.prompt + options.tokens; ++at)
      if (absl::Status s = model.Feed(text.subspan(at, 1), at); !s.ok()) return s;
    result["decode"].push_back(SecondsSince(begin));
  }
  return absl::OkStatus();
}

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
  // As from a checkpoint: what training alone needs stays untouched.
  for (const fb::Variable *v : *session.stage().variables())
    if (v->kind() == fb::VariableKind::parameter)
      session.pool().ParallelFor(v->bytes() / ByteSize(v->dtype()), 4096, [&](int64_t from, int64_t to, int) {
        InitialiseElements(*v, /*seed=*/1, from, to, session.memory(*v).data());
      });
  auto option = [&](const char *key, int64_t missing) {
    int64_t value = missing;
    return absl::SimpleAtoi(ArtifactOption(session.artifact(), key), &value) ? value : missing;
  };
  const int64_t batch = option("generate_batch", 1), context = option("context", 0);
  if (options.prompt > context - options.tokens)
    return absl::InvalidArgumentError(absl::StrCat(options.prompt, " and ", options.tokens,
                                                   " tokens when the artifact's context holds ", context));
  std::mt19937 random(1);
  auto decode = EntryCall::Make(session, "decode");
  if (!decode.ok()) return decode.status();
  const fb::Argument *logits = decode->Find("logits");
  if (!logits) return absl::FailedPreconditionError("entry 'decode' gives no logits");
  std::vector<int32_t> ids(options.prompt + options.tokens);
  for (int32_t &id : ids) id = static_cast<int32_t>(random() % logits->shape()->Get(1));
  nlohmann::json result = {{"threads", (*ranks)->threads()},
                           {"cpu_level", session.cpu_level()},
                           {"batch", batch},
                           {"prefill", nlohmann::json::array()},
                           {"decode", nlohmann::json::array()}};
  absl::StatusOr<int> entry = session.FindEntry("decode");
  if (!entry.ok()) return entry.status();
  KernelTimes times(*entry);
  if (options.kernels) session.set_observer(&times);
  absl::Status status;
  if (batch == 1) {
    auto model = SessionModel::Create(session);
    if (!model.ok()) return model.status();
    result["load"] = SecondsSince(start);
    status = Repeat(**model, options, ids, result);
  } else {
    auto texts = Texts::Create(session, batch);
    if (!texts.ok()) return texts.status();
    result["load"] = SecondsSince(start);
    status = Repeat(*texts, options, ids, result);
  }
  if (!status.ok()) return status;
  if (options.kernels) times.Print(options.tokens * options.repetitions);
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
  if (argc == 7 && std::string(argv[6]) == "--kernels") options.kernels = true, --argc;
  if (argc != 6 || !number(2, 1, options.prompt) || !number(3, 1, options.tokens) ||
      !number(4, 1, options.repetitions) || !number(5, 0, options.threads)) {
    std::fputs("error: usage: generate_bench ARTIFACT PROMPT TOKENS REPETITIONS THREADS [--kernels], each 1 "
               "to 1048576 "
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
