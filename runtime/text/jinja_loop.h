// A loop under way, and a macro as a value.
#pragma once

#include <optional>

#include "runtime/text/jinja_ast.h"

namespace weft::jinja {

struct MacroObject : Object {
  const Statement *statement = nullptr;
};

// Elements are looked at one ahead and only when asked for, since a loop's condition may depend on what its
// body has set in a namespace.
struct LoopState : Object {
  explicit LoopState(Elements items) : items(std::move(items)) {}
  Elements items;
  size_t next = 0; // of items: the first that was not looked at
  const Statement *statement = nullptr;
  bool filtered = false, ended = false;
  size_t base = 0, mark = 0; // the macro's and the loop's place in the names
  int64_t index0 = -1;
  std::optional<Value> before, current, after; // `after` is set once it was looked for
  bool peeked = false;
  std::optional<Value> changed; // the arguments of the last loop.changed()

  // Lets go of all values: one may hold this loop, or a chain of earlier ones that is too long to be
  // destroyed at once.
  void End() {
    ended = true;
    items = Elements(std::make_shared<Sequence>());
    before.reset(), current.reset(), after.reset(), changed.reset();
  }
};

} // namespace weft::jinja
