// Expressions of the template language: the grammar of jinja2's parser, whose precedence differs from
// Python's in that ~ binds tighter than + and that filters bind tighter than any operator but attributes and
// calls.
#include <algorithm>

#include "runtime/data/str_cat.h"
#include "runtime/text/jinja_functions.h"
#include "runtime/text/jinja_parser.h"

namespace weft::jinja {
namespace {

std::vector<ExpressionPtr> Both(ExpressionPtr a, ExpressionPtr b) {
  std::vector<ExpressionPtr> both;
  both.push_back(std::move(a)), both.push_back(std::move(b));
  return both;
}

bool IsConstantName(std::string_view name) {
  return name == "true" || name == "True" || name == "false" || name == "False" || name == "none" ||
         name == "None";
}

} // namespace

ExpressionPtr Parser::Make(Op op, int line, std::vector<ExpressionPtr> children, std::string text) {
  auto expression = std::make_unique<Expression>();
  expression->op = op, expression->line = line, expression->text = std::move(text);
  expression->children = std::move(children);
  return Finish(std::move(expression));
}

ExpressionPtr Parser::Finish(ExpressionPtr expression) {
  int depth = 0;
  for (const ExpressionPtr &child : expression->children)
    if (child) depth = std::max(depth, child->depth);
  for (const auto &keyword : expression->keywords) depth = std::max(depth, keyword.second->depth);
  expression->depth = depth + 1;
  if (expression->depth > limits_.nesting)
    Refuse(StrCat("an expression nests deeper than ", limits_.nesting, " levels"), expression->line);
  return expression;
}

// a, b: a tuple; (): an empty one.
ExpressionPtr Parser::ParseTuple(bool with_condition, bool parentheses, std::string_view end) {
  const int line = Now().line;
  std::vector<ExpressionPtr> items;
  bool tuple = false;
  for (;;) {
    if (!items.empty()) ExpectSymbol(",");
    if (Is(TokenKind::output_end) || Is(TokenKind::block_end) || IsSymbol(")") ||
        (!end.empty() && IsName(end)))
      break;
    items.push_back(ParseExpression(with_condition));
    if (!IsSymbol(",")) break;
    tuple = true;
  }
  if (!tuple && !items.empty()) return std::move(items[0]);
  if (!tuple && !parentheses) Refuse(StrCat("expected an expression, got ", Describe(Now())));
  return Make(Op::tuple, line, std::move(items));
}

ExpressionPtr Parser::ParseExpression(bool with_condition) {
  Level level(*this);
  const int line = Now().line;
  ExpressionPtr value = ParseOr();
  while (with_condition && TakeName("if")) {
    std::vector<ExpressionPtr> children;
    children.push_back(ParseOr());
    children.push_back(std::move(value));
    children.push_back(TakeName("else") ? ParseExpression() : nullptr);
    value = Make(Op::conditional, line, std::move(children));
  }
  return value;
}

ExpressionPtr Parser::ParseOr() {
  ExpressionPtr left = ParseAnd();
  while (IsName("or")) {
    const int line = Take().line;
    left = Make(Op::logical_or, line, Both(std::move(left), ParseAnd()));
  }
  return left;
}

ExpressionPtr Parser::ParseAnd() {
  ExpressionPtr left = ParseNot();
  while (IsName("and")) {
    const int line = Take().line;
    left = Make(Op::logical_and, line, Both(std::move(left), ParseNot()));
  }
  return left;
}

ExpressionPtr Parser::ParseNot() {
  if (!IsName("not")) return ParseCompare();
  Level level(*this);
  const int line = Take().line;
  std::vector<ExpressionPtr> child;
  child.push_back(ParseNot());
  return Make(Op::logical_not, line, std::move(child));
}

ExpressionPtr Parser::ParseCompare() {
  const int line = Now().line;
  std::vector<ExpressionPtr> operands;
  std::vector<std::string> symbols;
  operands.push_back(ParseSum());
  for (;;) {
    if (IsName("in")) {
      symbols.push_back(Take().text);
    } else if (IsName("not") && Next().kind == TokenKind::name && Next().text == "in") {
      Take(), Take();
      symbols.push_back("not in");
    } else if (Is(TokenKind::symbol) && (Now().text == "==" || Now().text == "!=" || Now().text == "<" ||
                                         Now().text == "<=" || Now().text == ">" || Now().text == ">=")) {
      symbols.push_back(Take().text);
    } else {
      break;
    }
    operands.push_back(ParseSum());
  }
  if (symbols.empty()) return std::move(operands[0]);
  ExpressionPtr compare = Make(Op::compare, line, std::move(operands));
  compare->symbols = std::move(symbols);
  return compare;
}

ExpressionPtr Parser::ParseSum() {
  ExpressionPtr left = ParseConcat();
  while (IsSymbol("+") || IsSymbol("-")) {
    const Token symbol = Take();
    left = Make(Op::binary, symbol.line, Both(std::move(left), ParseConcat()), symbol.text);
  }
  return left;
}

ExpressionPtr Parser::ParseConcat() {
  const int line = Now().line;
  std::vector<ExpressionPtr> parts;
  parts.push_back(ParseProduct());
  while (TakeSymbol("~")) parts.push_back(ParseProduct());
  return parts.size() == 1 ? std::move(parts[0]) : Make(Op::concat, line, std::move(parts));
}

ExpressionPtr Parser::ParseProduct() {
  ExpressionPtr left = ParsePower();
  while (IsSymbol("*") || IsSymbol("/") || IsSymbol("//") || IsSymbol("%")) {
    const Token symbol = Take();
    left = Make(Op::binary, symbol.line, Both(std::move(left), ParsePower()), symbol.text);
  }
  return left;
}

ExpressionPtr Parser::ParsePower() { // from left to right, unlike Python's
  ExpressionPtr left = ParseUnary();
  while (IsSymbol("**")) {
    const Token symbol = Take();
    left = Make(Op::binary, symbol.line, Both(std::move(left), ParseUnary()), symbol.text);
  }
  return left;
}

ExpressionPtr Parser::ParseUnary(bool with_filters) {
  Level level(*this);
  ExpressionPtr value;
  if (IsSymbol("-") || IsSymbol("+")) {
    const Token sign = Take();
    std::vector<ExpressionPtr> child;
    child.push_back(ParseUnary(false));
    value = Make(sign.text == "-" ? Op::negate : Op::plus, sign.line, std::move(child));
  } else {
    value = ParsePrimary();
  }
  value = ParsePostfix(std::move(value));
  return with_filters ? ParseFilters(std::move(value)) : std::move(value);
}

ExpressionPtr Parser::ParsePrimary(bool with_namespace) {
  const int line = Now().line;
  ExpressionPtr value;
  switch (Now().kind) {
  case TokenKind::name: {
    const std::string name = Take().text;
    if (IsConstantName(name)) {
      value = Make(Op::constant, line);
      value->value =
          name[0] == 'n' || name[0] == 'N' ? Value::None() : Value::Bool(name[0] == 't' || name[0] == 'T');
      return value;
    }
    if (in_macro_ && (name == "caller" || name == "varargs" || name == "kwargs"))
      Refuse(StrCat(name, " is not read in a macro"), line);
    value = Make(Op::name, line, {}, name);
    value->id = IdOf(name);
    scopes_.back().names.insert(value->id);
    if (!with_namespace || !TakeSymbol(".")) return value;
    std::vector<ExpressionPtr> child;
    child.push_back(std::move(value));
    return Make(Op::attribute, line, std::move(child), ExpectName("the name of an attribute"));
  }
  case TokenKind::string: {
    std::string text = Take().text;
    while (Is(TokenKind::string)) text += Take().text;
    value = Make(Op::constant, line);
    value->value = Value::Constant(std::move(text));
    return value;
  }
  case TokenKind::integer:
    value = Make(Op::constant, line);
    value->value = Value::Integer(Take().integer);
    return value;
  case TokenKind::real:
    value = Make(Op::constant, line);
    value->value = Value::Real(Take().real);
    return value;
  default:
    if (IsSymbol("[")) return ParseList();
    if (IsSymbol("{")) return ParseDict();
    if (!TakeSymbol("(")) Refuse(StrCat("unexpected ", Describe(Now())));
    Level level(*this);
    value = ParseTuple(true, /*parentheses=*/true);
    ExpectSymbol(")");
    return value;
  }
}

ExpressionPtr Parser::ParseList() {
  const int line = Take().line;
  std::vector<ExpressionPtr> items;
  while (!IsSymbol("]")) {
    if (!items.empty()) ExpectSymbol(",");
    if (IsSymbol("]")) break;
    items.push_back(ParseExpression());
  }
  ExpectSymbol("]");
  return Make(Op::list, line, std::move(items));
}

ExpressionPtr Parser::ParseDict() {
  const int line = Take().line;
  std::vector<ExpressionPtr> items;
  while (!IsSymbol("}")) {
    if (!items.empty()) ExpectSymbol(",");
    if (IsSymbol("}")) break;
    items.push_back(ParseExpression());
    ExpectSymbol(":");
    items.push_back(ParseExpression());
  }
  ExpectSymbol("}");
  return Make(Op::dict, line, std::move(items));
}

ExpressionPtr Parser::ParsePostfix(ExpressionPtr of) {
  for (;;) {
    if (IsSymbol(".") || IsSymbol("["))
      of = ParseSubscript(std::move(of));
    else if (IsSymbol("("))
      of = ParseCall(std::move(of));
    else
      return of;
  }
}

ExpressionPtr Parser::ParseFilters(ExpressionPtr of) {
  for (;;) {
    if (TakeSymbol("|"))
      of = ParseFilter(std::move(of));
    else if (IsName("is"))
      of = ParseTest(std::move(of));
    else if (IsSymbol("("))
      of = ParseCall(std::move(of));
    else
      return of;
  }
}

ExpressionPtr Parser::ParseSubscript(ExpressionPtr of) {
  const Token open = Take();
  std::vector<ExpressionPtr> children;
  children.push_back(std::move(of));
  if (open.text == ".") {
    const Token name = Take();
    if (name.kind == TokenKind::name) return Make(Op::attribute, open.line, std::move(children), name.text);
    if (name.kind != TokenKind::integer)
      Refuse(StrCat("expected a name or number after ., got ", Describe(name)), name.line);
    children.push_back(Make(Op::constant, name.line));
    children[1]->value = Value::Integer(name.integer);
    return Make(Op::item, open.line, std::move(children));
  }
  bool slice = false;
  for (int part = 0; part < 3; ++part) { // a, a:b or a:b:c
    const bool empty = IsSymbol("]") || IsSymbol(":");
    if (empty && part == 0 && !IsSymbol(":")) { // x[] is x[()] in jinja2
      children.push_back(Make(Op::tuple, open.line));
      break;
    }
    children.push_back(empty ? nullptr : ParseExpression());
    if (part < 2 && TakeSymbol(":"))
      slice = true;
    else
      break;
  }
  if (IsSymbol(",")) Refuse("a subscript of several parts is not read");
  ExpectSymbol("]");
  children.resize(slice ? 4 : 2);
  return Make(slice ? Op::slice : Op::item, open.line, std::move(children));
}

ExpressionPtr Parser::ParseCall(ExpressionPtr of) {
  auto call = std::make_unique<Expression>();
  call->op = Op::call, call->line = Now().line;
  call->children.push_back(std::move(of));
  ParseArguments(*call);
  return Finish(std::move(call));
}

void Parser::ParseArguments(Expression &call) {
  ExpectSymbol("(");
  for (bool first = true; !IsSymbol(")"); first = false) {
    if (!first) {
      ExpectSymbol(",");
      if (IsSymbol(")")) break;
    }
    if (IsSymbol("*") || IsSymbol("**")) Refuse(StrCat("arguments with ", Now().text, " are not read"));
    if (Is(TokenKind::name) && Next().kind == TokenKind::symbol && Next().text == "=") {
      std::string name = Take().text;
      Take();
      if (call.keywords.size() >= 255) Refuse("a call has more than 255 arguments");
      for (const auto &keyword : call.keywords)
        if (keyword.first == name) Refuse(StrCat("the argument ", name, " is given twice"));
      call.keywords.emplace_back(std::move(name), ParseExpression());
    } else if (!call.keywords.empty()) {
      Refuse("an argument without a name follows one with a name");
    } else {
      call.children.push_back(ParseExpression());
    }
  }
  ExpectSymbol(")");
}

ExpressionPtr Parser::ParseFilter(ExpressionPtr of) {
  auto filter = std::make_unique<Expression>();
  filter->op = Op::filter, filter->line = Now().line;
  filter->text = ExpectName("the name of a filter");
  filter->filter = FindFilter(filter->text);
  if (!filter->filter) Refuse(StrCat("the filter ", filter->text, " is not read"), filter->line);
  filter->children.push_back(std::move(of));
  if (IsSymbol("(")) ParseArguments(*filter);
  return Finish(std::move(filter));
}

ExpressionPtr Parser::ParseTest(ExpressionPtr of) {
  const int line = Take().line;
  const bool negated = TakeName("not");
  auto test = std::make_unique<Expression>();
  test->op = Op::test, test->line = line;
  test->text = ExpectName("the name of a test");
  test->test = FindTest(test->text);
  if (!test->test) Refuse(StrCat("the test ", test->text, " is not read"), line);
  test->children.push_back(std::move(of));
  const bool argument = Is(TokenKind::name) ? !IsName("else") && !IsName("or") && !IsName("and")
                                            : Is(TokenKind::string) || Is(TokenKind::integer) ||
                                                  Is(TokenKind::real) || IsSymbol("[") || IsSymbol("{");
  if (IsSymbol("(")) {
    ParseArguments(*test);
    if (!test->keywords.empty()) Refuse(StrCat("the test ", test->text, " takes no named arguments"), line);
  } else if (argument) {
    if (IsName("is")) Refuse("tests cannot be chained with is");
    test->children.push_back(ParsePostfix(ParsePrimary()));
  }
  if (test->children.size() - 1 != test->test->arguments)
    Refuse(StrCat("the test ", test->text, " takes ", test->test->arguments, " arguments, got ",
                  test->children.size() - 1),
           line);
  ExpressionPtr result = Finish(std::move(test));
  if (!negated) return result;
  std::vector<ExpressionPtr> child;
  child.push_back(std::move(result));
  return Make(Op::logical_not, line, std::move(child));
}

} // namespace weft::jinja
