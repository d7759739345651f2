// What weft profile prints.
#pragma once

#include "runtime/profile/diff.h"
#include "runtime/profile/profile.h"

#include <string>

namespace weft {

// The step, the machine, and tables by kernel, by model line and by thread, each of which adds up to the
// step; `top` rows of the first two, 0 = all.
std::string ProfileText(const Profile &profile, int64_t top);

std::string DiffText(const ProfileDiff &diff, int64_t top);
std::string DiffJson(const ProfileDiff &diff);

} // namespace weft
