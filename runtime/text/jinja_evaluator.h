// Evaluates a template's tree. Names are looked up in the block at hand, then in those around it up to the
// macro's own, then in what the template has set outside of all, then in what it was given.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/text/jinja_ast.h"
#include "runtime/text/jinja_functions.h"

namespace weft::jinja {

struct LoopState;

class Evaluator {
public:
  Evaluator(const Tree &tree, Budget &budget, const std::tm &now);
  ~Evaluator();
  void SetVariable(std::string_view name, Value value);
  std::string Run();

  Value Call(const Value &callee, const Arguments &arguments);
  Value MakeNamespace(const Arguments &arguments);
  std::string FormatNow(const std::string &format) const; // strftime_now
  // What loop.NAME is; none for a name that loops do not have.
  std::optional<Value> LoopAttribute(const Value &loop, std::string_view name);
  Value CallLoopMethod(const Method &method, const Arguments &arguments);
  int line() const { return line_; } // of what was evaluated last

  Budget &budget;

private:
  enum class Flow { normal, broken, continued };
  // What the names of a block are kept above.
  struct Frame {
    size_t base = 0;  // of the macro
    size_t scope = 0; // of the block: where `set` writes
    bool root = true; // outside of every block: `set` writes root_
  };

  // Statements.
  Flow Execute(const Block &block);
  Flow Execute(const Statement &statement);
  Flow ExecuteLoop(const Statement &statement);
  Flow ExecuteWith(const Statement &statement);
  // A block with names of its own; its output goes to `out` where given.
  Flow ExecuteScope(const Block &block, std::string *out = nullptr);
  void Assign(const Expression &target, Value value);
  void Set(int id, Value value);
  void Bind(int id, Value value) { locals_.emplace_back(id, std::move(value)); }
  void Append(std::string_view text);
  Value CallMacro(const Statement &macro, const Arguments &arguments);
  // The next element that the loop's condition lets through.
  std::optional<Value> Advance(LoopState &loop);
  bool Passes(LoopState &loop, const Value &item);
  const std::optional<Value> &Peek(LoopState &loop);
  int64_t Length(LoopState &loop);

  // Expressions.
  Value Evaluate(const Expression &expression);
  Value EvaluateName(const Expression &expression);
  static Value UndefinedName(const Expression &expression);
  Value EvaluateItems(const Expression &expression, Kind kind);
  Value EvaluateDict(const Expression &expression);
  Value EvaluateCompare(const Expression &expression);
  Value EvaluateConcat(const Expression &expression);
  Value EvaluateConditional(const Expression &expression);
  Value EvaluateSlice(const Expression &expression);
  Value EvaluateCall(const Expression &expression);
  Value EvaluateFilter(const Expression &expression, const Value *block);
  Value EvaluateTest(const Expression &expression);
  Value EvaluateBinary(const Expression &expression);
  Value EvaluateSign(const Expression &expression);
  Arguments EvaluateArguments(const Expression &expression);

  const Tree &tree_;
  const std::tm now_;
  std::vector<std::optional<Value>> root_;    // by id
  std::vector<std::pair<int, Value>> locals_; // of blocks, the innermost last
  Frame frame_;
  std::string *out_ = nullptr;
  int loop_id_ = -1, line_ = 0;
  std::vector<std::shared_ptr<Namespace>> namespaces_; // they may hold each other
};

} // namespace weft::jinja
