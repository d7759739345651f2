// A Builder that keeps what is recorded as text: "add %1 %2 : f32 (2, 3)". It infers result types as the
// graph dialect does.
#pragma once
#include <map>

#include "frontends/dsl/builder.h"

namespace weft::testing {

struct RecordedOp {
  std::string text;     // "broadcast %1 dims=[2] shape=[2, 4, 8] : f32 (2, 4, 8)"
  std::string function; // the entry or function it is in
  std::string path;     // the module
  SourceLine line;      // the outermost of the stack
  Value result;
};

class RecordingBuilder : public Builder {
public:
  RecordingBuilder();
  ~RecordingBuilder() override;

  std::vector<RecordedOp> ops;
  std::map<std::string, Variable> variables;
  std::vector<std::string> events; // entries, functions, repeats, inputs, outputs and assignments, in order

  // Ops as lines, of one function or of all.
  std::string text(const std::string &function = "") const;
  int count(const std::string &name, const std::string &function = "") const;
  Value make(DType dtype, const Shape &shape);

  void push_line(SourceLine line) override { lines_.push_back(line); }
  void pop_line() override { lines_.pop_back(); }
  void set_path(const std::string &path) override { path_ = path; }
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
  void end_repeat() override;
  void begin_entry(const std::string &name, bool frozen) override;
  Value input(const std::string &name, DType dtype, const Shape &shape, i64 limit, bool micro) override;
  void output(const std::string &name, Value value) override;
  void end_entry() override;
  std::vector<Value> accumulate_gradients(int function, const std::vector<Value> &micro,
                                          std::vector<std::pair<Variable, Value>> &gradients) override;
  std::vector<Value> call(int function, const std::vector<Value> &args) override;
  std::vector<Value> value_and_grad(int function, const std::vector<Value> &args) override;
  std::vector<Value> custom_gradient(int forward, int backward, const std::vector<Value> &args) override;
  void begin_checkpoint() override { ++checkpoints_; }
  void end_checkpoint() override { --checkpoints_; }
  Value sum_over_parameters(const std::vector<std::pair<Variable, Value>> &partial) override;

private:
  int checkpoints_ = 0;
  std::vector<Value> apply(const std::string &text, int function, const std::vector<Value> &args);
  Value add(const std::string &text, DType dtype, const Shape &shape);

  Builder *previous_;
  uint32_t next_ = 0;
  std::vector<SourceLine> lines_;
  std::string path_;
  std::vector<std::string> functions_;
  std::vector<std::pair<i64, i64>> repeats_;
  std::vector<std::vector<Value>> results_; // of the functions that have ended
};

} // namespace weft::testing
