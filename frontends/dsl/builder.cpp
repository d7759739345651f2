#include "frontends/dsl/builder.h"

namespace weft {
namespace {
constinit thread_local Builder *current_builder = nullptr;
} // namespace

Builder &builder() {
  if (!current_builder)
    throw ModelError("no program is being traced: model code runs when the compiler calls it");
  return *current_builder;
}

Builder *set_builder(Builder *builder) { return std::exchange(current_builder, builder); }

} // namespace weft
