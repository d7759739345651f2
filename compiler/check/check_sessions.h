// --check-phases of the program as a whole: sessions, as they run it, against its kernels on their own.
#pragma once
#include "compiler/check/kernel_runner.h"
#include "runtime/comm/local.h"
#include "runtime/executor/executor.h"
#include <atomic>

namespace weft {

// What a stage's entry was given, and what its kernels made of it on their own.
struct StageRun {
  mlir::func::FuncOp entry;
  llvm::SmallVector<graph::HostTensor> args;
  const graph::Variables &initial, &caches; // caches: what decoding goes on with
  const llvm::SmallVector<graph::HostTensor> &results;
  const graph::Variables &variables; // behind it
  const std::vector<LaunchRecord> &records;
};

// A session for each stage of the first data-parallel rank, which gets its own part of sums over the data
// axis.
class StageSessions {
public:
  // `problem` says what is wrong with it, if anything.
  StageSessions(std::shared_ptr<const LoadedArtifact> artifact, std::shared_ptr<const KernelLibrary> kernels,
                std::string &problem);
  ~StageSessions();

  // Runs an entry of all stages together. "", or the first launch, output or variable with other bits.
  std::string compare(llvm::ArrayRef<StageRun> runs);

private:
  class Rank;
  struct Problem {
    std::string text; // "": none
    int number = 0;   // of all stages' problems, in the order in which they are met
  };
  Problem compareStage(size_t stage, const StageRun &run, bool derives, std::atomic<int> &problems);

  std::unique_ptr<LocalMesh> mesh; // of the stages
  std::vector<std::unique_ptr<Rank>> ranks;
  std::vector<std::unique_ptr<Session>> sessions;
};

} // namespace weft
