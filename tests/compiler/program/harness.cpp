#include "tests/compiler/program/harness.h"
#include "compiler/check/tensor_bytes.h"
#include "compiler/pipeline.h"
#include "compiler/write_artifact.h"
#include "dialects/program/program.h"
#include "mlir/Pass/PassManager.h"
#include "passes/passes.h"
#include "runtime/artifact/writer.h"
#include "runtime/executor/executor.h"
#include <gtest/gtest.h>

using namespace mlir;
namespace weft::testing {
namespace {

using Bytes = std::vector<char>;

Bytes encoded(const HostTensor &t) {
  std::string bytes = toBytes(t);
  return {bytes.begin(), bytes.end()};
}
HostTensor decoded(const Bytes &bytes, const HostTensor &like) {
  HostTensor t = like;
  fromBytes({bytes.data(), bytes.size()}, t);
  return t;
}

std::string prefix(size_t number) { return "p" + std::to_string(number) + "_"; }
// Every symbol of a case's text gets the case's prefix, so that all cases fit in one module.
std::string renamed(const std::string &text, size_t number) {
  std::string out;
  for (char c : text) {
    out += c;
    if (c == '@') out += prefix(number);
  }
  return out;
}

struct Results {
  Tensors results, variables;
};
struct RunBytes {
  std::vector<Bytes> results, variables;
  bool operator==(const RunBytes &) const = default;
};

// Some cases, compiled into one artifact.
class Batch {
public:
  Batch(ArrayRef<EntryCase> cases, double slack, PipelineOptions pipeline = {})
      : cases(cases), slack(slack), pipeline(std::move(pipeline)) {
    DialectRegistry registry;
    registerDialects(registry);
    context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
    context->loadAllAvailableDialects();
    context->getDiagEngine().registerHandler([this](Diagnostic &d) {
      if (d.getSeverity() == DiagnosticSeverity::Error) {
        errors += d.str() + "\n";
        for (Diagnostic &note : d.getNotes()) errors += "  note: " + note.str().substr(0, 4000) + "\n";
      }
      return success();
    });
  }

  // Everything up to the executor; false with `errors` filled.
  bool compile() {
    std::string text;
    for (auto [i, c] : llvm::enumerate(cases)) text += renamed(c.text, i) + "\n";
    OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, context.get());
    if (!module) return false;
    for (auto f : module->getOps<func::FuncOp>()) f.setPrivate();
    for (auto [i, c] : llvm::enumerate(cases))
      if (!makeEntry(*module, prefix(i) + c.entry)) return false;
    reference = module->clone();
    PassManager pm(context.get());
    pm.addPass(createDifferentiatePass()); // the interpreter knows no value_and_grad
    if (failed(pm.run(*reference)) || failed(runPipeline(*module, pipeline))) return false;
    module->walk([&](program::LoopOp) { ++loops; });
    ArtifactInputs inputs;
    inputs.model = "test";
    for (int level = int(CpuLevel::avx2); level <= int(DetectCpuLevel()); ++level)
      inputs.levels.push_back(CpuLevelName(CpuLevel(level)));
    auto made = makeArtifact(ModuleOp(*module), inputs);
    if (failed(made)) return false;
    levels = inputs.levels;
    auto loaded = LoadArtifactFromMemory(SerializeArtifact(*made), "test");
    if (!loaded.ok()) {
      errors += "the reader refuses the artifact: " + std::string(loaded.status().message());
      return false;
    }
    artifact = *loaded;
    return true;
  }

  void check() {
    first.resize(cases.size());
    bool isFirst = true;
    for (const std::string &level : levels)
      for (int threads : {1, 3}) {
        SessionOptions options;
        options.artifact = artifact;
        options.cpu.level = level;
        options.threads = threads;
        auto session = Session::Create(options);
        ASSERT_TRUE(session.ok()) << session.status();
        for (size_t n = 0; n < cases.size(); ++n) {
          // The other way round for other threads: the arena holds something else before.
          size_t i = threads == 1 ? n : cases.size() - 1 - n;
          SCOPED_TRACE(cases[i].what + "\n" + cases[i].text);
          RunBytes got = run(**session, i);
          if (isFirst) {
            first[i] = got;
            compare(i, got);
          }
          EXPECT_TRUE(got == first[i]) << "other bits on " << level << " with " << threads << " threads";
        }
        isFirst = false;
      }
  }

  // On the best level, each of which has the same bits (check).
  std::vector<Computed> compute() {
    SessionOptions options;
    options.artifact = artifact;
    auto session = Session::Create(options);
    EXPECT_TRUE(session.ok()) << session.status();
    std::vector<Computed> all;
    for (size_t i = 0; session.ok() && i < cases.size(); ++i) {
      SCOPED_TRACE(cases[i].what);
      RunBytes got = run(**session, i);
      Computed one = {{}, interpret(i, false).results};
      if (got.results.size() != one.want.size()) return {};
      for (auto [bytes, want] : llvm::zip_equal(got.results, one.want))
        one.got.push_back(decoded(bytes, want));
      all.push_back(std::move(one));
    }
    return all;
  }

  std::string errors;
  std::vector<RunBytes> first; // of each case, on the first level
  int64_t loops = 0;           // in the host programs

private:
  bool makeEntry(ModuleOp module, const std::string &name) {
    auto f = module.lookupSymbol<func::FuncOp>(name);
    if (!f) return errors += "there is no function " + name, false;
    f.setPublic();
    f->setAttr("weft.entry", UnitAttr::get(context.get()));
    auto named = [&](const char *kind, size_t i) {
      return StringAttr::get(context.get(), kind + std::to_string(i));
    };
    for (unsigned i = 0; i < f.getNumArguments(); ++i)
      if (!f.getArgAttr(i, "weft.name")) f.setArgAttr(i, "weft.name", named("argument", i));
    for (unsigned i = 0; i < f.getNumResults(); ++i)
      if (!f.getResultAttr(i, "weft.name")) f.setResultAttr(i, "weft.name", named("result", i));
    return true;
  }

  std::vector<std::string> variableNames(size_t i) {
    std::vector<std::string> names;
    for (auto v : reference->getOps<graph::VariableOp>())
      if (v.getSymName().starts_with(prefix(i))) names.push_back(v.getSymName().str());
    return names;
  }

  // `disturbed`: every op's result nearby to its type, and floats that come in changed by an ulp or less.
  // How far the results move is what f32 can be expected to miss them by.
  Results interpret(size_t i, bool disturbed) {
    std::vector<std::string> names = variableNames(i);
    std::mt19937 random(1);
    auto given = [&](const HostTensor &t) {
      HostTensor out = t;
      if (disturbed && t.isFloat())
        for (double &v : out.values) v *= 1 + 2.4e-7 * (random() / 4294967296.0 - 0.5);
      out.roundToElement();
      return out;
    };
    graph::Variables variables;
    for (auto [name, value] : llvm::zip_equal(names, cases[i].variables)) variables[name] = given(value);
    Tensors args;
    for (const HostTensor &t : cases[i].args) args.push_back(given(t));
    Results out;
    auto f = reference->lookupSymbol<func::FuncOp>(prefix(i) + cases[i].entry);
    auto results = graph::interpret(f, args, variables, {disturbed});
    EXPECT_TRUE(succeeded(results)) << errors;
    if (failed(results)) return out;
    out.results.assign(results->begin(), results->end());
    for (const std::string &name : names) out.variables.push_back(variables[name]);
    return out;
  }

  RunBytes run(Session &session, size_t i) {
    constexpr size_t kGuard = 64;
    RunBytes out;
    auto fail = [&](const absl::Status &status) {
      ADD_FAILURE() << status;
      return out;
    };
    std::vector<std::string> names = variableNames(i);
    for (auto [name, value] : llvm::zip_equal(names, cases[i].variables)) {
      auto memory = session.variable(name);
      if (!memory.ok()) return fail(memory.status());
      Bytes bytes = encoded(value);
      EXPECT_EQ(memory->size(), bytes.size());
      memcpy(memory->data(), bytes.data(), bytes.size());
    }
    auto entry = session.FindEntry(prefix(i) + cases[i].entry);
    if (!entry.ok()) return fail(entry.status());
    std::vector<Bytes> inputs;
    for (const HostTensor &t : cases[i].args) inputs.push_back(encoded(t));
    const std::vector<Bytes> before = inputs;
    std::vector<Bytes> outputs;
    auto *arguments = session.entry(*entry).arguments();
    for (size_t a = inputs.size(); arguments && a < arguments->size(); ++a)
      outputs.emplace_back(arguments->Get(a)->bytes() + 2 * kGuard, char(0xff));
    std::vector<Binding> bindings;
    for (Bytes &b : inputs) bindings.push_back({b.data(), int64_t(b.size())});
    for (Bytes &b : outputs) bindings.push_back({b.data() + kGuard, int64_t(b.size() - 2 * kGuard)});
    if (absl::Status status = session.Run(*entry, bindings); !status.ok()) return fail(status);
    EXPECT_TRUE(inputs == before) << "an input was written to";
    for (Bytes &b : outputs) {
      Bytes guard(kGuard, char(0xff));
      EXPECT_TRUE(std::equal(guard.begin(), guard.end(), b.begin()) &&
                  std::equal(guard.begin(), guard.end(), b.end() - kGuard))
          << "memory around an output was written to";
      out.results.emplace_back(b.begin() + kGuard, b.end() - kGuard);
    }
    for (const std::string &name : names) {
      auto memory = session.variable(name);
      out.variables.emplace_back(memory->begin(), memory->end());
    }
    return out;
  }

  void compare(size_t i, const RunBytes &got) {
    Results want = interpret(i, false), nearby = interpret(i, true);
    ASSERT_EQ(got.results.size(), want.results.size());
    for (size_t r = 0; r < want.results.size(); ++r)
      compare("result " + std::to_string(r), got.results[r], want.results[r], nearby.results[r]);
    for (size_t v = 0; v < want.variables.size(); ++v)
      compare("variable " + std::to_string(v), got.variables[v], want.variables[v], nearby.variables[v]);
  }
  // At most one failure a tensor.
  void compare(const std::string &what, const Bytes &bytes, const HostTensor &want,
               const HostTensor &nearby) {
    ASSERT_EQ(bytes.size(), want.values.size() * size_t(bytesOf(want.element))) << what;
    HostTensor got = decoded(bytes, want);
    double spread = 0, largest = 0;
    for (auto [a, b] : llvm::zip_equal(want.values, nearby.values)) {
      if (!std::isfinite(a)) continue;
      spread = std::max(spread, std::fabs(a - b));
      largest = std::max(largest, std::fabs(a));
    }
    ASSERT_LE(spread, 1e-3 * (1 + largest)) << what << ": too sensitive to rounding to be compared";
    for (size_t e = 0; e < got.values.size(); ++e) {
      double g = got.values[e], w = want.values[e];
      bool near =
          g == w || (std::isnan(g) && std::isnan(w)) ||
          (want.isFloat() && std::fabs(g - w) <= 1e-6 * std::fabs(w) + slack * spread + 1e-7 * largest);
      ASSERT_TRUE(near) << what << ", " << graph::describe(want.shape, want.element) << ": element " << e
                        << " is " << g << " when it should be " << w << " (rounding explains " << spread
                        << ")";
    }
  }

  ArrayRef<EntryCase> cases;
  double slack;
  PipelineOptions pipeline;
  std::unique_ptr<MLIRContext> context;
  OwningOpRef<ModuleOp> reference;
  std::vector<std::string> levels;
  std::shared_ptr<const LoadedArtifact> artifact;
};

} // namespace

void checkPrograms(const std::vector<EntryCase> &cases, double slack) {
  ASSERT_NE(DetectCpuLevel(), CpuLevel::none) << "this machine runs no generated code: it has no AVX2";
  Batch all(cases, slack);
  if (all.compile()) return all.check();
  // Which one?
  std::string errors = all.errors;
  bool found = false;
  for (const EntryCase &c : cases) {
    Batch one(c, slack);
    if (one.compile()) continue;
    ADD_FAILURE() << c.what << " does not compile: " << one.errors << c.text;
    found = true;
  }
  EXPECT_TRUE(found) << "programs that compile one by one do not together: " << errors;
}

void checkTiledPrograms(const std::vector<EntryCase> &cases, double slack) {
  PipelineOptions options;
  options.tileAtLeast = 1;
  options.tileRows = 32;
  Batch tiled(cases, slack, options), whole(cases, slack);
  ASSERT_TRUE(tiled.compile()) << tiled.errors;
  ASSERT_TRUE(whole.compile()) << whole.errors;
  EXPECT_GE(tiled.loops, whole.loops + int64_t(cases.size())) << "not all of them were cut";
  tiled.check();
  whole.check();
  for (auto [c, a, b] : llvm::zip_equal(cases, tiled.first, whole.first))
    EXPECT_TRUE(a == b) << "other bits in blocks of rows: " << c.what << "\n" << c.text;
}

std::vector<Computed> computePrograms(const std::vector<EntryCase> &cases, const std::string &bf16Unit) {
  PipelineOptions options;
  options.bf16Unit = bf16Unit;
  Batch batch(cases, 0, options);
  if (batch.compile()) return batch.compute();
  ADD_FAILURE() << batch.errors;
  return {};
}

HostTensor real(llvm::ArrayRef<int64_t> shape, uint32_t seed, double low, double high) {
  HostTensor t = randomTensor(shape, seed, low, high, Element::f32);
  t.roundToElement();
  return t;
}

Program inF32(Program p) {
  for (auto [from, to] : {std::pair<std::string, std::string>{"xf64>", "xf32>"},
                          {"tensor<f64>", "tensor<f32>"},
                          {" to f64", " to f32"}})
    for (size_t at = 0; (at = p.text.find(from, at)) != std::string::npos;)
      p.text.replace(at, from.size(), to);
  for (HostTensor &t : p.args)
    if (t.element == Element::f64) {
      t.element = Element::f32;
      t.roundToElement();
    }
  return p;
}

} // namespace weft::testing
