#include "compiler/kernels/inspect_kernel.h"
#include "compiler/kernels/dump_kernel.h"
#include "compiler/kernels/kernel_source.h"
#include "compiler/pipeline.h"
#include "mlir/IR/MLIRContext.h"
#include <cstdio>
#include <cstring>

namespace weft {

static int failWith(const std::string &what) {
  fprintf(stderr, "error: %s\n", what.c_str());
  return 1;
}

int inspectKernelCommand(int argc, char **argv) {
  std::string artifactPath, name, level, folder;
  bool json = false;
  for (int i = 0; i < argc; ++i) {
    bool has = i + 1 < argc;
    if (!strcmp(argv[i], "--cpu-level") && has)
      level = argv[++i];
    else if (!strcmp(argv[i], "--dump") && has)
      folder = argv[++i];
    else if (!strcmp(argv[i], "--json"))
      json = true;
    else
      (artifactPath.empty() ? artifactPath : name) = argv[i];
  }
  if (artifactPath.empty() || name.empty()) {
    fprintf(stderr, "usage: weftc inspect-kernel F.weft KERNEL [--cpu-level LEVEL] [--json | --dump DIR]\n"
                    "hint: weft inspect F.weft --source KERNEL\n");
    return 2;
  }
  auto artifact = LoadArtifact(artifactPath);
  if (!artifact.ok()) return failWith(std::string(artifact.status().message()));
  int number = -1;
  if ((**artifact)->kernels())
    for (int i = 0; i < int((**artifact)->kernels()->size()); ++i)
      if ((**artifact)->kernels()->Get(i)->name()->string_view() == name) number = i;
  if (number < 0) return failWith(artifactPath + ": has no kernel " + name);

  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  if (!folder.empty()) {
    auto dumped = dumpKernel(context, **artifact, number, level, folder);
    if (auto *problem = std::get_if<std::string>(&dumped)) return failWith(*problem);
    fputs(std::get<DumpedKernel>(dumped).report.c_str(), stdout);
    return 0;
  }
  auto source = kernelSource(context, **artifact, number, level);
  if (auto *problem = std::get_if<std::string>(&source)) return failWith(*problem);
  std::string text = json ? kernelSourceJson(**artifact, std::get<KernelSource>(source))
                          : kernelSourceText(**artifact, std::get<KernelSource>(source));
  fwrite(text.data(), 1, text.size(), stdout);
  if (fflush(stdout) != 0) return failWith("cannot write to the standard output: it is full or closed");
  return 0;
}

} // namespace weft
