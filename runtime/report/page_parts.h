// The pages' source files, embedded by the build (cmake/WeftEmbed.cmake), and what puts a page together.
#pragma once

#include <string>
#include <string_view>

namespace weft {

extern const std::string_view page_html, page_css, charts_js, heat_map_js, page_js;
extern const std::string_view profile_page_html, profile_page_css, roofline_js, profile_charts_js,
    profile_page_js;

// `page` with the parts at its marks: title (any bytes), style, data (JSON) and script.
std::string FillPage(std::string_view page, std::string_view title, const std::string &style,
                     const std::string &data, const std::string &script);

} // namespace weft
