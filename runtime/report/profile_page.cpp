#include "runtime/report/profile_page.h"

#include "runtime/report/page_parts.h"

#include "absl/strings/str_cat.h"

namespace weft {

std::string ProfilePageHtml(std::string_view model, std::string_view profile) {
  return FillPage(profile_page_html, absl::StrCat("Profile of ", std::string(model)),
                  absl::StrCat(std::string(page_css), std::string(profile_page_css)), std::string(profile),
                  absl::StrCat(std::string(charts_js), std::string(roofline_js),
                               std::string(profile_charts_js), std::string(profile_page_js)));
}

} // namespace weft
