#include "runtime/data/regex.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

using List = std::vector<std::string>;

List Matches(std::string_view pattern, std::string_view text) {
  const absl::StatusOr<Regex> regex = Regex::Compile(pattern);
  if (!regex.ok()) return {"error: " + std::string(regex.status().message())};
  List found;
  RegexSearch search(*regex, text);
  for (size_t at = 0;;) {
    const RegexSearch::Match m = search.Next(at);
    if (m.begin == text.size()) return found;
    found.emplace_back(text.substr(m.begin, m.end - m.begin));
    at = m.end;
  }
}

std::string Error(std::string_view pattern) {
  return std::string(Regex::Compile(pattern).status().message());
}

TEST(Regex, PrefersEarlierAlternativesAndLongerRepetitions) {
  EXPECT_EQ(Matches("a|ab", "ab"), (List{"a"}));
  EXPECT_EQ(Matches("ab|a", "abaa"), (List{"ab", "a", "a"}));
  EXPECT_EQ(Matches("a+?b?", "aab"), (List{"a", "ab"}));
  EXPECT_EQ(Matches("a{2,3}", "aaaaaa a"), (List{"aaa", "aaa"}));
  EXPECT_EQ(Matches("a{2}|b{,2}c|d{1,}", "aaabbbcddd"), (List{"aa", "bbc", "ddd"}));
  EXPECT_EQ(Matches("(ab)+", "ababa"), (List{"abab"}));
  EXPECT_EQ(Matches("x{a}|{", "x{a}{"), (List{"x{a}", "{"})); // braces that are no count are letters
}

TEST(Regex, GivesBackWhatARepetitionTookUnlessItIsPossessive) {
  EXPECT_EQ(Matches("a+ab", "aaab"), (List{"aaab"}));
  EXPECT_EQ(Matches("a++ab|c", "aaabc"), (List{"c"}));
  EXPECT_EQ(Matches("a?+ab", "ab"), List{});
  EXPECT_EQ(Matches("a?+ab", "aab"), (List{"aab"}));
  EXPECT_EQ(Matches("a*+b", "aab"), (List{"aab"}));
}

TEST(Regex, LooksAhead) {
  EXPECT_EQ(Matches("\\s+(?!\\S)", "a   b  "), (List{"  ", "  "}));
  EXPECT_EQ(Matches("a(?=b|c+d)", "abaccda"), (List{"a", "a"}));
  EXPECT_EQ(Matches("(?=(?!ab)a)a.", "abac"), (List{"ac"}));
}

TEST(Regex, ReadsClassesAndProperties) {
  EXPECT_EQ(Matches("[^\\r\\n\\p{L}\\p{N}]", "aé1٣!\n\xff"), (List{"!", "\xff"}));
  EXPECT_EQ(Matches("[a-c\\]\\-x]+", "ab]-xd"), (List{"ab]-x"}));
  EXPECT_EQ(Matches("[\\p{L}&&[^a-m]&&[^z]]+", "anpzq"), (List{"np", "q"}));
  EXPECT_EQ(Matches("\\p{Lu}\\P{Lu}|\\p{^L}", "Ab1"), (List{"Ab", "1"}));
  EXPECT_EQ(Matches("\\p{Han}+", "a中文の"), (List{"中文"}));
  EXPECT_EQ(Matches("\\h+|\\W|\\d", "fFx- 9"), (List{"fF", "-", " ", "9"}));
  EXPECT_EQ(Matches("\\x41\\u00e9\\x{1f642}", "Aé🙂"), (List{"Aé🙂"}));
  EXPECT_EQ(Matches("[--/]+", "-./0"), (List{"-./"}));
}

TEST(Regex, FoldsTheCaseOfAsciiAsOnigurumaDoes) {
  EXPECT_EQ(Matches("(?i:'s|'ll)|S", "'S's'lL'ſS"), (List{"'S", "'s", "'lL", "'ſ", "S"}));
  EXPECT_EQ(Matches("(?i:k(?-i:k))", "KkkKK"), (List{"Kk"}));
  EXPECT_EQ(Matches("(?i:[a-c])", "aBd"), (List{"a", "B"}));
}

TEST(Regex, TakesLinesAndTheTextsEnds) {
  EXPECT_EQ(Matches("^a|b$|\\Ac|d\\z", "cab\nab\nd"), (List{"c", "b", "a", "b", "d"}));
  EXPECT_EQ(Matches("a.", "a\nab"), (List{"ab"}));
}

TEST(Regex, TakesTimeThatGrowsWithTheTextWhateverThePattern) {
  const std::string a(200000, 'a');
  EXPECT_EQ(Matches("(a|aa)+$b", a), List{});
  EXPECT_EQ(Matches("(?:a*b|a*c|a++d)", a), List{});
  EXPECT_EQ(Matches("(?=.*c)a", a), List{});
  EXPECT_EQ(Matches("(?=a*\\z)a", a).size(), a.size());
  EXPECT_EQ(Matches("a.*b|a", a).size(), a.size());
  EXPECT_EQ(Matches("(?!(a+)+b)a", a).size(), a.size());
}

TEST(Regex, RefusesByNameWhatItDoesNotRead) {
  EXPECT_EQ(Error("a(?<=b)"), "(?<=, which is not read at byte 2");
  EXPECT_EQ(Error("(?>a)"), "(?>, which is not read at byte 1");
  EXPECT_EQ(Error("(?<n>a)"), "(?<n, which is not read at byte 1");
  EXPECT_EQ(Error("a\\b"), "\\b, which is not read at byte 2");
  EXPECT_EQ(Error("(a)\\1"), "\\1, which is not read at byte 4");
  EXPECT_EQ(Error("\\p{Greek}"), "\\p{Greek}, which is not read at byte 3");
  EXPECT_EQ(Error("[[:alpha:]]"), "a class by name, [:…:], which is not read at byte 1");
  EXPECT_EQ(Error("(?i:é)"), "a letter beyond ASCII without case at byte 6");
  EXPECT_EQ(Error("(?i:Ss)"), "letters without case that one character could stand for at byte 6");
  EXPECT_EQ(Error("(?i:first)"), "letters without case that one character could stand for at byte 6");
  EXPECT_EQ(Error("(ab)++"), "the possessive ++ of more than one character at byte 6");
  EXPECT_EQ(Error("a{2}+"), "a repetition of a repetition at byte 4");
  EXPECT_EQ(Error("a*"), "a match that may be empty");
  EXPECT_EQ(Error("(a*)+b"), "a repetition of what may be empty at byte 5");
  EXPECT_EQ(Error("a{1001}"), "a count over 1000 at byte 7");
  EXPECT_EQ(Error("(a{1000}){1000}"),
            "more than 2048 characters and choices once its counts are written out");
  EXPECT_EQ(Error(std::string(5000, 'a')), "5000 bytes when at most 4096 are read");
  EXPECT_EQ(Error(std::string(100, '(')), "more than 64 groups in each other at byte 65");
}

TEST(Regex, RefusesWhatIsNoRegex) {
  for (const char *bad :
       {"(",         ")",     "[",     "[]",      "[a",     "*",   "a|*", "\\",  "\\p{", "\\x{110000}",
        "\\x{d800}", "\\xff", "[b-a]", "[a-\\d]", "a{3,2}", "a**", "(?",  "(?:", "\xff", "\\u12"})
    EXPECT_FALSE(Regex::Compile(bad).ok()) << bad;
}

} // namespace
} // namespace weft
