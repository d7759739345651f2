#include "compiler/check/check_sessions.h"
#include "compiler/check/op_origin.h"
#include "compiler/check/tensor_bytes.h"
#include <thread>

using namespace mlir;
using weft::graph::HostTensor;
namespace weft {
namespace {

constexpr int kThreads = 3; // of a session: work items are cut where two threads would not cut them

// Holds a session's launches against those that the interpreter made of the same entry.
class LaunchComparer : public LaunchObserver {
public:
  LaunchComparer(const std::vector<LaunchRecord> &records, std::atomic<int> &problems)
      : records(records), problems(problems) {}

  void Before(const ObservedLaunch &l) override {
    inputs.clear();
    if (!problem.empty() || next >= records.size()) return;
    for (size_t i = 0; i < records[next].inputs.size(); ++i)
      inputs.push_back(digestOf(bytesAt(l, i), elementOf(l, i)));
  }

  void After(const ObservedLaunch &l) override {
    if (!problem.empty()) return;
    compare(l);
    if (!problem.empty()) problemNumber = problems++;
  }

  std::string problem;
  int problemNumber = 0;
  size_t next = 0;

private:
  void compare(const ObservedLaunch &l) {
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
  std::atomic<int> &problems; // of all stages
  std::vector<uint64_t> inputs;
};

} // namespace

// One of `data` ranks, alone on that axis.
class StageSessions::Rank : public Communicator {
public:
  Rank(Communicator &stages, int data) : stages(stages), data(data) {}
  int rank() const override { return stages.rank(); }
  int size() const override { return stages.size() * data; }
  int position(int axis) const override { return axis == kDataAxis ? 0 : stages.position(axis); }
  int axis_size(int axis) const override { return axis == kDataAxis ? data : stages.axis_size(axis); }
  absl::Status AllReduceSum(void *values, fb::DType dtype, int64_t elements, int axis) override {
    return axis == kDataAxis ? absl::OkStatus() : stages.AllReduceSum(values, dtype, elements, axis);
  }
  absl::Status Broadcast(void *values, int64_t bytes, int root, int axis) override {
    return axis == kDataAxis ? absl::OkStatus() : stages.Broadcast(values, bytes, root, axis);
  }
  absl::Status Send(const void *values, int64_t bytes, int axis, int peer, int32_t tag) override {
    return stages.Send(values, bytes, axis, peer, tag);
  }
  absl::Status Receive(void *values, int64_t bytes, int axis, int peer, int32_t tag) override {
    return stages.Receive(values, bytes, axis, peer, tag);
  }
  absl::Status Barrier() override { return stages.Barrier(); }
  void Abort(const absl::Status &status) override { stages.Abort(status); }

private:
  Communicator &stages;
  const int data;
};

StageSessions::StageSessions(std::shared_ptr<const LoadedArtifact> artifact,
                             std::shared_ptr<const KernelLibrary> kernels, std::string &problem) {
  const fb::Artifact &root = *artifact->root;
  const int numStages = int(root.stages()->size());
  int data = 1;
  for (size_t i = 0; root.options() && i < root.options()->size(); ++i)
    if (const fb::Option *option = root.options()->Get(i); option->key()->string_view() == "data_parallel")
      data = std::max(1, std::atoi(option->value()->c_str()));
  auto made = LocalMesh::Create(1, numStages);
  if (!made.ok()) {
    problem = std::string(made.status().message());
    return;
  }
  mesh = *std::move(made);
  for (int i = 0; i < numStages; ++i) {
    ranks.push_back(std::make_unique<Rank>(mesh->communicator(i), data));
    SessionOptions options;
    options.artifact = artifact;
    options.kernels = kernels;
    options.communicator = numStages * data > 1 ? ranks.back().get() : nullptr;
    options.threads = kThreads;
    auto session = Session::Create(options);
    if (!session.ok()) {
      problem = std::string(session.status().message());
      return;
    }
    sessions.push_back(*std::move(session));
  }
}

StageSessions::~StageSessions() = default;

std::string StageSessions::compare(ArrayRef<StageRun> runs) {
  std::vector<Problem> found(runs.size());
  std::atomic<int> problems{0};
  // Before there are threads: looking a name up makes an attribute of it.
  auto derives = llvm::map_to_vector(runs, [](const StageRun &run) {
    func::FuncOp f = run.entry;
    return f.getSymName() != "derive" && f->getParentOfType<ModuleOp>().lookupSymbol("derive") != nullptr;
  });
  std::vector<std::thread> others;
  for (size_t i = 1; i < runs.size(); ++i)
    others.emplace_back([&, i] { found[i] = compareStage(i, runs[i], derives[i], problems); });
  found[0] = compareStage(0, runs[0], derives[0], problems);
  for (std::thread &t : others) t.join();
  // What is wrong in one stage soon is in others.
  const Problem *first = nullptr;
  for (const Problem &p : found)
    if (!p.text.empty() && (!first || p.number < first->number)) first = &p;
  if (!first) return "";
  return (runs.size() > 1 ? "pipeline stage " + std::to_string(first - found.data()) + ": " : "") +
         first->text;
}

StageSessions::Problem StageSessions::compareStage(size_t stage, const StageRun &run, bool derives,
                                                   std::atomic<int> &problems) {
  auto met = [&](std::string text) { return Problem{std::move(text), problems++}; };
  Session &session = *sessions[stage];
  func::FuncOp f = run.entry;
  auto put = [&](const graph::Variables &values) {
    for (auto &[name, value] : values)
      if (auto memory = session.variable(name); memory.ok()) {
        std::string bytes = toBytes(value);
        memcpy(memory->data(), bytes.data(), std::min(bytes.size(), memory->size()));
      }
  };
  put(run.initial);
  if (f.getSymName() == "decode") put(run.caches);
  LaunchComparer comparer(run.records, problems);
  session.set_observer(&comparer);
  std::vector<std::string> outputs;
  auto call = [&](const std::string &entry, ArrayRef<HostTensor> given) {
    auto index = session.FindEntry(entry);
    if (!index.ok()) return std::string(index.status().message());
    std::vector<std::string> bytes;
    for (const HostTensor &t : given) bytes.push_back(toBytes(t));
    auto *arguments = session.entry(*index).arguments();
    std::vector<Binding> bindings;
    for (std::string &b : bytes) bindings.push_back({b.data(), int64_t(b.size())});
    size_t numOutputs = (arguments ? arguments->size() : 0) - given.size();
    outputs.resize(numOutputs);
    for (size_t o = 0; o < numOutputs; ++o) {
      outputs[o].resize(std::max<size_t>(1, arguments->Get(given.size() + o)->bytes()));
      bindings.push_back({outputs[o].data(), arguments->Get(given.size() + o)->bytes()});
    }
    absl::Status status = session.Run(*index, bindings);
    return status.ok() ? comparer.problem : std::string(status.message());
  };
  std::string problem;
  if (derives) problem = call("derive", {});
  if (problem.empty())
    problem = call(f.getSymName().str(), run.args);
  else
    ranks[stage]->Abort(absl::AbortedError(problem)); // others wait for this stage
  session.set_observer(nullptr);
  if (!comparer.problem.empty()) return {comparer.problem, comparer.problemNumber};
  if (!problem.empty()) return met(problem);
  if (comparer.next != run.records.size())
    return met(std::to_string(comparer.next) + " launches when the ops that were lowered make " +
               std::to_string(run.records.size()));
  for (auto [i, t] : llvm::enumerate(run.results)) {
    auto name = f.getResultAttrOfType<StringAttr>(i, "weft.name");
    StringRef got(outputs[i].data(), t.values.size() * bytesOf(t.element));
    if (digestOf(got, t.element) != digestOf(toBytes(t), t.element))
      return met("output " + (name ? name.str() : std::to_string(i)) +
                 " is not what the last op gave: the lowering, or the plan of memory, has lost it");
  }
  for (auto &[name, value] : run.variables) {
    auto memory = session.variable(name);
    if (!memory.ok()) continue;
    if (digestOf({memory->data(), memory->size()}, value.element) != digestOf(toBytes(value), value.element))
      return met("variable " + name +
                 " is not what the ops leave in it: the lowering, or the plan of memory, has lost it");
  }
  return {};
}

} // namespace weft
