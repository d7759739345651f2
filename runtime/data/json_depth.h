// Bounds the nesting of JSON from a file before it becomes a tree: writing, comparing and copying a tree
// recurse, so a file of a megabyte of brackets would overflow the stack.
#pragma once

#include <cstddef>
#include <string_view>

namespace weft {

inline constexpr int kMaxJsonDepth = 64; // what we read has 6 levels

// Whether arrays and objects nest deeper than `most`. Meaningless for what is not JSON, which no tree is made
// of.
inline bool JsonNestsDeeper(std::string_view text, int most = kMaxJsonDepth) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i)
        if (text[i] == '\\') ++i;
    } else if (c == '[' || c == '{') {
      if (++depth > most) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

} // namespace weft
