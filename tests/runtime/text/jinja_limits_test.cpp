// Templates that would run for ever, or fill the memory or the stack, end with an error that names the limit.
#include "runtime/text/chat_template.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

absl::StatusOr<std::string> Render(const std::string &source, const jinja::Limits &limits = {}) {
  auto parsed = ChatTemplate::Parse(source, "t", limits);
  if (!parsed.ok()) return parsed.status();
  return parsed->Render(nlohmann::ordered_json::object(), std::tm{});
}

std::string Error(const std::string &source, const jinja::Limits &limits = {}) {
  return std::string(Render(source, limits).status().message());
}

std::string Repeated(const std::string &piece, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += piece;
  return out;
}

TEST(JinjaLimits, StepsOfLoopsAreCounted) {
  std::string loops = Repeated("{% for a in range(1000) %}", 4) + "x" + Repeated("{% endfor %}", 4);
  auto result = Render(loops);
  EXPECT_EQ(result.status().message(), "t:1: it takes more than 10000000 steps");
  EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(JinjaLimits, MacrosThatCallThemselvesEnd) {
  EXPECT_EQ(Error("{% macro m(x) %}{{ m(x) }}{% endmacro %}\n{{ m(1) }}"),
            "t:1: it nests deeper than 500 levels");
}

TEST(JinjaLimits, TextsAreBounded) {
  EXPECT_EQ(Error("{{ 'ab' * 4000000000000000000 }}"),
            "t:1: a text of 8000000000000000000 bytes is made when 16777216 is the most");
  EXPECT_EQ(Error("{{ 'ab' * 9000000000000000000 * 9000000000000000000 }}").substr(0, 14), "t:1: a text of");
  EXPECT_NE(
      Error("{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% "
            "endfor %}")
          .find("bytes is made when 16777216 is the most"),
      std::string::npos);
  EXPECT_NE(Error("{{ 'aaaaaaaaaa' * 1000000 | replace('a', 'b' * 100) }}"), "");
  EXPECT_NE(Error("{% set x = 'a' * 100000 %}{{ x | replace('a', x) }}").find("bytes is made"),
            std::string::npos);
  EXPECT_NE(Error("{% set x = 'a' * 100000 %}{{ x | list | join(x) }}").find("is the most"),
            std::string::npos);
  EXPECT_NE(Error("{% set x = 'a\n' * 100000 %}{{ x | indent(100000) }}").find("is the most"),
            std::string::npos);
  EXPECT_NE(Error("{% for i in range(100) %}{{ 'a' * 1000000 }}{% endfor %}").find("bytes is made"),
            std::string::npos);
}

TEST(JinjaLimits, ListsInListsAreBounded) {
  EXPECT_EQ(
      Error("{% set ns = namespace(x=[]) %}{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}"),
      "t:1: lists nest deeper than 100 levels");
  // Printed or compared, each level is as long as two of the one below.
  std::string doubled =
      "{% set ns = namespace(x=[]) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}";
  EXPECT_NE(Error(doubled + "{{ ns.x | tojson }}").find("bytes is made"), std::string::npos);
  for (const char *use :
       {"{{ ns.x }}", "{% set a = ns.x == [ns.x[0], ns.x[1]] %}", "{% set a = ns.x < ns.x %}"})
    EXPECT_NE(Error(doubled + use).find("steps"), std::string::npos) << use;
}

TEST(JinjaLimits, NamespacesThatHoldEachOtherAreLetGo) { // a leak would be seen by ASan
  EXPECT_EQ(
      *Render("{% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = [b] %}{% set a.a = a %}"
              "{% for i in [1] %}{% set a.l = loop %}{{ loop.changed(loop) }}{% endfor %}"),
      "True");
}

// Destroying them recurses, too.
TEST(JinjaLimits, ChainsThatAreNoListsInListsAreBounded) {
  const std::string begin = "{% set ns = namespace(x=[]) %}{% for i in range(90000) %}", end = "{% endfor %}";
  EXPECT_EQ(Error(begin + "{% set ns.x = [ns.x.index] %}" + end), "t:1: lists nest deeper than 100 levels");
  EXPECT_TRUE(Render(begin + "{% for a in [ns.x] %}{% set ns.x = loop %}{% endfor %}" + end).ok());
  EXPECT_EQ(
      Error("{% set ns = namespace() %}{% for a in [1] %}{% set ns.l = loop %}{% endfor %}{{ ns.l.last }}"),
      "t:1: a loop is asked after its end");
}

TEST(JinjaLimits, TheSourceIsBounded) {
  EXPECT_EQ(Error(Repeated(" ", (1 << 20) + 1)), "t has 1048577 bytes when 1048576 is the most");
  for (const std::string &source :
       {"{{ " + Repeated("(", 100000) + Repeated(")", 100000) + "}}",
        "{{ " + Repeated("[", 100000) + Repeated("]", 100000) + "}}",
        "{{ " + Repeated("not ", 100000) + "x }}", "{{ " + Repeated("-", 100000) + "1 }}",
        "{{ x" + Repeated(".a", 100000) + " }}", "{{ 1" + Repeated(" + 1", 100000) + " }}",
        "{{ x" + Repeated("|trim", 100000) + " }}", "{{ x" + Repeated("[0]", 100000) + " }}",
        Repeated("{% if 1 %}", 50000), "{{ 1" + Repeated(" if 1 else 1", 50000) + " }}",
        "{{ 1" + Repeated(" or 1", 100000) + " }}",
        "{{ " + Repeated("{1:", 100000) + Repeated("}", 100000) + "}}"}) {
    const std::string error = Error(source);
    EXPECT_NE(error.find("nests deeper than 100 levels"), std::string::npos)
        << source.substr(0, 40) << ": " << error;
  }
  // Wide is not deep.
  EXPECT_TRUE(Render("{{ 1" + Repeated(" ~ 1", 100000) + " }}").ok());
  EXPECT_TRUE(Render("{% if 0 %}" + Repeated("{% elif 0 %}", 20000) + "{% endif %}").ok());
}

TEST(JinjaLimits, RangesAreBounded) {
  EXPECT_EQ(Error("{{ range(100001) | length }}"), "t:1: a range has 100001 numbers when 100000 is the most");
  EXPECT_EQ(Error("{{ range(-9000000000000000000, 9000000000000000000) | length }}"),
            "t:1: a range has 18000000000000000000 numbers when 100000 is the most");
  EXPECT_EQ(*Render("{{ range(100000) | length }}"), "100000");
}

TEST(JinjaLimits, NumbersBeyond64BitsAreErrors) {
  EXPECT_EQ(Error("{{ 9223372036854775808 }}"), "t:1: the number 9223372036854775808 is beyond 64 bits");
  EXPECT_EQ(Error("{{ 9223372036854775807 + 1 }}"), "t:1: the result of + is beyond 64 bits");
  EXPECT_EQ(Error("{{ 10 ** 30 }}"), "t:1: the result of ** is beyond 64 bits");
  EXPECT_EQ(Error("{{ (0 - 9223372036854775807 - 1) // (0 - 1) }}"),
            "t:1: the result of // is beyond 64 bits");
  EXPECT_EQ(*Render("{{ (0 - 9223372036854775807 - 1) % (0 - 1) }}"), "0");
}

} // namespace
} // namespace weft
