// The syntax tree of a template.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/text/jinja_value.h"

namespace weft::jinja {

struct FilterEntry;
struct TestEntry;

enum class Op : uint8_t {
  constant,
  name,
  list,
  tuple,
  dict, // key, value, key, value, …
  negate,
  plus,
  logical_not,
  logical_and,
  logical_or,
  binary, // text: the symbol
  concat,
  compare,     // operands; symbols: between them
  conditional, // condition, value, other value (null: undefined)
  attribute,   // x.text
  item,        // x[y]
  slice,       // x[a:b:c], each of which may be null
  call,        // what is called, arguments; keywords
  filter,      // input (null in a filter block), arguments; keywords
  test,
};

struct Expression {
  Op op = Op::constant;
  int line = 0;
  int depth = 1;
  int id = -1; // of a name
  Value value;
  std::string text;
  std::vector<std::unique_ptr<Expression>> children;
  std::vector<std::pair<std::string, std::unique_ptr<Expression>>> keywords;
  std::vector<std::string> symbols;
  const FilterEntry *filter = nullptr;
  const TestEntry *test = nullptr;
};
using ExpressionPtr = std::unique_ptr<Expression>;

struct Statement;
using Block = std::vector<std::unique_ptr<Statement>>;

enum class Action : uint8_t {
  data,
  output,
  set,       // targets[0] = expressions[0]
  set_block, // targets[0] = blocks[0], through the filters of expressions[0] if there are any
  choose,    // if: a block for each of expressions, perhaps one more
  loop,      // for targets[0] in expressions[0] if expressions[1] (may be null): blocks[0], else blocks[1]
  macro,
  with,         // targets and their expressions, blocks[0]
  filter_block, // blocks[0] through expressions[0]
  generation,   // blocks[0]
  break_loop,
  continue_loop,
};

struct Statement {
  Action action = Action::data;
  int line = 0;
  std::string text; // data; a macro's name
  std::vector<ExpressionPtr> targets, expressions;
  std::vector<Block> blocks;
  bool is_new = false; // set_block: its body does not see what the template was given by that name
  // Of a macro: the names of its parameters, the last of which have defaults: expressions.
  int id = -1;
  std::vector<int> parameters;
  std::vector<std::string> parameter_names;
};

struct Tree {
  Block body;
  std::vector<std::string> names; // by id
};

// Fails (jinja::Error) with the line of what is wrong or is not read.
Tree Parse(std::string_view source, const Limits &limits);

} // namespace weft::jinja
