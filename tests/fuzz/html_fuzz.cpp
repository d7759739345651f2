// The extraction of text from web pages, which accepts everything.
#include "runtime/data/html_text.h"
#include "tests/fuzz/fuzz_target.h"

namespace weft::fuzz {

std::vector<std::string> Seeds() {
  return {R"(<!doctype html><html><head><title>A</title><meta charset="utf-8"><style>p {}</style></head>
<body class="page"><nav><a href="/">Home</a><a href="b">B</a></nav>
<!-- a comment --><h1>One &amp; two</h1><p>Some <b>bold</b> prose&nbsp;here, caf&eacute; &#8212; &#x2014;.<br>Next
line.</p><ul><li>first<li>second</ul><pre>  kept
   as it is</pre><script>if (a < b) "</p>"</script>
<div class="book-navigation" id='x'><a href=n>next</a></div><table><tr><td>1<td>2</table>
<footer>the end</footer></body></html>)",
          "caf\xe9 <p>latin-1 \x93quoted\x94 &copy &lt=2 <a href=\"x>unclosed",
          "a < b && c > d\n<!-- open\nnext"};
}

std::vector<std::string> Words() {
  return {"<nav>",    "</nav>",    "<a href=x>", "</a>",         "<head>",   "<body>",   "<p>",   "<pre>",
          "</pre>",   "<!--",      "-->",        "<?",           "</",       "<",        ">",     "&amp;",
          "&#x",      "&#",        "&nbsp",      "\"",           "'",        "=",        "<svg>", "</",
          "<script>", "</script>", "class=",     "nav",          "<div id=", "<footer>", "<li>",  "</li>",
          "<br>",     "\xc2\xa0",  "\xff",       "charset=utf-8"};
}

} // namespace weft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace weft;
  std::string_view page(reinterpret_cast<const char *>(data), size);
  size_t bytes = 0;
  for (const HtmlBlock &block : HtmlBlocks(page)) {
    fuzz::Require(!block.text.empty(), "no block is empty");
    bytes += block.text.size();
  }
  fuzz::Require(bytes <= 3 * size + 8, "text is not much longer than its page");
  if (size == 0) return 0;
  size_t third = size / 3;
  std::vector<std::string> texts =
      PagesToText({page, page.substr(0, third), page.substr(third), page, page.substr(2 * third)});
  fuzz::Require(texts.size() == 5, "each page gives a text");
  fuzz::Outcome(texts[1].substr(0, 40)); // pages whose text begins otherwise
  return 0;
}
