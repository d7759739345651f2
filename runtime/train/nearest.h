// The nearest right name, for errors about wrong ones.
#pragma once

#include "absl/strings/string_view.h"

#include <string>
#include <vector>

namespace weft {

// The candidate with the least edit distance (insert, delete, replace, swap of neighbours) to `name`, or ""
// when none is nearer than half of the longer of the two. The first of equals.
std::string Nearest(absl::string_view name, const std::vector<std::string> &candidates);

} // namespace weft
