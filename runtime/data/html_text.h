// Takes the prose out of a web page.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weft {

// A paragraph, heading, list item, table row or the like.
struct HtmlBlock {
  std::string text;   // UTF-8 (as far as the page is), entities decoded, blanks collapsed except within <pre>
  bool tight = false; // a list item or table row after another: no empty line before it
  bool linked = false; // hardly anything but links: navigation, unless prose stands on both sides
};

// The blocks of a page, in order, none empty. Dropped: tags, comments, <head>, scripts, styles, forms'
// controls, <nav>, <footer>, and elements whose class, id or role says that they are navigation (unless that
// would take more than half of the page, which then is not what they are). Malformed markup never fails: what
// cannot be a tag is text. A page in Latin-1 or Windows-1252 that says so becomes UTF-8.
std::vector<HtmlBlock> HtmlBlocks(std::string_view html);

// The pages of one site as text: the blocks of HtmlBlocks, less links that stand before or after all prose or
// three or more in a row, and less blocks that more than half of the pages have (of 4 pages or more): headers
// and footers. Gives a text for each page, empty where nothing was left.
std::vector<std::string> PagesToText(const std::vector<std::string_view> &pages);

} // namespace weft
