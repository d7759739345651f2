#include "compiler/check/check_kernels.h"
#include "compiler/check/check_sessions.h"
#include "dialects/graph/graph.h"
#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace mlir;
using weft::graph::HostTensor;
namespace weft {
namespace {

// What a child process tells while it runs, and at its end.
struct Shared {
  char kernel[128];
};

class Checker {
public:
  Checker(Stages scheduled, const llvm::StringMap<std::string> &byContent, ModuleOp kernels,
          std::shared_ptr<const LoadedArtifact> artifact, const CheckOptions &options, Shared &shared)
      : scheduled(scheduled), byContent(byContent), kernels(kernels), artifact(std::move(artifact)),
        options(options), shared(shared) {}

  std::string run(KernelCheck &out) {
    std::vector<std::shared_ptr<const KernelLibrary>> levels;
    if (std::string problem = load(levels); !problem.empty()) return problem;
    const size_t n = scheduled.size();
    std::vector<std::unique_ptr<KernelRunner>> runners; // by stage
    SmallVector<graph::InterpretObserver *> observers;
    for (size_t i = 0; i < n; ++i) {
      runners.push_back(std::make_unique<KernelRunner>(byContent, kernels, *artifact, levels,
                                                       [&](const std::string &name) { tell(name); }));
      observers.push_back(runners.back().get());
    }
    std::string problem;
    StageSessions sessions(artifact, levels.front(), problem);
    if (!problem.empty()) return problem;
    ModuleOp first = scheduled.front();
    int64_t numMicroBatches = chooseMicroBatches(first, options.inputs);
    auto initial = variablesOf(scheduled, options.inputs, options.seed);
    if (failed(initial)) return said;
    SmallVector<graph::Variables> caches(n);
    for (auto f : first.getOps<func::FuncOp>()) {
      if (!f->hasAttr("weft.entry") || needsGradient(scheduled, f.getSymName())) continue;
      const std::string entry = f.getSymName().str();
      for (auto &runner : runners) {
        runner->entry = entry;
        runner->records.clear();
      }
      SmallVector<graph::Variables> variables = *initial, before = caches;
      auto results = runEntry(scheduled, entry, options, numMicroBatches, variables, caches, observers, true);
      if (failed(results)) {
        for (auto &runner : runners)
          if (!runner->problem.empty()) return runner->problem;
        return "@" + entry + " cannot be run";
      }
      tell("");
      auto args = llvm::map_to_vector(scheduled, [&](ModuleOp m) {
        return argumentsOf(m.lookupSymbol<func::FuncOp>(entry), options.inputs, options.seed,
                           numMicroBatches);
      });
      SmallVector<StageRun> runs;
      for (size_t i = 0; i < n; ++i) {
        if (failed(args[i])) return said;
        runs.push_back({ModuleOp(scheduled[i]).lookupSymbol<func::FuncOp>(entry), *args[i], (*initial)[i],
                        before[i], (*results)[i], variables[i], runners[i]->records});
      }
      if (problem = sessions.compare(runs); !problem.empty()) return "@" + entry + " as a whole: " + problem;
    }
    for (auto &runner : runners) out += runner->found;
    return "";
  }

  std::string said; // diagnostics

private:
  void tell(const std::string &kernel) { strncpy(shared.kernel, kernel.c_str(), sizeof shared.kernel - 1); }

  std::string load(std::vector<std::shared_ptr<const KernelLibrary>> &levels) {
    for (int l = int(DetectCpuLevel()); l >= int(CpuLevel::avx2); --l)
      for (const fb::Object *object : *artifact->root->objects()) {
        if (object->level()->string_view() != CpuLevelName(CpuLevel(l))) continue;
        CpuOptions cpu;
        cpu.level = CpuLevelName(CpuLevel(l));
        auto library = KernelLibrary::Load(*artifact, cpu);
        if (!library.ok()) return std::string(library.status().message());
        levels.push_back(*std::move(library));
      }
    return levels.empty() ? "this machine runs no level that the program is compiled for\nhint: --target "
                            "cpu:native"
                          : "";
  }

  Stages scheduled;
  const llvm::StringMap<std::string> &byContent;
  ModuleOp kernels;
  std::shared_ptr<const LoadedArtifact> artifact;
  const CheckOptions &options;
  Shared &shared;
};

// A KernelCheck, for a pipe.
std::string packed(const KernelCheck &c) {
  nlohmann::json worst = nlohmann::json::object();
  for (auto &[family, w] : c.worst) worst[family] = {w.error, w.kernel};
  return nlohmann::json{{"kernels", c.kernels},     {"launches", c.launches}, {"results", c.results},
                        {"unbounded", c.unbounded}, {"levels", c.levels},     {"worst", worst}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}
// Of what our own child has written; nothing where it was cut off.
std::optional<KernelCheck> unpacked(StringRef text) {
  nlohmann::json root = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (root.is_discarded()) return std::nullopt;
  KernelCheck c{root["kernels"], root["launches"], root["results"], root["unbounded"], {}, root["levels"]};
  for (auto &[family, w] : root["worst"].items()) c.worst[family] = {w[0], w[1]};
  return c;
}

} // namespace

KernelCheck &KernelCheck::operator+=(const KernelCheck &other) {
  used.insert(other.used.begin(), other.used.end());
  kernels = int64_t(used.size());
  launches += other.launches;
  results += other.results;
  unbounded += other.unbounded;
  for (auto &[family, w] : other.worst)
    if (Worst &mine = worst[family]; w.error >= mine.error) mine = w;
  levels = other.levels;
  return *this;
}

std::variant<KernelCheck, std::string>
checkKernels(Stages scheduled, const llvm::StringMap<std::string> &byContent, ModuleOp kernels,
             std::shared_ptr<const LoadedArtifact> artifact, const CheckOptions &options) {
  void *page = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int ends[2];
  if (page == MAP_FAILED || pipe(ends) != 0) return std::string("cannot make a pipe to another process");
  Shared &shared = *new (page) Shared{};
  fflush(nullptr);
  pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) ::signal(signal, SIG_DFL);
    KernelCheck out;
    Checker checker(scheduled, byContent, kernels, artifact, options, shared);
    ScopedDiagnosticHandler handler(ModuleOp(scheduled.front()).getContext(), [&](Diagnostic &d) {
      if (d.getSeverity() == DiagnosticSeverity::Error) checker.said += d.str() + "\n";
      return success();
    });
    std::string problem = checker.run(out);
    if (!problem.empty() && !checker.said.empty()) problem += "\n" + StringRef(checker.said).trim().str();
    std::string text = problem.empty() ? "+" + packed(out) : "-" + problem;
    for (size_t at = 0; at < text.size();) {
      ssize_t n = write(ends[1], text.data() + at, text.size() - at);
      if (n <= 0) break;
      at += n;
    }
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  if (child > 0)
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) text.append(buffer, n);
  close(ends[0]);
  int status = 0;
  if (child > 0)
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
  std::string running = shared.kernel;
  munmap(page, sizeof(Shared));
  if (child < 0) return std::string("cannot start a process");
  if (WIFSIGNALED(status))
    return (running.empty() ? std::string("the program as a whole") : "kernel " + running) +
           " was ended by " + strsignal(WTERMSIG(status)) +
           (WTERMSIG(status) == SIGSEGV ? ": does it reach behind a buffer?" : "") +
           (running.empty() ? "" : "\n" + kernelHint(running));
  if (text.empty()) return std::string("the process that ran the kernels ended without a word");
  if (text[0] == '-') return text.substr(1);
  auto check = unpacked(StringRef(text).drop_front());
  if (!check) return std::string("the process that ran the kernels was cut off");
  return *check;
}

} // namespace weft
