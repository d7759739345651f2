// absl::StrCat that also takes std::string_view, which Debian's Abseil (built for C++14) does not.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace weft {

template <typename T> decltype(auto) StrCatArgument(const T &value) {
  if constexpr (std::is_same_v<T, std::string_view>)
    return absl::string_view(value.data(), value.size());
  else
    return value;
}

template <typename... Args> std::string StrCat(const Args &...args) {
  return absl::StrCat(StrCatArgument(args)...);
}

} // namespace weft
