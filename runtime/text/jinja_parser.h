// A parser over the tokens of a template; jinja_parser.cpp reads statements, jinja_expressions.cpp
// expressions.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "runtime/text/jinja_ast.h"
#include "runtime/text/jinja_lexer.h"

namespace weft::jinja {

class Parser {
public:
  Parser(std::string_view source, const Limits &limits);
  Tree Run();

private:
  // One level of nesting in the source while it lives.
  struct Level {
    explicit Level(Parser &parser);
    ~Level() { --parser.depth_; }
    Parser &parser;
  };
  // The names of a block that has names of its own.
  struct Scope {
    std::unordered_set<int> names;       // read or set so far
    int ifs = 0;                         // that are open in it
    std::vector<Statement *> own, inner; // the set blocks of a new name in it, and in blocks within
  };
  void OpenScope(std::unordered_set<int> names = {}) { scopes_.push_back({std::move(names), 0, {}, {}}); }
  void CloseScope();

  // The token at hand.
  const Token &Now() const { return tokens_[at_]; }
  const Token &Next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token Take();
  bool Is(TokenKind kind) const { return Now().kind == kind; }
  bool IsSymbol(std::string_view text) const { return Is(TokenKind::symbol) && Now().text == text; }
  bool IsName(std::string_view text) const { return Is(TokenKind::name) && Now().text == text; }
  bool TakeSymbol(std::string_view text);
  bool TakeName(std::string_view text);
  void ExpectSymbol(std::string_view text);
  std::string ExpectName(const char *what);
  void Expect(TokenKind kind, const char *what);
  [[noreturn]] void Refuse(std::string message, int line = 0);
  std::string Describe(const Token &token) const;
  int IdOf(const std::string &name);

  // Statements.
  Block ParseBlock(std::initializer_list<std::string_view> ends); // stops at the name of one of them
  Block ParseBody(std::initializer_list<std::string_view> ends);  // after a tag's own end
  std::unique_ptr<Statement> ParseStatement();
  void ParseSet(Statement &statement);
  void ParseIf(Statement &statement);
  void ParseFor(Statement &statement);
  void ParseMacro(Statement &statement);
  void ParseWith(Statement &statement);
  ExpressionPtr ParseTarget(bool with_namespace, std::string_view end = "");
  void CheckTarget(const Expression &target);

  // Expressions, from the loosest binding to the tightest.
  ExpressionPtr ParseTuple(bool with_condition = true, bool parentheses = false, std::string_view end = "");
  ExpressionPtr ParseExpression(bool with_condition = true);
  ExpressionPtr ParseOr();
  ExpressionPtr ParseAnd();
  ExpressionPtr ParseNot();
  ExpressionPtr ParseCompare();
  ExpressionPtr ParseSum();
  ExpressionPtr ParseConcat();
  ExpressionPtr ParseProduct();
  ExpressionPtr ParsePower();
  ExpressionPtr ParseUnary(bool with_filters = true);
  ExpressionPtr ParsePrimary(bool with_namespace = false);
  ExpressionPtr ParsePostfix(ExpressionPtr of);
  ExpressionPtr ParseFilters(ExpressionPtr of);
  ExpressionPtr ParseFilter(ExpressionPtr of); // after the bar
  ExpressionPtr ParseTest(ExpressionPtr of);
  ExpressionPtr ParseSubscript(ExpressionPtr of);
  ExpressionPtr ParseCall(ExpressionPtr of);
  ExpressionPtr ParseList();
  ExpressionPtr ParseDict();
  void ParseArguments(Expression &call);
  ExpressionPtr Make(Op op, int line, std::vector<ExpressionPtr> children = {}, std::string text = "");
  ExpressionPtr Finish(ExpressionPtr expression); // once its children are there: checks how deep it is

  const Limits limits_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0, loops_ = 0;
  bool in_macro_ = false;
  std::vector<Scope> scopes_; // the first is outside of all blocks
  Tree tree_;
  std::unordered_map<std::string, int> ids_;
};

} // namespace weft::jinja
