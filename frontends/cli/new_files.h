// The files that `weft new` makes, as text with @NAME@ in place of the project's name.
#pragma once

namespace weft {

extern const char kNewModel[], kNewRecipe[], kNewReadme[], kNewIgnore[];

} // namespace weft
