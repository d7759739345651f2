#include "compiler/print_report.h"
#include "runtime/train/byte_size.h"
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace weft {
namespace {

struct Place {
  std::string file, path;
  int line = 0;
};
Place placeOf(mlir::Location location) {
  Place place;
  location->walk([&](mlir::Location l) {
    if (auto named = llvm::dyn_cast<mlir::NameLoc>(l)) place.path = named.getName().str();
    if (auto file = llvm::dyn_cast<mlir::FileLineColLoc>(l)) {
      place.file = file.getFilename().str();
      place.line = file.getLine();
      return mlir::WalkResult::interrupt();
    }
    return mlir::WalkResult::advance();
  });
  return place;
}

// What --check-phases found in order.
std::string checkedText(const CompileReport &report, const std::string &from) {
  const KernelCheck &c = *report.kernelCheck;
  std::string levels;
  for (const std::string &level : c.levels) levels += (levels.empty() ? "" : ", ") + level;
  const GradientCheck &g = report.gradients;
  std::string gradients = g.held > 0 ? ", gradients by differences" : "";
  if (!g.left.empty()) gradients += ", gradients not by differences: " + g.left.substr(0, 300);
  char text[1400];
  snprintf(text, sizeof text,
           "checked in %.1f s on %s: phases in f64%s; %lld kernels (%s) in %lld launches, %lld results; the "
           "program as a whole, to the bit\n",
           report.checkSeconds, from.empty() ? "random data" : from.c_str(), gradients.c_str(),
           (long long)c.kernels, levels.c_str(), (long long)c.launches, (long long)c.results);
  std::string out = text;
  for (auto &[family, worst] : c.worst) {
    if (worst.error == 0) continue;
    snprintf(text, sizeof text, "  %-10s at most %.2f of the error that is tolerated", family.c_str(),
             worst.error);
    out += text + (", in " + worst.kernel) + "\n";
  }
  if (c.unbounded > 0)
    out += "  of " + std::to_string(c.unbounded) + " results no declared error says anything\n";
  return out;
}

// What the memory budget cost.
std::string recomputeText(const CompileReport &report, int64_t budget) {
  const RecomputeChoice &r = *report.recompute;
  char text[400];
  if (r.again.empty())
    snprintf(text, sizeof text, "memory budget %s: enough for all that is kept", ByteText(budget).c_str());
  else
    snprintf(text, sizeof text,
             "memory budget %s: %zu value%s recomputed, %+.1f %% predicted step time; %s instead of %s (%lld "
             "programs compared in %.1f s)",
             ByteText(budget).c_str(), r.again.size(), r.again.size() == 1 ? "" : "s", r.addedPart() * 100,
             ByteText(r.bytes).c_str(), ByteText(r.wholeBytes).c_str(), (long long)r.trials,
             report.recomputeSeconds);
  return text;
}

void printTuned(const CompileReport &report) {
  if (const FusionReport &f = report.fusions; f.measured > 0 || f.left > 0) {
    printf("tuned: %lld of %lld products have a faster way to compute what reads them (%lld known before)",
           (long long)f.faster, (long long)f.measured, (long long)f.fromCache);
    if (f.left > 0) printf("; %lld not measured: no time left, --tune again goes on", (long long)f.left);
    printf("\n");
  }
  if (const TuneReport &t = report.tuning; t.tuned > 0 || t.left > 0) {
    printf("tuned: %lld of %lld kernels and sizes have a faster schedule (%lld known before)",
           (long long)t.faster, (long long)t.tuned, (long long)t.fromCache);
    if (t.ownStepMs > 0)
      printf("; theirs of a training step: %.1f → %.1f ms as measured", t.ownStepMs, t.stepMs);
    if (t.left > 0) printf("; %lld not measured: no time left, --tune again goes on", (long long)t.left);
    printf("\n");
  }
}

void printPeak(const fb::ArtifactT &artifact) {
  for (size_t i = 0; i < std::min<size_t>(artifact.peak.size(), 5); ++i) {
    const auto &owner = *artifact.peak[i];
    std::string where;
    if (owner.line >= 0) {
      const auto &line = *artifact.lines[owner.line];
      where = "  " + std::filesystem::path(line.file).filename().string() + ":" + std::to_string(line.line) +
              (line.module_path.empty() ? "" : " (" + line.module_path + ")");
    }
    printf("%s %8s  %s%s\n", i ? "           " : "at the peak", ByteText(owner.bytes).c_str(),
           owner.what.c_str(), where.c_str());
  }
}

} // namespace

void printRemarks(const std::vector<Remark> &remarks, const std::regex &wanted) {
  for (const Remark &r : remarks) {
    Place p = placeOf(r.location);
    std::string text = p.file + ":" + std::to_string(p.line) + ": " + r.pass + ": " + r.message +
                       (p.path.empty() ? "" : " [" + p.path + "]");
    if (std::regex_search(text, wanted)) printf("%s\n", text.c_str());
  }
}

bool writeRemarks(const std::vector<Remark> &remarks, const std::string &file) {
  std::ofstream out(file);
  for (const Remark &r : remarks) {
    Place p = placeOf(r.location);
    out << nlohmann::json{{"pass", r.pass}, {"kind", r.kind}, {"message", r.message},
                          {"file", p.file}, {"line", p.line}, {"module", p.path}}
               .dump()
        << "\n";
  }
  return bool(out.flush());
}

void printReport(const CompileReport &report, const CompileRequest &request, bool kept) {
  printf("%s %s: %.2f M parameters, %zu kernels\n",
         kept ? "compiled" : "not kept:", report.artifact.model.c_str(), report.parameters / 1e6,
         report.numKernels);
  for (auto &kernel : report.artifact.kernels)
    if (!kernel->substituted.empty())
      printf("substituted %s: %s\n", kernel->name.c_str(), kernel->substituted.c_str());
  printTuned(report);
  if (report.kernelCheck) printf("%s", checkedText(report, request.phaseInputs.from).c_str());
  printf("memory a rank: %s parameters and states, %s arena\n", ByteText(report.persistentBytes).c_str(),
         ByteText(report.arenaBytes).c_str());
  if (report.recompute) printf("%s\n", recomputeText(report, request.recipe.memory_budget).c_str());
  if (report.derivedBytes > 0)
    printf("generating keeps rounded weights, too: %s\n", ByteText(report.derivedBytes).c_str());
  for (auto &entry : report.artifact.stages[0]->entries)
    printf("  %-12s %s arena\n", entry->name.c_str(), ByteText(entry->arena_bytes).c_str());
  printPeak(report.artifact);
  printf("time: model's C++ %.2f s, trace %.2f s, passes %.2f s, code %.2f s", report.modelSeconds,
         report.traceSeconds, report.passSeconds, report.codeSeconds);
  if (report.codeFound > 0)
    printf(" (%lld of %lld pieces found compiled)", (long long)report.codeFound,
           (long long)report.codePieces);
  printf("\n");
}

} // namespace weft
