// Schedules by measuring: weft compile --tune, and what earlier ones have left in the cache.
#pragma once
#include "compiler/write_artifact.h"
#include "dialects/program/program.h"
#include "llvm/ADT/StringMap.h"
#include <functional>
#include <variant>

namespace weft {

struct TuneRequest {
  double seconds = 0;                                // to measure for; 0: only what the cache has
  int threads = 1;                                   // of a rank
  std::vector<std::string> levels;                   // that the program is compiled for
  int64_t microBatches = 1;                          // in a step
  std::function<void(const std::string &)> warn;     // of a cache that cannot be read or written
  std::function<void(const std::string &)> progress; // a line that the next one may replace; "": done
};

namespace cpu {
struct CpuLevel;
}
// Of these levels, the one that a program runs at on this machine; null: none.
const cpu::CpuLevel *levelHere(llvm::ArrayRef<std::string> levels);

struct TuneReport {
  int64_t tuned = 0, faster = 0; // kernels at sizes of launches that were measured, now or before; and those
                                 // of them that have another schedule for it
  int64_t fromCache = 0;         // of `tuned`
  int64_t left = 0;              // that there was no time for
  double stepMs = 0, ownStepMs = 0; // of the tuned ones' launches in a training step
  double seconds = 0;
  llvm::StringMap<std::string> ofKernels; // by name: what was gained, for the artifact
  std::vector<Remark> remarks;
};

// Between merging the kernels and generating code: looks each kernel and launch size up in the cache;
// measures what is not there, what takes most of a step first, and keeps it; puts the fastest schedules into
// the kernel ops of modules[0] and their work items into all launches. Results stay the same in every bit.
// Errors: a candidate that computes something else or crashes, which is a mistake of the compiler's.
std::variant<TuneReport, std::string> tuneKernels(llvm::ArrayRef<mlir::ModuleOp> modules,
                                                  const TuneRequest &request);

} // namespace weft
