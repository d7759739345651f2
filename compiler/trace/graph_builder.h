// The DSL's Builder, making graph dialect ops in a module.
#pragma once
#include "compiler/trace/pipeline_stages.h"
#include "dialects/graph/graph.h"
#include "frontends/dsl/builder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"
#include <deque>
#include <optional>
#include <set>

namespace weft {

// How the global batch is cut: fixed when compiling.
struct BatchLayout {
  int64_t dataParallel = 1; // ranks
  int64_t parts =
      1; // trees over micro-batches: virtual shards of a rank that are made of whole micro-batches
  int64_t shardsPerMicro =
      1; // virtual shards inside a micro-batch (parts is the number of micro-batches then)
};

class GraphBuilder : public Builder {
public:
  // Traces the program of one pipeline stage.
  GraphBuilder(mlir::ModuleOp module, BatchLayout layout, Stage stage = {});

  void push_line(SourceLine line) override { lines.push_back(line); }
  void pop_line() override { lines.pop_back(); }
  void set_path(const std::string &p) override { path = p; }
  std::vector<Value> op(std::string_view name, const std::vector<Value> &operands,
                        const std::vector<Attribute> &attributes) override;
  Value constant(DType dtype, const Shape &shape, const std::vector<double> &values) override;
  Value variable(const Variable &v) override;
  void assign(const std::string &path, Value value) override;
  std::vector<Value> begin_function(const std::string &name, const std::vector<Value> &like) override;
  int end_function(const std::vector<Value> &results) override;
  std::vector<Value> repeat(int body, const std::vector<Value> &carry, const std::vector<Value> &stacked,
                            i64 begin, i64 end) override;
  void begin_repeat(i64 begin, i64 end) override;
  void end_repeat() override { pendingRepeat.reset(); }
  void begin_entry(const std::string &name, bool frozen) override;
  Value input(const std::string &name, DType dtype, const Shape &shape, i64 limit, bool micro) override;
  void output(const std::string &name, Value value) override;
  void end_entry() override;
  std::vector<Value> accumulate_gradients(int function, const std::vector<Value> &micro,
                                          std::vector<std::pair<Variable, Value>> &gradients) override;
  Value sum_over_parameters(const std::vector<std::pair<Variable, Value>> &partial) override;
  std::vector<Value> value_and_grad(int function, const std::vector<Value> &args) override;
  std::vector<Value> custom_gradient(int forward, int backward, const std::vector<Value> &args) override;
  void begin_checkpoint() override { ++checkpoints; }
  void end_checkpoint() override { --checkpoints; }
  std::vector<Value> call(int function, const std::vector<Value> &args) override;

private:
  // A variable as a function sees it: its argument, and what was assigned to it.
  struct Held {
    Variable variable; // of this function's view: one layer's shape when `perLayer`
    mlir::Value value;
    bool perLayer = false, assigned = false;
  };
  struct Frame {
    mlir::func::FuncOp function;
    mlir::OpBuilder b;
    size_t numExplicit = 0;
    std::optional<std::pair<int64_t, int64_t>> range;               // of the repeat whose body this is
    llvm::MapVector<mlir::Value, mlir::Value> captured;             // outer value → argument
    std::vector<std::pair<std::string, Held>> variables;            // in the order of first use
    llvm::SmallVector<std::pair<std::string, mlir::Value>> outputs; // of an entry
    Held *find(const std::string &path);
  };
  // What a finished function wants of its caller, in the order of its arguments: explicit, per-layer
  // variables, other variables, captured.
  struct Finished {
    mlir::func::FuncOp function;
    size_t numExplicit, numResults;
    std::vector<Held> perLayer, whole;
    llvm::SmallVector<mlir::Value> captured;
    std::optional<std::pair<int64_t, int64_t>> range;
    // Of each of `whole`, once splitTiedParameters has run: which of them it is a use of, and on which side
    // of the layers.
    struct Use {
      size_t variable;
      bool after;
    };
    llvm::SmallVector<Use> uses;
  };

  // A variable of a function as one stage has it: its own layers; `number` among the function's variables.
  struct StageVariable {
    Variable variable;
    size_t number;
  };

  mlir::Location location() const;
  mlir::MLIRContext *context() const { return module->getContext(); }
  mlir::OpBuilder &builderHere() { return frames.back().b; }
  mlir::Type elementType(DType dtype) const;
  Value wrap(mlir::Value v);
  mlir::Value unwrap(const Value &v); // in the current function, captured where it comes from outside
  mlir::Value reach(mlir::Value v, size_t depth); // v as frame `depth` sees it
  Held &held(const Variable &v, size_t depth);
  graph::VariableOp declare(const Variable &v);
  void checkFileNames(const Variable &v, const Frame &frame) const;
  mlir::Value read(size_t depth, const Variable &v) { return held(v, depth).value; }
  llvm::SmallVector<mlir::Value> operandsOf(const Finished &f, const std::vector<Value> &args);
  void checkStages(Finished &f);
  mlir::func::FuncOp cutForStage(Finished &f, bool differentiated);
  std::vector<StageVariable> stageVariables(Finished &f, mlir::func::FuncOp callee);
  void splitTiedParameters(Finished &f);
  // "FILE:LINE: " of the first place in a location that has one.
  static std::string lineText(mlir::Location at);
  [[noreturn]] void fail(const std::string &what) const;
  [[noreturn]] void fail(const std::string &what, mlir::Location where) const; // blames a line made before

  mlir::ModuleOp module;
  mlir::SymbolTable symbols;
  BatchLayout layout;
  Stage stage;
  std::vector<Variable> allParameters;    // of every stage, whole: what accumulate_gradients saw
  std::set<std::string> tiedAcrossStages; // parameters that the first and the last stage hold
  std::vector<SourceLine> lines;
  std::string path;
  std::deque<Frame> frames;
  std::vector<Finished> finished;
  std::vector<mlir::Value> values; // by Value::id
  std::optional<std::pair<int64_t, int64_t>> pendingRepeat;
  void markCheckpoint(mlir::Operation *op);
  int checkpoints = 0; // that are open
};

// S shards of a global batch over `ranks`, each rank running `microBatches` micro-batches; an error's text
// when they do not fit.
std::variant<BatchLayout, std::string> layoutBatch(int64_t shards, int64_t ranks, int64_t microBatches,
                                                   int64_t microBatchRows);

} // namespace weft
