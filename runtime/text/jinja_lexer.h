// The template language's tokens, cut and trimmed as jinja2 does with trim_blocks and lstrip_blocks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft::jinja {

enum class TokenKind : uint8_t {
  data,
  output_begin,
  output_end,
  block_begin,
  block_end,
  name,
  string,
  integer,
  real,
  symbol,
  end
};

struct Token {
  TokenKind kind = TokenKind::end;
  int line = 0;
  std::string text; // data, a name, a string's value, a symbol such as "=="
  int64_t integer = 0;
  double real = 0;
};

// Ends in a token of kind `end`. Fails (jinja::Error, with the line) for what is no template.
std::vector<Token> Tokenize(std::string_view source);

} // namespace weft::jinja
