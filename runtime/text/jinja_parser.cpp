// Statements of the template language, and what the parser is made of.
#include "runtime/text/jinja_parser.h"

#include <algorithm>

#include "runtime/data/str_cat.h"
#include "runtime/text/jinja_functions.h"
#include "runtime/text/python_text.h"

namespace weft::jinja {

Parser::Parser(std::string_view source, const Limits &limits) : limits_(limits), tokens_(Tokenize(source)) {}

Parser::Level::Level(Parser &parser) : parser(parser) {
  if (++parser.depth_ > parser.limits_.nesting) {
    --parser.depth_;
    parser.Refuse(StrCat("it nests deeper than ", parser.limits_.nesting, " levels"));
  }
}

Token Parser::Take() {
  Token token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool Parser::TakeSymbol(std::string_view text) {
  if (!IsSymbol(text)) return false;
  Take();
  return true;
}

bool Parser::TakeName(std::string_view text) {
  if (!IsName(text)) return false;
  Take();
  return true;
}

void Parser::ExpectSymbol(std::string_view text) {
  if (!TakeSymbol(text)) Refuse(StrCat("expected ", text, ", got ", Describe(Now())));
}

std::string Parser::ExpectName(const char *what) {
  if (!Is(TokenKind::name)) Refuse(StrCat("expected ", what, ", got ", Describe(Now())));
  return Take().text;
}

void Parser::Expect(TokenKind kind, const char *what) {
  if (!Is(kind)) Refuse(StrCat("expected ", what, ", got ", Describe(Now())));
  Take();
}

void Parser::Refuse(std::string message, int line) {
  throw Error{std::move(message), line ? line : Now().line};
}

std::string Parser::Describe(const Token &token) const {
  switch (token.kind) {
  case TokenKind::data:
    return "text";
  case TokenKind::output_begin:
    return "{{";
  case TokenKind::output_end:
    return "}}";
  case TokenKind::block_begin:
    return "{%";
  case TokenKind::block_end:
    return "%}";
  case TokenKind::string:
    return "a string";
  case TokenKind::integer:
  case TokenKind::real:
    return "a number";
  case TokenKind::end:
    return "the end of the template";
  default:
    return token.text.substr(0, 60);
  }
}

int Parser::IdOf(const std::string &name) {
  const auto [it, added] = ids_.try_emplace(name, static_cast<int>(tree_.names.size()));
  if (added) tree_.names.push_back(name);
  return it->second;
}

// jinja2 decides where a name comes from before it runs, of a block before the blocks within: one that a
// block sets before it has been read there is never the one that was given, not even in the body that makes
// its value, unless a block around reads or sets it at any place. An if that does not set it everywhere
// leaves it as it was.
void Parser::CloseScope() {
  const Scope scope = std::move(scopes_.back());
  scopes_.pop_back();
  for (Statement *statement : scope.inner)
    if (scope.names.count(statement->targets[0]->id))
      statement->is_new = false;
    else if (!scopes_.empty())
      scopes_.back().inner.push_back(statement);
  if (!scopes_.empty())
    scopes_.back().inner.insert(scopes_.back().inner.end(), scope.own.begin(), scope.own.end());
}

Tree Parser::Run() {
  OpenScope();
  tree_.body = ParseBlock({});
  CloseScope();
  return std::move(tree_);
}

Block Parser::ParseBlock(std::initializer_list<std::string_view> ends) {
  Level level(*this);
  Block block;
  while (!Is(TokenKind::end)) {
    auto statement = std::make_unique<Statement>();
    statement->line = Now().line;
    if (Is(TokenKind::data)) {
      statement->text = Take().text;
    } else if (Is(TokenKind::output_begin)) {
      Take();
      statement->action = Action::output;
      statement->expressions.push_back(ParseTuple());
      Expect(TokenKind::output_end, "}}");
    } else {
      Expect(TokenKind::block_begin, "{%");
      if (Is(TokenKind::name) && std::find(ends.begin(), ends.end(), Now().text) != ends.end()) return block;
      statement = ParseStatement();
      Expect(TokenKind::block_end, "%}");
    }
    block.push_back(std::move(statement));
  }
  if (ends.size() > 0)
    Refuse(StrCat("the template ends where {% ", ends.begin()[ends.size() - 1], " %} is missing"));
  return block;
}

Block Parser::ParseBody(std::initializer_list<std::string_view> ends) {
  TakeSymbol(":"); // which jinja2 allows
  Expect(TokenKind::block_end, "%}");
  return ParseBlock(ends);
}

std::unique_ptr<Statement> Parser::ParseStatement() {
  auto statement = std::make_unique<Statement>();
  statement->line = Now().line;
  const std::string tag = ExpectName("the name of a tag");
  const int line = statement->line;
  if (tag == "set") {
    ParseSet(*statement);
  } else if (tag == "if") {
    ParseIf(*statement);
  } else if (tag == "for") {
    ParseFor(*statement);
  } else if (tag == "macro") {
    ParseMacro(*statement);
  } else if (tag == "with") {
    ParseWith(*statement);
  } else if (tag == "filter") {
    statement->action = Action::filter_block;
    ExpressionPtr filters = ParseFilter(nullptr);
    while (TakeSymbol("|")) filters = ParseFilter(std::move(filters));
    statement->expressions.push_back(std::move(filters));
    OpenScope();
    statement->blocks.push_back(ParseBody({"endfilter"}));
    CloseScope();
    Take();
  } else if (tag == "generation") { // what the assistant said, for masks; the text is that of its body
    statement->action = Action::generation;
    const int loops = std::exchange(loops_, 0);
    OpenScope();
    statement->blocks.push_back(ParseBody({"endgeneration"}));
    CloseScope();
    loops_ = loops;
    Take();
  } else if (tag == "break" || tag == "continue") {
    if (loops_ == 0) Refuse(StrCat("{% ", tag, " %} is in no loop"), line);
    statement->action = tag == "break" ? Action::break_loop : Action::continue_loop;
  } else {
    const bool close = tag.rfind("end", 0) == 0 || tag == "else" || tag == "elif";
    Refuse(close ? StrCat("{% ", tag, " %} closes nothing that is open here")
                 : StrCat("the tag {% ", tag.substr(0, 60), " %} is not read"),
           line);
  }
  return statement;
}

void Parser::CheckTarget(const Expression &target) {
  if (target.op == Op::tuple) {
    for (const ExpressionPtr &child : target.children) CheckTarget(*child);
  } else if (target.op == Op::name && target.text == "loop" && loops_ > 0) {
    Refuse("loop cannot be set in a loop", target.line);
  } else if (target.op != Op::name && (target.op != Op::attribute || target.children[0]->op != Op::name)) {
    Refuse("only names, and attributes of a namespace, can be set", target.line);
  }
}

ExpressionPtr Parser::ParseTarget(bool with_namespace, std::string_view end) {
  const int line = Now().line;
  std::vector<ExpressionPtr> items;
  bool tuple = false;
  for (;;) {
    if (!items.empty()) ExpectSymbol(",");
    if (Is(TokenKind::block_end) || IsSymbol(")") || (!end.empty() && IsName(end))) break;
    items.push_back(ParsePrimary(with_namespace));
    if (!IsSymbol(",")) break;
    tuple = true;
  }
  if (items.empty()) Refuse(StrCat("expected a name, got ", Describe(Now())));
  ExpressionPtr target = tuple ? Make(Op::tuple, line, std::move(items)) : std::move(items[0]);
  CheckTarget(*target);
  return target;
}

void Parser::ParseSet(Statement &statement) {
  const bool is_new =
      Is(TokenKind::name) && scopes_.back().ifs == 0 && scopes_.back().names.count(IdOf(Now().text)) == 0;
  statement.targets.push_back(ParseTarget(/*with_namespace=*/true));
  if (TakeSymbol("=")) {
    statement.action = Action::set;
    statement.expressions.push_back(ParseTuple());
    return;
  }
  statement.action = Action::set_block;
  if (is_new && statement.targets[0]->op == Op::name) {
    statement.is_new = true;
    scopes_.back().own.push_back(&statement);
  }
  ExpressionPtr filters;
  while (TakeSymbol("|")) filters = ParseFilter(std::move(filters));
  if (filters) statement.expressions.push_back(std::move(filters));
  OpenScope();
  statement.blocks.push_back(ParseBody({"endset"}));
  CloseScope();
  Take();
}

void Parser::ParseIf(Statement &statement) {
  statement.action = Action::choose;
  ++scopes_.back().ifs;
  for (std::string tag = "elif"; tag == "elif"; tag = Take().text) {
    statement.expressions.push_back(ParseTuple(/*with_condition=*/false));
    statement.blocks.push_back(ParseBody({"elif", "else", "endif"}));
    if (IsName("else")) {
      Take();
      statement.blocks.push_back(ParseBody({"endif"}));
    }
  }
  --scopes_.back().ifs;
}

void Parser::ParseFor(Statement &statement) {
  statement.action = Action::loop;
  std::unordered_set<int> names; // of the loop
  OpenScope();
  ++loops_;
  statement.targets.push_back(ParseTarget(/*with_namespace=*/false, "in"));
  --loops_;
  names.swap(scopes_.back().names);
  CloseScope();
  if (!TakeName("in")) Refuse(StrCat("expected in, got ", Describe(Now())));
  statement.expressions.push_back(ParseTuple(/*with_condition=*/false, false, "recursive"));
  OpenScope(std::move(names));
  statement.expressions.push_back(TakeName("if") ? ParseExpression() : nullptr);
  if (IsName("recursive")) Refuse("recursive loops are not read");
  ++loops_;
  statement.blocks.push_back(ParseBody({"else", "endfor"}));
  --loops_;
  CloseScope();
  if (Take().text == "else") {
    OpenScope();
    statement.blocks.push_back(ParseBody({"endfor"}));
    CloseScope();
    Take();
  }
}

void Parser::ParseMacro(Statement &statement) {
  statement.action = Action::macro;
  if (scopes_.size() > 1)
    Refuse("a macro in a loop, a macro or another block with names of its own is not read\nhint: macros that "
           "stand outside are");
  statement.text = ExpectName("the name of a macro");
  statement.id = IdOf(statement.text);
  scopes_.back().names.insert(statement.id);
  OpenScope();
  ExpectSymbol("(");
  while (!IsSymbol(")")) {
    if (!statement.parameters.empty()) ExpectSymbol(",");
    const std::string name = ExpectName("the name of a parameter");
    if (statement.parameters.size() >= 255) Refuse("a macro has more than 255 parameters");
    const int id = IdOf(name);
    if (std::find(statement.parameters.begin(), statement.parameters.end(), id) != statement.parameters.end())
      Refuse(StrCat("the parameter ", name, " is there twice"));
    statement.parameters.push_back(id);
    scopes_.back().names.insert(id);
    statement.parameter_names.push_back(name);
    if (TakeSymbol("="))
      statement.expressions.push_back(ParseExpression());
    else if (!statement.expressions.empty())
      Refuse(StrCat("the parameter ", name, " has no default though one before it has"));
  }
  ExpectSymbol(")");
  const int loops = std::exchange(loops_, 0);
  in_macro_ = true;
  statement.blocks.push_back(ParseBody({"endmacro"}));
  in_macro_ = false;
  CloseScope();
  loops_ = loops;
  Take();
}

void Parser::ParseWith(Statement &statement) {
  statement.action = Action::with;
  std::unordered_set<int> names; // of the block; their values do not see them
  while (!Is(TokenKind::block_end)) {
    if (!statement.targets.empty()) ExpectSymbol(",");
    OpenScope();
    statement.targets.push_back(ParsePrimary());
    CloseScope();
    if (statement.targets.back()->op != Op::name) Refuse("{% with %} sets names only");
    names.insert(statement.targets.back()->id);
    ExpectSymbol("=");
    statement.expressions.push_back(ParseExpression());
  }
  OpenScope(std::move(names));
  statement.blocks.push_back(ParseBody({"endwith"}));
  CloseScope();
  Take();
}

Tree Parse(std::string_view source, const Limits &limits) { return Parser(source, limits).Run(); }

} // namespace weft::jinja
