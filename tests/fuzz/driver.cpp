// Runs a fuzz target without libFuzzer: its seeds, then mutations of them decided by a seed, or the files
// named.
//
//   fuzz_recipe_test -runs=20000 -seed=1        the same executions every time
//   fuzz_recipe_test crash-recipe               one input again
//
// Fails, leaving the input in a file crash-NAME, when an execution crashes, takes more than a second of
// processor time, or asks for more than a gigabyte at once.
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/mutator.h"

#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <set>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
extern "C" const char *__asan_default_options() { return "max_allocation_size_mb=1024"; }
extern "C" const char *__ubsan_default_options() { return "print_stacktrace=1:abort_on_error=1"; }
constexpr double kSlower = 10;
#elif defined(__SANITIZE_THREAD__)
constexpr double kSlower = 10;
#else
constexpr double kSlower = 1;
#endif

namespace {

constexpr double kMostSeconds = 1 * kSlower; // of one execution
constexpr size_t kMostKept = 2000;           // inputs that are mutated further

const std::string *input = nullptr; // of the execution under way
std::string crash_file;
std::set<std::string> outcomes;
bool new_outcome = false;

// Async-signal-safe: runs when the process is about to die.
void SaveInput() {
  if (!input) return;
  int fd = open(crash_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool saved = fd >= 0 && write(fd, input->data(), input->size()) == static_cast<ssize_t>(input->size());
  const char *said = saved ? "the input is in the file " : "the input could not be written to ";
  for (const char *text : {said, crash_file.c_str(), "\n"})
    if (write(STDERR_FILENO, text, std::strlen(text)) < 0) break;
  input = nullptr;
}

void OnSignal(int signal) {
  SaveInput();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void CatchCrashes() {
  static char stack[64 << 10]; // a stack that overflowed cannot run the handler
  stack_t alternate{};
  alternate.ss_sp = stack, alternate.ss_size = sizeof stack;
  sigaltstack(&alternate, nullptr);
  struct sigaction action {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_ONSTACK;
#if defined(__SANITIZE_ADDRESS__)
  __asan_set_death_callback(SaveInput);
  sigaction(SIGABRT, &action, nullptr);
#else
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigaction(signal, &action, nullptr);
#if !defined(__SANITIZE_THREAD__)
  rlimit limit{2ul << 30, 2ul << 30}; // an allocation of more than is left throws
  setrlimit(RLIMIT_AS, &limit);
#endif
#endif
}

double Seconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Whether the target answered in a new way.
bool Execute(const std::string &bytes) {
  input = &bytes;
  new_outcome = false;
  double begin = Seconds();
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
  double took = Seconds() - begin;
  if (took > kMostSeconds) {
    std::fprintf(stderr, "took %.1f s of processor time when %.0f s is the most\n", took, kMostSeconds);
    std::abort();
  }
  input = nullptr;
  return new_outcome;
}

// The value of -name=VALUE, or -1.
int64_t Number(std::string_view argument, std::string_view name) {
  std::string prefix = "-" + std::string(name) + "=";
  return argument.starts_with(prefix) ? std::atoll(argument.data() + prefix.size()) : -1;
}

} // namespace

// Names and numbers of the input do not make a message a new one.
void weft::fuzz::Outcome(std::string_view message) {
  std::string kind;
  for (size_t end; !message.empty() && kind.size() < 80;
       message.remove_prefix(std::min(message.size(), end + 1))) {
    std::string_view word = message.substr(0, end = std::min(message.find(' '), message.size()));
    bool hexadecimal = word.find_first_of("0123456789") != word.npos && word.find('[') == word.npos;
    for (char c : hexadecimal ? std::string_view() : word)
      if (c >= 'a' && c <= 'z') kind += c;
    kind += ' ';
  }
  if (outcomes.size() < kMostKept && outcomes.insert(kind).second) new_outcome = true;
}

int main(int argc, char **argv) {
  std::string name = argv[0];
  crash_file = "crash-" + name.substr(name.rfind('/') + 1);
  int64_t runs = 20000, seed = 1;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    if (int64_t n = Number(argument, "runs"); n >= 0)
      runs = n;
    else if (int64_t n = Number(argument, "seed"); n >= 0)
      seed = n;
    else if (!argument.starts_with("-"))
      files.emplace_back(argument);
    else
      return std::fprintf(stderr, "usage: %s [-runs=N] [-seed=N] [FILE...]\n", argv[0]), 2;
  }
  CatchCrashes();
  for (const std::string &file : files) {
    std::ifstream in(file, std::ios::binary);
    if (!in) return std::fprintf(stderr, "error: cannot read %s\n", file.c_str()), 1;
    Execute({std::istreambuf_iterator<char>(in), {}});
  }
  if (!files.empty()) return 0;

  std::vector<std::string> kept = weft::fuzz::Seeds();
  size_t num_seeds = kept.size(), most_bytes = 64 << 10;
  for (const std::string &bytes : kept) most_bytes = std::max(most_bytes, 2 * bytes.size()), Execute(bytes);
  weft::fuzz::Mutator mutator(seed, weft::fuzz::Words(), most_bytes);
  for (int64_t run = 0; run < runs; ++run) {
    // The seeds as often as all that was found since: what was found is further from a whole file.
    size_t among = mutator.Below(2) == 0 ? num_seeds : kept.size();
    std::string bytes = mutator.Mutate(kept[mutator.Below(among)], kept[mutator.Below(kept.size())]);
    if (Execute(bytes) && kept.size() < kMostKept) kept.push_back(std::move(bytes));
  }
  std::printf("%ld executions from %zu seeds, answered in %zu ways, %.1f s\n", static_cast<long>(runs),
              num_seeds, outcomes.size(), Seconds());
  return 0;
}
