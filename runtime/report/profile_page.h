// report.html of a profile: one file, which fetches nothing.
#pragma once

#include <string>
#include <string_view>

namespace weft {

// `profile`: the JSON that profile.json holds (runtime/profile/profile.h).
std::string ProfilePageHtml(std::string_view model, std::string_view profile);

} // namespace weft
