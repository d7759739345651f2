// Chat templates: a template, a zero byte, and what it is given as JSON; or a tokenizer_config.json. Whatever
// they hold, rendering ends within its limits, gives valid UTF-8, and gives it again.
#include "runtime/data/bpe_train.h"
#include "runtime/data/json_depth.h"
#include "runtime/data/unicode.h"
#include "runtime/text/chat_format.h"
#include "tests/fuzz/fuzz_target.h"

namespace weft::fuzz {
namespace {

const char kMessages[] =
    R"({"messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "h\u00e9llo <think>"},
{"role": "assistant", "content": "x</think>\n\ny", "tool_calls": [{"function": {"name": "f", "arguments": {"a": [1, 2.5, null, true]}}}]},
{"role": "tool", "content": {"t": "A"}}], "tools": null, "add_generation_prompt": true, "bos_token": "<s>", "n": 3})";

const char *const kTemplates[] = {
    R"({{- bos_token }}{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0].content|trim %}{%- set messages = messages[1:] %}{%- endif %}
{%- set ns = namespace(last=messages|length - 1, found=false) %}
{%- for m in messages[::-1] %}{%- set index = (messages|length - 1) - loop.index0 %}
  {%- if not ns.found and m.role == "user" and m.content is string and not(m.content.startswith('<r>') and m.content.endswith('</r>')) %}{%- set ns.found = true %}{%- set ns.last = index %}{%- endif %}
{%- endfor %}
{% for m in messages if m.role != 'tool' %}{{ '<|' ~ m.role ~ '|>' }}{{ m.content.split('</think>')[-1].lstrip('\n') if m.content is string else m.content | tojson(indent=2) }}
  {%- for c in m.tool_calls | default([]) %}{% for k, v in c.function.arguments | items %}{{ k }}={{ v | tojson }}{{ ", " if not loop.last }}{% endfor %}{% endfor %}
  {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}{{ loop.nextitem.role }}{% else %}{% continue %}{% endif %}
{% else %}none{% endfor %}{# end #}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %})",
    R"({% macro show(x, depth=0) -%}{%- if x is mapping %}{% for k, v in x.items() %}{{ "  " * depth + k }}: {{ show(v, depth=depth + 1) }}{% endfor %}
{%- elif x is iterable and x is not string %}{% for v in x %}{{ show(v, depth + 1) }}{% if loop.length > 5 %}{% break %}{% endif %}{% endfor %}{% else %}{{ x | string | upper | replace('A', 'b') }}{% endif %}
{%- endmacro %}{{ show(messages) }}{% set t %}{{ n // 2 * 3 % 4 ** 2 }}{% endset %}{% generation %}{{ t | int + 1 }}{% endgeneration %}
{% with a = range(n) | list %}{{ a | map('string') | join('-') }}{{ a | select('odd') | list | sum }}{{ a[1:] == [1, 2] }}{{ 1 < 2 <= n }}{% endwith %}
{% filter title %}{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | first }}{% endfilter %}{{ strftime_now('%d %b %Y') }}{% raw %}{{ x }}{% endraw %}
{{ {'a': [1, (2,)], "b": none} }}{{ messages | rejectattr('tool_calls') | list | length }}{{ "it's".rsplit("'", 1) | last | trim }}{{ n is odd }}{{ raise_exception('no') if n > 5 else '' }})"};

} // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const char *source : kTemplates) seeds.push_back(std::string(source) + '\0' + kMessages);
  seeds.push_back(
      R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>", "pad_token": null, "chat_template": [{"name": "default", "template": "{% for m in messages %}{{ bos_token + m.content }}{% endfor %}"}, {"name": "tool_use", "template": "x"}]})");
  return seeds;
}

std::vector<std::string> Words() {
  return {"{{ ",
          " }}",
          "{%- ",
          " -%}",
          "{% for x in ",
          "{% endfor %}",
          "{% if ",
          "{% else %}",
          "{% endif %}",
          "{% set ns.x = ",
          "{% set x %}",
          "{% endset %}",
          "namespace(x=",
          "{% macro m(a) %}",
          "{% endmacro %}",
          "m(",
          "loop.last",
          "loop.length",
          "loop.nextitem",
          "loop.changed(",
          "[::-1]",
          "[1:",
          " is defined",
          " is not ",
          " in ",
          " not ",
          " if ",
          " else ",
          " and ",
          " ~ ",
          " ** ",
          " // ",
          " % ",
          "9223372036854775807",
          "-1",
          "1e308",
          "range(",
          " * 1000000",
          "| join(",
          "| list",
          "| map('",
          "| tojson",
          "| sort",
          "| replace('a', ",
          "| indent(",
          ".split(",
          ".items()",
          "messages",
          "ns.x",
          "'",
          "\"",
          "\\u0041",
          "\\x4",
          "(",
          ")",
          "[",
          "]",
          "{",
          "}",
          "\"chat_template\": ",
          "\xc3\xa9",
          "\xf0\x9f\x98\x80",
          "{% break %}",
          "| string",
          "| safe"};
}

} // namespace weft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace weft;
  const std::string_view input(reinterpret_cast<const char *>(data), size);
  static const std::string_view corpus = "the cat sat";
  static const Tokenizer tokenizer = *TrainBpe(absl::MakeConstSpan(&corpus, 1), 258);
  if (input.substr(0, 2) == "{\"") {
    auto format = ChatFormat::FromText(input, "config", "", "");
    fuzz::Outcome(std::string(format.status().message()));
    if (!format.ok()) return 0;
    auto ids = format->Prompt({{"user", std::string(input.substr(0, 200))}}, tokenizer, std::tm{});
    fuzz::Outcome(std::string(ids.status().message()));
    return 0;
  }
  const size_t zero = input.find('\0');
  jinja::Limits limits;
  limits.steps = 1'000'000;
  auto parsed = ChatTemplate::Parse(input.substr(0, zero), "t", limits);
  fuzz::Outcome(std::string(parsed.status().message()));
  if (!parsed.ok()) return 0;
  const std::string_view given = zero == input.npos ? std::string_view() : input.substr(zero + 1);
  if (JsonNestsDeeper(given)) return 0;
  auto variables = nlohmann::ordered_json::parse(given, nullptr, false);
  if (!variables.is_object()) variables = nlohmann::ordered_json::parse(fuzz::kMessages);
  auto text = parsed->Render(variables, std::tm{}), again = parsed->Render(variables, std::tm{});
  fuzz::Outcome(text.ok() ? "rendered" : std::string(text.status().message()));
  fuzz::Require(text.ok() == again.ok() && (!text.ok() || *text == *again),
                "a template renders the same twice");
  if (text.ok()) fuzz::Require(IsValidUtf8(*text), "what is rendered is valid UTF-8");
  return 0;
}
