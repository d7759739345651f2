// The page's source files, embedded by the build (cmake/WeftEmbed.cmake).
#pragma once

#include <string_view>

namespace weft {

extern const std::string_view page_html, page_css, charts_js, heat_map_js, page_js;

} // namespace weft
