// Every pass of Weft, in the order of compiler/pipeline.cpp.
#ifndef WEFT_PASSES
#define WEFT_PASSES
include "mlir/Pass/PassBase.td"

class WeftPass<string name> : Pass<name, "::mlir::ModuleOp"> {
  let dependentDialects = ["::mlir::func::FuncDialect", "::weft::graph::GraphDialect", "::weft::kernel::KernelDialect",
    "::weft::dist::DistDialect", "::weft::program::ProgramDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

def DifferentiatePass : WeftPass<"differentiate"> {
  let summary = "replaces graph.value_and_grad by the function's ops and their reverse-mode adjoints";
  let description = [{
    Function by function: the differentiated function is inlined where its gradient is taken; the body of a `graph.repeat` becomes two bodies, forward (which also
    returns residuals, stacked) and backward (which runs down). Before: `%l, %g = graph.value_and_grad @f(%w, %x) acc(%g0) wrt [0]`. After: the ops of @f, then those of its adjoint;
    %g is a chain that starts at %g0. What backward needs of forward is saved when a matmul, attention, reduction or gather made it, and computed again otherwise, or where
    the op is marked `graph.recompute` or named by `recompute`; a remark says so for each. Ops of a body are named by its function and their number in it: "layer:12".
  }];
  let options = [ListOption<"recompute", "recompute", "std::string", "ops whose values backward computes again instead of keeping them">,
                 Option<"reportKept", "report-kept", "bool", "false", "lists on the module what is kept: op, bytes, operations to compute it again">];
}

def SplitRepeatsPass : WeftPass<"split-repeats"> {
  let summary = "cuts graph.repeat into two over parts of its range";
  let description = [{
    Every repeat whose range holds `at` inside. Before: `graph.repeat @layer … range (0, 6)`. After, with at=4: a repeat over (0, 4), then one over (4, 6) of the same
    body, given what the first carried out; slices stacked anew are joined by `graph.concat`. The same bits. Repeats with two results tied to one stack stay.
  }];
  let options = [Option<"at", "at", "int64_t", "1", "the index at which the second part begins">];
}

def PeelRepeatsPass : WeftPass<"peel-repeats"> {
  let summary = "puts the first or last iterations of graph.repeat in its place";
  let description = [{
    Before: `%y = graph.repeat @layer carry(%x) stacked(%w) … range (0, 6)`. After, with first=1: the ops of @layer on slice 0 of %w, then a repeat over (1, 6). For what
    the first layer does otherwise.
  }];
  let options = [Option<"first", "first", "int64_t", "0", "iterations with the lowest indices">,
                 Option<"last", "last", "int64_t", "0", "iterations with the highest indices">];
}

def RoundFactorsPass : WeftPass<"round-factors"> {
  let summary = "bf16: rounds the factors of products and attention, and the results that are kept or multiplied again";
  let description = [{
    Before: `%y = graph.matmul %x, %w : (f32, f32) -> f32`. After: `graph.cast` of %x and %w to bf16, the product of those with f32 sums and result; where %y is a factor
    again, or goes into a function or a product whose backward keeps it, `graph.cast` of it to bf16 and back. Sums, norms, softmax, losses, master weights and gradients stay f32; a
    remark says so for each.
  }];
}

def RoundCachesPass : WeftPass<"round-caches"> {
  let summary = "bf16: caches whose every reader rounds them hold bf16";
  let description = [{
    Before: `%k = graph.write_rows %cache, %slots, %x : f32`, `graph.cast %k to bf16`: the whole cache is rounded for each token. After: `graph.cast %x to bf16` is written
    to a cache of bf16, which attention reads as it is. The same bits. Follows a cache through `graph.repeat`; one that something else reads stays.
  }];
}

def HoistInvariantsPass : WeftPass<"hoist-invariants"> {
  let summary = "moves what does not depend on the iteration out of graph.repeat's bodies, and casts of slices to bf16";
  let description = [{
    Before: the body computes cos(positions * frequency) in each layer. After: the caller computes it once and passes it as an invariant. Only what costs arithmetic moves.
    A slice of a stack that the body rounds to bf16 becomes a slice of the rounded stack, so that weights are rounded once a step; where the entry is frozen a rounded
    view of the slice does, too.
  }];
}

def SegmentBatchSumsPass : WeftPass<"segment-batch-sums"> {
  let summary = "cuts sums over the batch into one chain a virtual shard, combined in a fixed balanced tree";
  let description = [{
    docs/numerics.md, along tokens. Before: `graph.matmul %dy, %x {transpose_lhs}` over all tokens. After, for 4 shards: one batched product of 4, whose
    slices are added as (0 + 1) + (2 + 3). With one shard nothing changes.
  }];
  let options = [Option<"shards", "shards", "int64_t", "1", "virtual shards in a micro-batch">];
}

def SegmentSortsPass : WeftPass<"segment-sorts"> {
  let summary = "sorts of choices by expert say where each virtual shard's begin, too";
  let description = [{
    Before differentiating. Within an expert choices are in the order of tokens, so each virtual shard's are a run of them: `graph.sort_by_expert` gives their
    beginnings with `segments = shards`, and the gradient of an expert's matrix is one chain a shard, added in a balanced tree (docs/numerics.md, along tokens). Only
    micro-batch steps change: evaluation and generation have no gradients.
  }];
  let options = [Option<"shards", "shards", "int64_t", "1", "virtual shards in a micro-batch">];
}

def DeriveWeightsPass : WeftPass<"derive-weights"> {
  let summary = "what entries with frozen parameters make of them alone is made once, by an entry of its own";
  let description = [{
    An entry marked `weft.frozen` (prefill, decode) is called many times with the same parameters. Before: it reads @w and rounds it, in every call. After: a variable
    @w.derived holds the rounded weight, the entry reads that, and an entry @derive, which the runtime calls when weights have been loaded, makes it. Values of no cost (views,
    constants) stay where they are. A rounded weight that is only the right-hand side of products (of rows, of batches or of groups of rows) is kept in panels, as the dot units
    read it (`packed_rhs` of kernel.matmul), filled up to multiples of 32: the entry's product reads it through a transpose, a reshape and a slice, which fusing knows.
  }];
}

def TileRowsPass : WeftPass<"tile-rows"> {
  let summary = "computes large values, and what is made of them row by row, in blocks of rows";
  let description = [{
    Before: `%logits = graph.matmul %h, %w`, 4096 rows, then the loss of each row, and backward `%dh = graph.matmul %d, %w`, `%dw = graph.matmul %d, %h acc %dw0 {transpose_lhs}`. After:
    a `graph.repeat` over blocks of rows whose body does all that for 512 of them; %dw is its carry, %dh its slices joined. No bit changes: rows do not know each other, and a
    sum over rows goes on where the block before ended, at a multiple of 32. What has to exist is one block of the logits, in cache. Ops that need all rows at once (a softmax over rows) keep the value
    whole; a remark says which. A sum is read and written once a block: with 512 rows that is 3 % of the products' time where those run at 400 GFLOP/s and memory at 30 GB/s (by arithmetic), so it is done only where large values outweigh what goes in and out.
  }];
  let options = [Option<"atLeast", "at-least", "int64_t", "16777216", "bytes of large values, all rows together, from which it is done">,
                 Option<"rows", "rows", "int64_t", "512", "rows of a block, at least; a multiple of 32 that divides all rows">];
}

def RecordOpNamesPass : WeftPass<"record-op-names"> {
  let summary = "keeps each graph op's name in its location, for the kernel that it becomes part of";
  let description = [{
    Before: `%y = graph.mul %a, %b … loc("model.cc":30:9)`. After: `… loc(fused<"graph.mul">["model.cc":30:9])`. The ops of a kernel's region take their locations from the ops that
    they came of, so that `weft inspect --source` can say which.
  }];
}

def FuseKernelsPass : WeftPass<"fuse-kernels"> {
  let summary = "groups graph ops into structured kernels";
  let description = [{
    Elementwise code, row reductions, column reductions, gathers and scatters become `kernel.loops`; products `kernel.matmul`; attention `kernel.attention`. Views (reshape, transpose, slice,
    broadcast) become accesses. Each kernel's location lists the model lines it covers; a remark says what was fused. Elementwise code behind a product is computed there or by a kernel
    of its own, whichever takes less by the options, which describe a machine; or as `behind` and `apart` say, by names that `report-choices` gives: "layer:12:15" is the value of op 15
    behind the product that op 12 of function layer is.
  }];
  let options = [Option<"lanesPerNs", "lanes-per-ns", "double", "120", "elements a nanosecond through the vector lanes of all threads">,
                 Option<"cacheBytes", "cache-bytes", "double", "33554432", "of the last level of the caches">,
                 Option<"cacheRate", "cache-rate", "double", "120", "of it, GB/s">,
                 Option<"memoryRate", "memory-rate", "double", "50", "of memory to code that streams, GB/s">,
                 Option<"productRate", "product-rate", "double", "25", "of memory behind products, GB/s">,
                 Option<"launchNs", "launch-ns", "double", "500", "of starting the threads">,
                 ListOption<"behind", "behind", "std::string", "values that are computed behind a product">,
                 ListOption<"apart", "apart", "std::string", "values that are not, whatever `behind` says">,
                 Option<"reportChoices", "report-choices", "bool", "false", "lists on the module what was chosen, as weft.fusions">];
}

def ScheduleKernelsPass : WeftPass<"schedule-kernels"> {
  let summary = "gives each kernel its reduction and its schedule, from shape and cache";
  let description = [{
    Nothing here changes bits but `reduction`, which is the same for every kernel of a type (docs/numerics.md). Attention's backward becomes two kernels where
    one has too few work items for the threads, or where only one of its sides is used.
  }];
  let options = [Option<"threads", "threads", "int64_t", "2", "threads to find work for; more or fewer may run it">,
                 Option<"bf16Unit", "bf16-unit", "std::string", "\"amx\"", "the dot unit of bf16 products: amx or vdpbf16">];
}

def LowerToProgramPass : WeftPass<"lower-to-program"> {
  let summary = "turns entry functions of kernel ops into host programs over buffers";
  let description = [{
    `graph.repeat` becomes `program.loop` with its body in place, values become buffers, in place where the old value dies; kernels are outlined by content, their sizes and strides
    arguments. Before: `%y = kernel.loops …`. After: `program.launch @loops_0 (%a, %y) sizes […]`.
  }];
}

def PlanMemoryPass : WeftPass<"plan-memory"> {
  let summary = "gives every arena buffer an offset: lifetimes over the whole program, one arena";
  let description = "First fit by size over lifetimes; a buffer made outside a loop and used inside lives through the loop.";
}
#endif
