// Runs the kernels of a scheduled module as an artifact's machine code while the module is interpreted.
#pragma once
#include "compiler/check/check_kernels.h"
#include "passes/program/outline.h"
#include "runtime/device/cpu.h"

namespace weft {

// What a launch left: by which the same launch is known again.
struct LaunchRecord {
  mlir::Operation *op = nullptr;
  int kernel = 0;
  llvm::SmallVector<int64_t> sizes;
  struct Output {
    graph::Element element = graph::Element::f32;
    std::vector<bool> written; // of its elements; empty: all
    uint64_t digest = 0;
  };
  std::vector<uint64_t> inputs; // digests, whole
  std::vector<Output> outputs;
};

// Of a buffer's elements, those that are written; a NaN is a NaN.
uint64_t digestOf(llvm::StringRef bytes, graph::Element element, const std::vector<bool> &written = {});

// Where to look on.
std::string kernelHint(const std::string &kernel);

class KernelRunner : public graph::InterpretObserver {
public:
  // `says` is called with the kernel about to run.
  KernelRunner(const llvm::StringMap<std::string> &byContent, mlir::ModuleOp kernels,
               const LoadedArtifact &artifact, std::vector<std::shared_ptr<const KernelLibrary>> levels,
               std::function<void(const std::string &)> says);

  mlir::FailureOr<bool> runInstead(mlir::Operation *op, llvm::ArrayRef<const graph::HostTensor *> operands,
                                   llvm::MutableArrayRef<graph::HostTensor> results) override;

  std::string entry;                 // for messages
  std::string problem;               // after a failure; "" where the interpreter had it
  std::vector<LaunchRecord> records; // since they were cleared
  KernelCheck found;

private:
  struct Planned {
    int kernel = -1;
    llvm::SmallVector<int64_t> sizes;
    int64_t items = 0;
  };
  const Planned *plan(mlir::Operation *op);
  bool compare(mlir::Operation *op, const Planned &planned, int64_t result, const graph::HostTensor &got,
               const graph::HostTensor &want, const graph::HostTensor &bounds,
               const std::vector<bool> &written, bool mustWrite);
  std::string title(mlir::Operation *op, const Planned &planned) const;

  const llvm::StringMap<std::string> &byContent;
  mlir::ModuleOp kernels;
  const LoadedArtifact &artifact;
  std::vector<std::shared_ptr<const KernelLibrary>> levels;
  std::function<void(const std::string &)> says;
  mlir::OwningOpRef<mlir::ModuleOp> scratch;
  KernelOutliner outliner;
  llvm::DenseMap<mlir::Operation *, Planned> planned;
};

} // namespace weft
