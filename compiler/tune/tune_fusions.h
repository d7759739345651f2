// Fusions by measuring: what is computed behind a product and what by a kernel of its own.
#pragma once
#include "compiler/pipeline.h"
#include "compiler/tune/tune.h"

namespace weft {

struct FusionReport {
  std::vector<std::string> behind, apart; // for PipelineOptions: where the model would choose otherwise
  int64_t measured = 0, faster = 0;       // products that were measured, now or before; and those of them
                                          // for which another way is faster than the model's
  int64_t fromCache = 0;                  // of `measured`
  int64_t left = 0;                       // that there was no time for
  std::vector<Remark> remarks;

  // Of another stage; what is to be computed where is each stage's own.
  void add(const FusionReport &other);
};

// Before phase fuse: looks each product with elementwise code behind it up in the cache; where there are
// seconds to measure for, compiles what is not there in several ways from `tiled` (all code behind the
// product, none, and the model's choice with one value's turned round), and times the kernels in which these
// programs differ, on buffers that they share as in the program. What `fits` says no to is not taken, with a
// remark, and what was measured without some way for that is not kept. Results stay the same in every bit.
// Errors: a way that does not compile or crashes, which is a mistake of the compiler's.
std::variant<FusionReport, std::string> tuneFusions(mlir::ModuleOp tiled, const PipelineOptions &options,
                                                    const TuneRequest &request,
                                                    llvm::function_ref<bool(mlir::ModuleOp planned)> fits);

} // namespace weft
