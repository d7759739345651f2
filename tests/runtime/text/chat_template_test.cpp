#include "runtime/text/chat_template.h"

#include "tests/runtime/data/temp_folder.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

using Json = nlohmann::ordered_json;

std::tm At(std::time_t seconds) {
  std::tm now{};
  gmtime_r(&seconds, &now);
  return now;
}

std::string Error(const std::string &source, const Json &variables = Json::object()) {
  auto parsed = ChatTemplate::Parse(source, "chat_template");
  if (!parsed.ok()) return std::string(parsed.status().message());
  return std::string(parsed->Render(variables, At(0)).status().message());
}

// What transformers rendered: tests/runtime/text/make_goldens.py.
TEST(ChatTemplate, RendersWhatTransformersRenders) {
  const Json goldens = Json::parse(Slurp("tests/runtime/text/goldens/rendered.json"));
  ASSERT_GT(goldens["cases"].size(), 200u);
  for (const Json &golden : goldens["cases"]) {
    auto parsed = ChatTemplate::Parse(golden["template"].get<std::string>(), "t");
    auto text = parsed.ok() ? parsed->Render(golden["variables"], At(goldens["now"])) : parsed.status();
    if (golden.contains("text")) {
      ASSERT_TRUE(text.ok()) << golden["template"] << "\n" << text.status();
      EXPECT_EQ(*text, golden["text"].get<std::string>()) << golden["template"];
    } else {
      EXPECT_FALSE(text.ok()) << golden["template"] << "\nraises in jinja2: " << golden["error"] << "\ngives "
                              << *text;
    }
  }
}

TEST(ChatTemplate, WhatIsNotReadIsRefusedByNameAndLine) {
  EXPECT_EQ(Error("\n{{ x | urlize }}"), "chat_template:2: the filter urlize is not read");
  EXPECT_EQ(Error("{{ x is divisble }}"), "chat_template:1: the test divisble is not read");
  EXPECT_EQ(Error("a\nb\n  {% include 'x' %}"), "chat_template:3: the tag {% include %} is not read");
  EXPECT_EQ(Error("{% for x in [] recursive %}{% endfor %}"),
            "chat_template:1: recursive loops are not read");
  EXPECT_EQ(Error("{{ f(*x) }}"), "chat_template:1: arguments with * are not read");
  EXPECT_EQ(Error("{{ 'a'.zfill(3) }}"), "chat_template:1: zfill of a value of type 'str' is not read");
  EXPECT_EQ(Error("{{ '%s' % 1 }}"), "chat_template:1: % on a text is not read\nhint: ~ joins texts");
  EXPECT_EQ(Error("{% if x %}\n\n"), "chat_template:2: the template ends where {% endif %} is missing");
  EXPECT_EQ(Error("{% endif %}"), "chat_template:1: {% endif %} closes nothing that is open here");
  EXPECT_EQ(Error("{{ 'abc }}"), "chat_template:1: a string has no end '");
  EXPECT_EQ(Error("{{ (1] }}"), "chat_template:1: unexpected ], expected )");
  EXPECT_EQ(Error("{{ a $ b }}"), "chat_template:1: unexpected character '$'");
  EXPECT_EQ(Error("{# a"), "chat_template:1: a comment {# has no end #}");
  // Cut off anywhere, a template is an error and nothing worse.
  const std::string whole = "{{- 0x1F_0 + 1.5e-3 ~ 'a\\x41' }}{#- c -#}{% raw -%} r {%- endraw %}{% if "
                            "a[1:2] is in [1] %}b{% endif %}";
  for (size_t n = 0; n < whole.size(); ++n) Error(whole.substr(0, n));
  for (const char *target : {"(a.b.c)", "('x'.y)", "f(x).y", "(a(b).c)", "a.b.c", "[a]", "none"})
    EXPECT_NE(Error(std::string("{% set ") + target + " = 1 %}"), "") << target;
  EXPECT_EQ(Error("{{ 0"), "chat_template:1: a tag has no end }}");
  EXPECT_EQ(Error("\xff"), "chat_template is not valid UTF-8");
}

TEST(ChatTemplate, ErrorsOfARenderNameTheLine) {
  EXPECT_EQ(Error("\n\n{{ messages[0].role }}"), "chat_template:3: 'messages' is undefined");
  EXPECT_EQ(Error("{{ m.a.b }}", {{"m", Json::object()}}),
            "chat_template:1: a value of type 'dict' has no a");
  EXPECT_EQ(Error("{{ raise_exception('roles must alternate') }}"),
            "chat_template:1: the template refuses this: roles must alternate");
  EXPECT_EQ(Error("{{ 'a' + 1 }}"), "chat_template:1: + does not take values of type 'str' and 'int'");
  EXPECT_EQ(Error("{{ m.update({}) }}", {{"m", Json::object()}}),
            "chat_template:1: a template may not use update of a value of type 'dict'");
  EXPECT_EQ(Error("{{ 'abc'[::9223372036854775807] ~ 'abc'[1::9223372036854775807] ~ [1, "
                  "2][1::9223372036854775807] }}"),
            "");
  EXPECT_EQ(Error("{{ 1 // 0 }}"), "chat_template:1: division by zero");
}

TEST(ChatTemplate, TheDateIsTheOneThatIsGiven) {
  auto parsed = ChatTemplate::Parse("{{ strftime_now('%d %b %Y') }}", "t");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(*parsed->Render(Json::object(), At(1732620000)), "26 Nov 2024");
}

} // namespace
} // namespace weft
