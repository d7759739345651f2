#include "runtime/data/html_text.h"

#include <ctime>
#include <gtest/gtest.h>
#include <random>

namespace weft {
namespace {

std::string TextOf(std::string_view html) {
  std::string text;
  for (const HtmlBlock &b : HtmlBlocks(html)) text += (text.empty() ? "" : b.tight ? "\n" : "\n\n") + b.text;
  return text;
}

TEST(HtmlText, TakesTheProseOutOfAPage) {
  EXPECT_EQ(
      TextOf("<!DOCTYPE html>\n<html><head><title>No</title><style>p {x: 1}</style></head>\n<body>\n"
             "<h1>A  <i>title</i></h1>\n<p>One\n  two, <b>three</b><br>four.</p><!-- <p>not this</p> -->"
             "<script>if (a < b) document.write('<p>nor this</p>');</script><ul><li>x<li>y</ul><p>end"),
      "A title\n\nOne two, three\nfour.\n\nx\ny\n\nend");
}

TEST(HtmlText, DecodesCharacterReferences) {
  EXPECT_EQ(TextOf("a &amp; b &lt;c&gt; &eacute;&#233;&#xE9;&#X1F642; &nbsp; &hellip;&#8212;&mdash;"),
            "a & b <c> ééé🙂 …——");
  EXPECT_EQ(TextOf("&#147;q&#148; &unknown; & &; &# &#x; AT&T ?a=1&lt=2"),
            "“q” &unknown; & &; &# &#x; AT&T ?a=1&lt=2");
  EXPECT_EQ(TextOf("&#0; &#xD800; &#99999999999; soft&shy;ly"),
            "\xef\xbf\xbd \xef\xbf\xbd \xef\xbf\xbd softly");
}

TEST(HtmlText, KeepsPreformattedLines) {
  EXPECT_EQ(TextOf("<p>a</p><pre>\n  x  y\n    z\n</pre><p>b  c</p>"), "a\n\n  x  y\n    z\n\nb c");
}

TEST(HtmlText, DropsNavigationAndControls) {
  EXPECT_EQ(TextOf("<nav><a href=x>Home</a> and more words</nav><p>The text is here.</p>"
                   "<div id='book-navigation-239' class=\"book-navigation\"><div>prev <a href=a>up</a></div> "
                   "next</div>"
                   "<form><select><option>1</select><button>Go</button></form><footer>imprint</footer>"),
            "The text is here.");
}

TEST(HtmlText, KeepsAPageThatClaimsToBeNavigation) {
  EXPECT_EQ(TextOf("<div class='page nav'><p>All the text of this page.</p></div><p>short</p>"),
            "All the text of this page.\n\nshort");
}

TEST(HtmlText, LosesNothingToMarkupThatIsBroken) {
  EXPECT_EQ(TextOf("a <b c < d <3 <> </ > x<y"), "a </ > x<y");
  EXPECT_EQ(TextOf("before <!-- open\nafter"), "before after");
  EXPECT_EQ(TextOf("<nav>never closed<p>text"), "never closed\n\ntext");
  EXPECT_EQ(TextOf("<script>never closed"), "never closed");
  EXPECT_EQ(TextOf("<a href=\"x>text"), "<a href=\"x>text");
  EXPECT_EQ(TextOf("<p>one<p>two</div></i></p>three"), "one\n\ntwo\n\nthree");
  EXPECT_EQ(TextOf("<head><title>t</title><body>text"), "text");
  EXPECT_EQ(TextOf("<p title='a > b' x=y/>quoted"), "quoted");
  EXPECT_EQ(TextOf(""), "");
}

TEST(HtmlText, ReadsLatin1ThatSaysSo) {
  EXPECT_EQ(TextOf("<meta charset=iso-8859-1><p>caf\xe9 \x93q\x94"), "café “q”");
  EXPECT_EQ(TextOf("<meta charset=utf-8><p>caf\xe9"), "caf\xe9"); // any bytes are allowed
}

TEST(HtmlText, DropsLinksAroundTheProseAndWhatEveryPageRepeats) {
  std::vector<std::string> pages;
  for (const char *body : {"First prose.", "Second prose.", "Third prose.", "Fourth prose."})
    pages.push_back(std::string("<p><a href=1>Home</a> | <a href=2>Next</a></p><p>The site's motto</p><h1>") +
                    body[0] + "</h1><p>" + body +
                    "</p><p><a href=x>a link</a></p><p>See <a href=3>there</a>, it says.</p>"
                    "<ul><li><a href=a>one</a><li><a href=b>two</a><li><a href=c>three</a></ul><p>" +
                    body + "</p><p>All rights</p><a href=9>Up</a>");
  const std::vector<std::string> texts = PagesToText({pages.begin(), pages.end()});
  ASSERT_EQ(texts.size(), 4u);
  EXPECT_EQ(texts[1], "S\n\nSecond prose.\n\nSecond prose.\n");
  // A page alone cannot show what repeats; links around its prose, and lists of them, go all the same.
  EXPECT_EQ(PagesToText({pages[0]})[0], "The site's motto\n\nF\n\nFirst prose.\n\na link\n\nSee there, it "
                                        "says.\n\nFirst prose.\n\nAll rights\n");
}

TEST(HtmlText, GivesNothingForAPageOfLinks) { EXPECT_EQ(PagesToText({"<a href=x>only</a>"})[0], ""); }

// Eight times the page may take eight times as long, not 64 times; processor time, which other programs do
// not change.
TEST(HtmlText, StaysLinearOnHostilePages) {
  for (std::string_view piece : {"<a ", "<!--", "<nav>", "<a x=\"", "<a x='", "</", "<p><div class=nav>",
                                 "&#", "<!", "<script>", "<svg><script>", "<a <a =\"", "<head>", "<b x=\"'"})
    for (std::string_view end : {"", ">", "</nav>\""}) {
      const auto seconds = [&](size_t bytes) {
        std::string page;
        while (page.size() < bytes) page += piece;
        const std::clock_t start = std::clock();
        HtmlBlocks(page + std::string(end));
        return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
      };
      const double large = seconds(160000);
      EXPECT_TRUE(large < 0.2 || large < 30 * seconds(20000)) << piece << end << " takes " << large << " s";
    }
}

TEST(HtmlText, SurvivesRandomPages) {
  const std::vector<std::string_view> pieces = {
      "<",  ">", "/", "p",        "nav",   "script", "<p>", "</p>", "<!--", "-->",  "&",      "#",     ";",
      "\"", "'", "=", "a href=x", "<pre>", " ",      "\n",  "\xff", "é",    "text", "<head>", "<body>"};
  std::mt19937 rng(1);
  for (int i = 0; i < 20000; ++i) {
    std::string page;
    for (int k = rng() % 30; k >= 0; --k) page += pieces[rng() % pieces.size()];
    PagesToText({page, page});
  }
}

} // namespace
} // namespace weft
