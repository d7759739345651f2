#include "compiler/check_kernels.h"
#include "compiler/kernel_runner.h"
#include "compiler/op_origin.h"
#include "compiler/tensor_bytes.h"
#include "dialects/graph/graph.h"
#include "runtime/executor/executor.h"
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

// Holds a session's launches against those that the interpreter made of the same entry.
class LaunchComparer : public LaunchObserver {
public:
  explicit LaunchComparer(const std::vector<LaunchRecord> &records) : records(records) {}

  void Before(const ObservedLaunch &l) override {
    inputs.clear();
    if (!problem.empty() || next >= records.size()) return;
    for (size_t i = 0; i < records[next].inputs.size(); ++i)
      inputs.push_back(digestOf(bytesAt(l, i), elementOf(l, i)));
  }

  void After(const ObservedLaunch &l) override {
    if (!problem.empty()) return;
    size_t number = next++;
    std::string name = l.kernel->name()->str();
    if (number >= records.size()) {
      problem = "launch " + std::to_string(number) + ", of " + name + ", is not in the ops that were lowered";
      return;
    }
    const LaunchRecord &r = records[number];
    std::string where =
        "launch " + std::to_string(number) + ", of " + name + " at " + originsText(r.op->getLoc(), 3) + ",";
    if (!l.loops.empty()) {
      where += " in iteration";
      for (int64_t i : l.loops) where += " " + std::to_string(i);
    }
    if (l.launch->kernel() != r.kernel || l.launch->sizes()->size() != r.sizes.size() ||
        !std::equal(r.sizes.begin(), r.sizes.end(), l.launch->sizes()->begin())) {
      problem = where + " is not what stands there in the ops that were lowered: " +
                r.op->getName().getStringRef().str();
      return;
    }
    for (size_t o = 0; o < r.outputs.size(); ++o) {
      size_t buffer = r.inputs.size() + o;
      if (digestOf(bytesAt(l, buffer), r.outputs[o].element, r.outputs[o].written) == r.outputs[o].digest)
        continue;
      problem = where + " leaves other bits in buffer " + std::to_string(buffer) + " than on its own";
      std::string differ;
      for (size_t i = 0; i < r.inputs.size(); ++i)
        if (inputs[i] != r.inputs[i]) differ += (differ.empty() ? "" : ", ") + std::to_string(i);
      problem +=
          differ.empty()
              ? "; what it reads is the same: how its work items are cut over threads, or memory that it "
                "shares with what it reads, changes its results"
              : "; what it reads in buffer " + differ +
                    " is not what the ops before left: the lowering, or the plan of memory, has "
                    "overwritten it";
      return;
    }
  }

  std::string problem;
  size_t next = 0;

private:
  static StringRef bytesAt(const ObservedLaunch &l, size_t i) {
    return {l.buffers[i], size_t(l.launch->buffers()->Get(i)->extent())};
  }
  static graph::Element elementOf(const ObservedLaunch &l, size_t i) {
    static constexpr graph::Element elements[] = {graph::Element::f32, graph::Element::f64,
                                                  graph::Element::i32, graph::Element::i64,
                                                  graph::Element::i1,  graph::Element::bf16};
    return elements[int(l.kernel->buffers()->Get(i)->dtype())];
  }
  const std::vector<LaunchRecord> &records;
  std::vector<uint64_t> inputs;
};

// What a child process tells while it runs, and at its end.
struct Shared {
  char kernel[128];
};

class Checker {
public:
  Checker(ModuleOp scheduled, const llvm::StringMap<std::string> &byContent, ModuleOp kernels,
          std::shared_ptr<const LoadedArtifact> artifact, const CheckOptions &options, Shared &shared)
      : scheduled(scheduled), byContent(byContent), kernels(kernels), artifact(std::move(artifact)),
        options(options), shared(shared) {}

  std::string run(KernelCheck &out) {
    std::vector<std::shared_ptr<const KernelLibrary>> levels;
    if (std::string problem = load(levels); !problem.empty()) return problem;
    KernelRunner runner(byContent, kernels, *artifact, levels, [&](const std::string &name) { tell(name); });
    const fb::Artifact &root = *artifact->root;
    // Ranks that wait for others have no session here; their kernels have been compared.
    bool alone = root.stages()->size() == 1;
    for (size_t i = 0; root.options() && i < root.options()->size(); ++i)
      if (const fb::Option *option = root.options()->Get(i); option->key()->string_view() == "data_parallel")
        alone &= option->value()->string_view() == "1";
    if (alone) {
      SessionOptions session;
      session.artifact = artifact;
      session.kernels = levels.front();
      session.threads = 3;
      auto created = Session::Create(session);
      if (!created.ok()) return std::string(created.status().message());
      whole = *std::move(created);
    }
    out.program = alone;
    int64_t numMicroBatches = chooseMicroBatches(scheduled, options.inputs);
    auto initial = variablesOf(scheduled, options.inputs, options.seed);
    if (failed(initial)) return said;
    graph::Variables caches;
    for (auto f : scheduled.getOps<func::FuncOp>()) {
      if (!f->hasAttr("weft.entry") || needsGradient(f)) continue;
      runner.entry = f.getSymName().str();
      runner.records.clear();
      graph::Variables variables = *initial, before = caches;
      auto results = runEntry(f, options, numMicroBatches, variables, caches, &runner);
      if (failed(results))
        return runner.problem.empty() ? "@" + runner.entry + " cannot be run" : runner.problem;
      out = runner.found;
      out.program = alone;
      if (!alone) continue;
      tell("");
      if (std::string problem =
              runWhole(f, *initial, before, numMicroBatches, *results, variables, runner.records);
          !problem.empty())
        return "@" + runner.entry + " as a whole: " + problem;
    }
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

  std::string runWhole(func::FuncOp f, const graph::Variables &initial, const graph::Variables &caches,
                       int64_t numMicroBatches, ArrayRef<HostTensor> results,
                       const graph::Variables &variables, const std::vector<LaunchRecord> &records) {
    auto put = [&](const graph::Variables &values) {
      for (auto &[name, value] : values)
        if (auto memory = whole->variable(name); memory.ok()) {
          std::string bytes = toBytes(value);
          memcpy(memory->data(), bytes.data(), std::min(bytes.size(), memory->size()));
        }
    };
    put(initial);
    if (f.getSymName() == "decode") put(caches);
    LaunchComparer comparer(records);
    whole->set_observer(&comparer);
    auto run = [&](const std::string &entry, ArrayRef<HostTensor> given, std::vector<std::string> &outputs) {
      auto index = whole->FindEntry(entry);
      if (!index.ok()) return std::string(index.status().message());
      std::vector<std::string> bytes;
      for (const HostTensor &t : given) bytes.push_back(toBytes(t));
      auto *arguments = whole->entry(*index).arguments();
      std::vector<Binding> bindings;
      for (std::string &b : bytes) bindings.push_back({b.data(), int64_t(b.size())});
      size_t numOutputs = (arguments ? arguments->size() : 0) - given.size();
      outputs.resize(numOutputs);
      for (size_t o = 0; o < numOutputs; ++o) {
        outputs[o].resize(std::max<size_t>(1, arguments->Get(given.size() + o)->bytes()));
        bindings.push_back({outputs[o].data(), arguments->Get(given.size() + o)->bytes()});
      }
      absl::Status status = whole->Run(*index, bindings);
      return status.ok() ? comparer.problem : std::string(status.message());
    };
    std::vector<std::string> outputs;
    if (scheduled.lookupSymbol("derive") && f.getSymName() != "derive")
      if (std::string problem = run("derive", {}, outputs); !problem.empty()) return problem;
    auto arguments = argumentsOf(f, options.inputs, options.seed, numMicroBatches);
    if (failed(arguments)) return said;
    std::string problem = run(f.getSymName().str(), *arguments, outputs);
    whole->set_observer(nullptr);
    if (!problem.empty()) return problem;
    if (comparer.next != records.size())
      return std::to_string(comparer.next) + " launches when the ops that were lowered make " +
             std::to_string(records.size());
    for (auto [i, t] : llvm::enumerate(results)) {
      auto name = f.getResultAttrOfType<StringAttr>(i, "weft.name");
      StringRef got(outputs[i].data(), t.values.size() * bytesOf(t.element));
      if (digestOf(got, t.element) != digestOf(toBytes(t), t.element))
        return "output " + (name ? name.str() : std::to_string(i)) +
               " is not what the last op gave: the lowering, or the plan of memory, has lost it";
    }
    for (auto &[name, value] : variables) {
      auto memory = whole->variable(name);
      if (!memory.ok()) continue;
      if (digestOf({memory->data(), memory->size()}, value.element) !=
          digestOf(toBytes(value), value.element))
        return "variable " + name +
               " is not what the ops leave in it: the lowering, or the plan of memory, has lost it";
    }
    return "";
  }

  ModuleOp scheduled;
  const llvm::StringMap<std::string> &byContent;
  ModuleOp kernels;
  std::shared_ptr<const LoadedArtifact> artifact;
  const CheckOptions &options;
  Shared &shared;
  std::unique_ptr<Session> whole;
};

// A KernelCheck, for a pipe.
std::string packed(const KernelCheck &c) {
  nlohmann::json worst = nlohmann::json::object();
  for (auto &[family, w] : c.worst) worst[family] = {w.error, w.kernel};
  return nlohmann::json{
      {"kernels", c.kernels}, {"launches", c.launches}, {"results", c.results}, {"unbounded", c.unbounded},
      {"program", c.program}, {"levels", c.levels},     {"worst", worst}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}
// Of what our own child has written; nothing where it was cut off.
std::optional<KernelCheck> unpacked(StringRef text) {
  nlohmann::json root = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (root.is_discarded()) return std::nullopt;
  KernelCheck c{root["kernels"], root["launches"], root["results"], root["unbounded"], {},
                root["levels"],  root["program"]};
  for (auto &[family, w] : root["worst"].items()) c.worst[family] = {w[0], w[1]};
  return c;
}

} // namespace

std::variant<KernelCheck, std::string>
checkKernels(ModuleOp scheduled, const llvm::StringMap<std::string> &byContent, ModuleOp kernels,
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
    ScopedDiagnosticHandler handler(scheduled.getContext(), [&](Diagnostic &d) {
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
