"""Templates for tests of chat templates: one for each construct. Those of whole families: template_families.py."""
from template_families import FAMILIES  # noqa: F401

# Values for the constructs below, besides a conversation.
VALUES = {
    "text": "  Héllo wörld,\tÅngström straße ﬁne \n", "word": "hello", "empty": "", "zero": 0, "seven": 7, "minus": -7, "half": 0.5,
    "big": 12345678901234, "tiny": 1.5e-7, "huge": 1e22, "yes": True, "no": False, "nothing": None, "quoted": "it's \"so\" \\ \n",
    "list": [3, 1, 2], "words": ["b", "A", "c", "a"], "nested": [[1, [2]], {"k": [None, True, 1.0]}],
    "dict": {"b": 1, "a": {"x": "y"}, "é": "ü"}, "emoji": "a😀b", "control": "\u0001\u007f\u0085\u200b", "keys": {"items": 1, "get": 2},
    "people": [{"name": "Zoe", "age": 31, "at": {"x": 2}}, {"name": "adam", "age": 25, "at": {"x": 1}}, {"name": "Bob", "age": 31}],
    "lines": "one\n\n  two\r\nthree\n", "html": "<a href='x'>&</a>",
}

SNIPPETS = [line for line in r"""
{{ undefined_name }}|{{ undefined_name is defined }}|{{ undefined_name == other_undefined }}|{{ [undefined_name] }}
{{ undefined_name ~ 'x' }}{{ undefined_name | length }}{{ undefined_name or 'or' }}{{ undefined_name | default('d') }}
{{ undefined_name.attribute }}
{{ undefined_name[0] }}
{{ undefined_name + 1 }}
{{ undefined_name() }}
{{ undefined_name | tojson }}
{{ undefined_name < 1 }}
{{ none.attribute }}|{{ none['x'] }}|{{ dict.missing }}|{{ dict.missing is defined }}|{{ list[10] }}
{{ dict.missing.more }}
{% for x in undefined_name %}x{% else %}none{% endfor %}
{% for x in nothing %}x{% endfor %}
{{ text | trim }}|{{ text | upper }}|{{ text | lower }}|{{ text | title }}|{{ text | capitalize }}|{{ text | length }}
{{ text.strip() }}|{{ text.upper() }}|{{ text.lower() }}|{{ text.title() }}|{{ text.capitalize() }}|{{ "o'neil x2y".title() }}
{{ word.strip('ho') }}|{{ word.lstrip('he') }}|{{ word.rstrip('lo') }}|{{ word | trim('ho') }}|{{ '' .strip() }}
{{ 'a,b,,c'.split(',') }}|{{ ' a  b '.split() }}|{{ 'a,b,c'.split(',', 1) }}|{{ 'a b c'.rsplit(none, 1) }}|{{ 'a--b--c'.rsplit('--', 1) }}|{{ ''.split() }}|{{ ''.split(',') }}
{{ 'a b  c d'.split(' ', 2) }}|{{ 'a b  c d'.split(none, 2) }}|{{ ' a b '.rsplit(maxsplit=1) }}|{{ 'abc'.split(sep='b') }}
{{ 'abc'.split('') }}
{{ word.startswith('he') }}{{ word.endswith('lo') }}{{ word.startswith(('x', 'h')) }}{{ word.endswith('') }}{{ word.startswith('hello!') }}
{{ word.replace('l', 'L') }}|{{ word.replace('l', 'L', 1) }}|{{ word.replace('', '-') }}|{{ word.replace('', '-', 2) }}|{{ 'aaa'.replace('aa', 'b') }}
{{ word | replace('l', 1) }}|{{ seven | replace(7, 'x') }}|{{ word | replace('l', 'L', count=1) }}
{{ word.find('l') }}{{ word.rfind('l') }}{{ word.find('z') }}{{ word.count('l') }}{{ word.index('e') }}{{ emoji.find('b') }}{{ 'aaa'.count('') }}
{{ word.index('z') }}
{{ word.partition('l') }}|{{ word.rpartition('l') }}|{{ word.partition('z') }}|{{ word.rpartition('z') }}
{{ word.removeprefix('he') }}|{{ word.removesuffix('lo') }}|{{ word.removeprefix('x') }}|{{ word.removesuffix('') }}
{{ lines.splitlines() }}|{{ lines.splitlines(true) }}|{{ ''.splitlines() }}|{{ 'a\x0bb\x1cc\u2028d'.splitlines() }}
{{ 'AB'.isupper() }}{{ 'aB'.islower() }}{{ '12'.isdigit() }}{{ '²'.isdigit() }}{{ 'é'.isalpha() }}{{ 'a1'.isalnum() }}{{ ' \t'.isspace() }}{{ ''.isspace() }}{{ '1'.isupper() }}
{{ ', '.join(words) }}|{{ words | join }}|{{ words | join('-') }}|{{ list | join(', ') }}|{{ people | join(', ', attribute='name') }}
{{ ', '.join(list) }}
{{ emoji | length }}{{ emoji[1] }}{{ emoji[::-1] }}{{ emoji[-1] }}{{ emoji[1:] }}{{ emoji[5:] }}{{ emoji[9] }}
{{ list[::-1] }}{{ list[1:] }}{{ list[:-1] }}{{ list[::2] }}{{ list[-1:] }}{{ list[5:] }}{{ list[2:0:-1] }}{{ list[-9:9] }}{{ list[1] }}{{ list[-1] }}{{ list[true] }}
{{ (1, 2, 3)[1:] }}|{{ (1,) }}|{{ () }}|{{ [] }}|{{ {} }}|{{ (1) }}|{{ 1, 2 }}
{{ list[::0] }}
{{ dict[1:] }}
{{ nothing[1:] }}
{{ list['x'] }}|{{ word['upper']() }}|{{ word.foo }}|{{ dict['items']() | list }}|{{ dict.items() | list }}|{{ keys['items'] }}
{% for k, v in dict.items() %}{{ k }}={{ v }};{% endfor %}{% for k, v in dict|items %}{{ k }}={{ v }};{% endfor %}{% for k in dict %}{{ k }}{% endfor %}
{{ dict.keys() | list }}{{ dict.values() | list }}{{ dict.get('b') }}{{ dict.get('z') }}{{ dict.get('z', 3) }}{{ dict.keys() | length }}{{ 'b' in dict.keys() }}
{{ dict.update({'z': 1}) }}
{{ list.append(4) }}
{{ list.append }}|{{ word.__class__ }}|{{ dict.pop }}|{{ list.append is defined }}
{{ ''.__class__.__mro__ }}
{{ list.index(1) }}{{ list.count(3) }}{{ (1, 2).index(2) }}
{{ list.index(9) }}
{{ 1 + 2 * 3 - 4 / 2 }}|{{ 7 // 2 }}|{{ -7 // 2 }}|{{ 7 % 3 }}|{{ -7 % 3 }}|{{ 7 % -3 }}|{{ 7.5 // 2 }}|{{ -7.5 % 2 }}|{{ 2 ** 10 }}|{{ 2 ** -1 }}|{{ 2 ** 3 ** 2 }}
{{ -2 ** 2 }}|{{ - 3 | abs }}|{{ -word|length }}|{{ +5 }}|{{ -true }}|{{ true + true }}|{{ 3 * 'ab' }}|{{ 'ab' * -1 }}|{{ [1] * 2 }}|{{ (1,) * 2 }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 1.0 % 0 }}
{{ 'a' + 1 }}
{{ 'a' - 'b' }}
{{ [1] + (2,) }}
{{ [1] + [2] }}|{{ (1,) + (2,) }}|{{ 'a' ~ 1 ~ none ~ true ~ 1.0 ~ [1] }}|{{ 1 ~ 2 + 3 }}
{{ 0.1 + 0.2 }}|{{ 1e16 }}|{{ 1e15 }}|{{ 123456789.0 }}|{{ 1.0 }}|{{ 1e-5 }}|{{ 0.0001 }}|{{ 1.5e300 * 1e10 }}|{{ tiny }}|{{ huge }}|{{ big * 1.0 }}|{{ 1_000 }}|{{ 0x1F }}|{{ 0b11 }}|{{ 0o17 }}|{{ 1_0.5_0 }}|{{ 1E3 }}
{{ 1 < 2 < 3 }}{{ 1 < 3 < 2 }}{{ 1 == 1.0 }}{{ true == 1 }}{{ 'a' < 'b' }}{{ [1, 2] < [1, 3] }}{{ (1,) == [1] }}{{ none == none }}{{ none == false }}{{ 2 > 1 >= 1 }}{{ 1 != 2 }}{{ 'é' > 'z' }}
{{ 1 < 'a' }}
{{ none < 1 }}
{{ {'a': 1} == {'a': 1.0} }}{{ {1: 2}[1.0] }}{{ {true: 'x'}[1] }}{{ {'a': 1, 'a': 2} }}{{ {none: 1}[none] }}
{{ 'ell' in word }}{{ 'z' not in word }}{{ 1 in list }}{{ 'b' in dict }}{{ 9 in list }}{{ 'a' in ['b'] }}{{ '' in '' }}
{{ 1 in word }}
{{ 1 in 5 }}
{{ not true }}{{ not '' }}{{ not not 1 }}{{ 1 and 2 }}{{ 0 or 'x' }}{{ '' and 1 }}{{ none or 0 or [] }}{{ not 1 == 2 }}
{{ 'a' if yes else 'b' }}{{ 'a' if no else 'b' }}{{ 'a' if no }}{{ 'a' if no else 'b' if no else 'c' }}{{ ('x' if no) is defined }}
{{ yes }}{{ nothing }}{{ half }}{{ list }}{{ dict }}{{ nested }}{{ quoted }}{{ [quoted, control, emoji, "'", '"', text] }}
{{ nested | tojson }}|{{ dict | tojson }}|{{ text | tojson }}|{{ quoted | tojson }}|{{ control | tojson }}|{{ emoji | tojson }}|{{ html | tojson }}|{{ 1.0 | tojson }}|{{ nothing | tojson }}
{{ nested | tojson(indent=2) }}|{{ dict | tojson(indent=4) }}|{{ [] | tojson(indent=2) }}|{{ {} | tojson(indent=2) }}|{{ [[]] | tojson(indent=0) }}|{{ [1] | tojson(indent='--') }}
{{ dict | tojson(sort_keys=true) }}|{{ dict | tojson(ensure_ascii=true) }}|{{ emoji | tojson(true) }}|{{ dict | tojson(separators=(',', ':')) }}|{{ dict | tojson(indent=1, separators=(' ,', ' : ')) }}
{{ (1, (2,)) | tojson }}|{{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }}|{{ [1e22, 1e-7, -0.0, 100.0] | tojson }}
{{ range(3) | tojson }}
{{ range(3) | list }}{{ range(1, 3) | list }}{{ range(5, 0, -2) | list }}{{ range(0) | list }}{{ range(3)[1] }}{{ range(10)[2:4] | list }}{{ range(3) | length }}
{{ range(1, 2, 0) }}
{{ words | sort }}{{ words | sort(reverse=true) }}{{ words | sort(case_sensitive=true) }}{{ list | sort }}{{ people | sort(attribute='age') | map(attribute='name') | list }}{{ people | sort(attribute='age,name', reverse=true) | map(attribute='name') | list }}
{{ [1, 'a'] | sort }}
{{ words | unique | list }}{{ [1, 1.0, true, 2] | unique | list }}{{ words | unique(true) | list }}{{ people | unique(attribute='age') | map(attribute='name') | list }}
{{ list | min }}{{ list | max }}{{ words | min }}{{ words | max }}{{ [] | max }}{{ people | max(attribute='age') }}{{ list | sum }}{{ people | sum(attribute='age') }}{{ [0.5, 1] | sum }}{{ list | sum(start=10) }}
{{ list | first }}{{ list | last }}{{ [] | first }}{{ word | first }}{{ word | last }}{{ dict | first }}{{ dict | last }}{{ list | reverse | list }}{{ word | reverse }}{{ [] | last is defined }}
{{ list | list }}{{ word | list }}{{ dict | list }}{{ (1, 2) | list }}{{ list | count }}{{ dict | length }}
{{ 5 | length }}
{{ nothing | length }}
{{ nothing | list }}
{{ dict | dictsort }}{{ {'b': 1, 'A': 2} | dictsort }}{{ {'b': 1, 'A': 2} | dictsort(true) }}{{ {'b': 1, 'A': 2} | dictsort(by='value', reverse=true) }}
{{ words | map('upper') | list }}{{ words | map('replace', 'a', 'x') | join }}{{ people | map(attribute='at.x') | list }}{{ people | map(attribute='at.x', default='?') | list }}{{ people | map(attribute='zz') | list }}{{ nested | map(attribute=0) | list }}{{ [[1, 2], [3]] | map(attribute='0') | list }}{{ [[2, 1]] | map('sort') | list }}{{ none | map('upper') | list }}
{{ words | map('nosuch') | list }}
{{ list | select('odd') | list }}{{ list | reject('gt', 1) | list }}{{ [0, 1, ''] | select | list }}{{ [0, 1, ''] | reject | list }}{{ people | selectattr('age', 'equalto', 31) | map(attribute='name') | list }}{{ people | rejectattr('at') | map(attribute='name') | list }}{{ people | selectattr('at', 'defined') | list | length }}{{ people | selectattr('name', 'in', ['Bob', 'Zoe']) | list | length }}{{ list | select('>', 1) | list }}
{{ list | select('nosuch') | list }}
{{ people | selectattr | list }}
{{ word | default('d') }}{{ '' | default('d') }}{{ '' | default('d', true) }}{{ none | default('d') }}{{ none | default('d', boolean=true) }}{{ undefined_name | d }}{{ undefined_name | d('x') }}
{{ '42' | int }}{{ ' -7 ' | int }}{{ '4.9' | int }}{{ 'x' | int }}{{ 'x' | int(5) }}{{ '0x1f' | int(base=16) }}{{ 'ff' | int(0, 16) }}{{ 3.99 | int }}{{ -3.99 | int }}{{ true | int }}{{ none | int }}{{ '1_000' | int }}{{ '1e3' | int }}{{ [] | int }}
{{ undefined_name | int }}
{{ '1.5' | float }}{{ 'x' | float }}{{ 'x' | float(2.5) }}{{ 3 | float }}{{ true | float }}{{ ' 1e3 ' | float }}{{ '1_0.5' | float }}{{ none | float }}{{ '.5' | float }}{{ '5.' | float }}
{{ 2.5 | round }}{{ 3.5 | round }}{{ 2.567 | round(2) }}{{ 2.5 | round(method='ceil') }}{{ 2.51 | round(1, 'floor') }}{{ 5 | round }}{{ -2.5 | round }}{{ 1.005 | round(2) }}{{ 7 | round(1, 'ceil') }}
{{ -5 | abs }}{{ -1.5 | abs }}{{ seven | string }}{{ none | string }}{{ 1.0 | string ~ 'x' }}{{ [1, 'a'] | string }}
{{ 'a' | abs }}
{{ lines | indent }}|{{ lines | indent(2) }}|{{ lines | indent(2, true) }}|{{ lines | indent(2, blank=true) }}|{{ lines | indent('> ', first=true) }}|{{ '' | indent }}|{{ 'x\n' | indent }}
{{ html | safe }}|{{ html | safe ~ html }}|{{ (html | safe) | tojson }}|{{ html | safe | length }}|{{ html | safe | string }}
{{ 'hello-world (foo) [bar] <baz> it\'s'|title }}|{{ 'éa éb'|title }}|{{ "ǆ straße ŉ"|title }}|{{ 'ß'|upper }}|{{ 'ΑΣ ΑΣΑ'|lower }}|{{ 'İ'|lower }}|{{ 'ǆ'|capitalize }}
{{ 3 is odd }}{{ 3 is even }}{{ 6 is divisibleby 3 }}{{ 6 is divisibleby(4) }}{{ none is none }}{{ 1 is number }}{{ true is number }}{{ true is integer }}{{ 1.0 is float }}{{ 1 is integer }}{{ 'a' is string }}{{ dict is mapping }}{{ list is sequence }}{{ dict is sequence }}{{ word is sequence }}{{ 1 is sequence }}{{ word is iterable }}{{ 1 is iterable }}{{ none is iterable }}
{{ true is boolean }}{{ 1 is boolean }}{{ true is true }}{{ 1 is true }}{{ false is false }}{{ 0 is false }}{{ 'ab' is lower }}{{ 'AB' is upper }}{{ 1 is eq 1 }}{{ 1 is equalto(1) }}{{ 1 is ne 2 }}{{ 1 is lt 2 }}{{ 1 is ge 2 }}{{ 1 is in [1, 2] }}{{ 1 is not in [2] }}{{ 'x' is not defined }}{{ none is sameas none }}{{ 1 is sameas true }}{{ range is callable }}{{ 1 is callable }}
{{ undefined_name is iterable }}{{ undefined_name is sequence }}{{ undefined_name is mapping }}{{ undefined_name is none }}{{ undefined_name is string }}{{ undefined_name is callable }}{{ (words | map('upper')) is iterable }}{{ (words | map('upper')) is sequence }}{{ dict.items() is iterable }}{{ dict.items() is sequence }}
{{ 1 is defined and 2 }}{{ x is defined or 'y' }}{{ (x is defined) == false }}{{ not x is defined }}{{ x is not defined and yes }}{{ 'a' if x is defined else 'b' }}
{{ word is defined is string }}
{% if x is defined %}1{% elif word %}2{% else %}3{% endif %}{% if no %}1{% elif nothing %}2{% else %}3{% endif %}{% if no %}1{% endif %}
{% for x in list %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}
{% for x in list %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}{% for x in list %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}
{% for x in list if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }}{% if not loop.last %},{% endif %}{% else %}none{% endfor %}
{% for x in list if x > 9 %}{{ x }}{% else %}none{% endfor %}{% for x in [] %}{% else %}empty{% endfor %}
{% set ns = namespace(go=true) %}{% for x in [1, 2, 3] if ns.go %}{{ x }}{% if x == 2 %}{% set ns.go = false %}{% endif %}{% endfor %}
{% set ns = namespace(go=true) %}{% for x in [1, 2, 3] if ns.go %}{{ x }}{{ loop.last }}{% set ns.go = false %}{% endfor %}
{% set ns = namespace(go=true) %}{% for x in [1, 2, 3, 4] if ns.go or x == 4 %}{{ x }}{{ loop.nextitem }}{{ loop.length }}{{ loop.revindex }}{% set ns.go = false %}{% endfor %}
{% for x in [1, 2, 3, 4] if x % 2 == 0 %}{{ loop.previtem }}{{ x }}{{ loop.nextitem }}{{ loop.index }}{{ loop.revindex0 }}{% endfor %}
{% for x in list %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }}{% endfor %}{% for x in [1, 1, 2] %}{% if loop.changed(x) %}{{ x }}{% endif %}{% endfor %}
{% for x in list %}{% for y in 'ab' %}{{ x }}{{ y }}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}
{% for x in list %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}|{% for x in list %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}|{% for x in list %}{% for y in list %}{% break %}{% endfor %}{{ x }}{% endfor %}
{% for x in list %}{% else %}{% endfor %}{% for a, b in [(1, 2), (3, 4)] %}{{ a }}{{ b }}{% endfor %}{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}{% for c in word %}{{ c }}.{% endfor %}
{% for a, b in [1, 2] %}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{% endfor %}
{% for x in 5 %}{% endfor %}
{% set x = 1 %}{% for i in list %}{% set x = x + i %}{{ x }},{% endfor %}{{ x }}
{% set x = 1 %}{% if yes %}{% set x = 2 %}{% endif %}{{ x }}{% for i in [1] %}{% set y = 5 %}{% endfor %}{{ y }}{% for list in list %}{{ list }}{% endfor %}{{ list }}
{% for i in [1, 2] %}{{ z }}{% set z = i %}{{ z }}{% endfor %}{{ z }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d) = [3, 4] %}{{ c }}{{ d }}{% set t = 1, 2 %}{{ t }}
{% set a, b = 1 %}
{% set ns = namespace() %}{{ ns.x }}{% set ns.x = 1 %}{{ ns.x }}{{ ns['x'] }}{% for i in list %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}{{ ns.y is defined }}
{% set ns = namespace(a=1, b='x') %}{{ ns.a }}{{ ns.b }}{% set ns.a, ns.b = 5, 6 %}{{ ns.a + ns.b }}{% set ns2 = namespace({'q': 1}, r=2) %}{{ ns2.q }}{{ ns2.r }}
{% set dict.x = 1 %}
{% set undefined_name.x = 1 %}
{% set ns = namespace(_x=1) %}
{% set x %}a{{ seven }}b{% endset %}[{{ x }}]{{ x | length }}{% set y | upper | replace('B', '-') %}abc{% endset %}{{ y }}
{% set x %}{% set inner = 1 %}{{ inner }}{% endset %}{{ x }}{{ inner }}
{% set word %}{{ word }}{{ word is defined }}{% endset %}[{{ word }}]{{ word }}{% set seven %}{{ word }}{% set word %}x{{ word }}{% endset %}{{ word }}{% endset %}{{ seven }}{{ word }}
{% set word %}{{ word.x }}{% endset %}
{{ word }}{% set word %}{{ word }}!{% endset %}{{ word }}{% if yes %}{% set text %}{{ text | trim }}{% endset %}{{ text }}{% endif %}{% if no %}{{ seven }}{% endif %}{% set seven %}{{ seven }}{% endset %}{{ seven }}
{% for word in words %}{% set word %}{{ word }}{{ loop.index }}{% endset %}{{ word }}{% set seven %}{{ seven }}{% endset %}{{ seven }}{% else %}{% endfor %}{% set word %}{{ word }}{% endset %}[{{ word }}]
{% with word = word, zero = word %}{% set word %}{{ word }}{{ zero }}{% endset %}{{ word }}{% set zero %}{{ zero }}{% endset %}{{ zero }}{% endwith %}{% set zero %}{{ zero }}{% endset %}[{{ zero }}]
{% macro m(word, seven=1) %}{% set word %}{{ word }}.{% endset %}{{ word }}{% set m %}{{ seven }}{% endset %}{{ m }}{% set text %}{{ text }}{% endset %}[{{ text }}]{% endmacro %}{{ m('a') }}{% set m %}{{ m('b') }}{% endset %}{{ m }}
{% set word, zero = 'a', 'b' %}{% set word %}{{ word }}{{ zero }}{% endset %}{{ word }}{% filter upper %}{% set text %}{{ text }}{% endset %}[{{ text }}]{% endfilter %}{{ text | trim }}
{{ missing[] }}|{{ dict[] }}|{{ dict[] is defined }}|{{ word ~ not [] }}|{{ list[] | default('d') }}
{{ none[] }}
{% filter upper | replace('A', 'x') %}abc {{ word }}{% endfilter %}
{% with a = 1, b = word %}{{ a }}{{ b }}{% set a = 2 %}{{ a }}{% endwith %}{{ a }}{% with %}{% set q = 1 %}{% endwith %}{{ q }}
{% set a = 'outer' %}{% with a = 'inner', b = a %}{{ a }}{{ b }}{% endwith %}
{% macro m(a, b='d', c=a) %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(1, c=3) }}{{ m(b=4, a=5) }}{{ m() }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=1) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=1) }}
{% macro m() %}{{ x }}{{ word }}{% endmacro %}{% set x = 'later' %}{{ m() }}{% for word in [1] %}{{ m() }}{% endfor %}
{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}{{ f(1) | length }}{{ f(2) ~ 'x' }}
{% macro m() %}  spaced  {% endmacro %}[{{ m() }}][{{ m() | trim }}][{{ m().strip() }}]{% set f = m %}{{ f() }}{{ m is defined }}{{ m is callable }}
{% macro outer(x) %}{% for i in [1, 2] %}{{ inner(i) }}{{ loop.index }}{% endfor %}{% endmacro %}{% macro inner(y) %}<{{ y }}{{ x }}>{% endmacro %}{{ outer(9) }}
{% macro m(x) %}{% set x = x + 1 %}{{ x }}{% endmacro %}{% set x = 1 %}{{ m(5) }}{{ x }}
{% generation %}said {% set g = 1 %}{{ g }}{% endgeneration %}{{ g }}{% for x in list %}{% generation %}{{ x }}{{ loop.index }}{% endgeneration %}{% endfor %}
{{ raise_exception('no') }}
{% if yes %}{{ raise_exception('no') }}{% endif %}
{{ strftime_now('%d %b %Y') }}|{{ strftime_now('%Y-%m-%d %H:%M:%S %j %A %B %p %y %%') }}|{{ strftime_now('') }}|{{ strftime_now is defined }}
{{ dict(a=1) }}
{{ namespace is defined }}{{ range is defined }}{{ raise_exception is defined }}
{% raw %}{{ not }} {% evaluated %}{% endraw %}|{%- raw -%}  x  {%- endraw -%}  |
{# comment #}a{#- strip -#} b {#+ keep +#} c
a {{- 'b' -}} c {{ 'd' }} e {%- if yes -%} f {%- endif -%} g
  {% if yes %}  x  {% endif %}  y
{{ "a" "b" 'c' }}|{{ 'tab\tnew\nline\\ \' \" \x41 \u00e9 \101 \q' }}|{{ "it's" }}|{{ '"' }}|{{ '\U0001F600' }}
{{ '\x4' }}
{{ {'a': {'b': {'c': 1}}}.a.b.c }}{{ [[1, 2], [3]][0][1] }}{{ {'a': [1, {'b': 2}]}['a'][1].b }}{{ nested.1.k.2 }}{{ nested[0].0 }}
{{ [1, 2,] }}{{ {'a': 1,} }}{{ (1, 2,) }}{{ dict(a=1,) if false else 'x' }}
{{ [1, , 2] }}
{{ 1 2 }}
{{ }}
{% set %}
{% set 1 = 2 %}
{% for %}{% endfor %}
{% if %}{% endif %}
{% break %}
{% macro m(a=1, b) %}{% endmacro %}
{% for x in list %}{% set loop = 1 %}{% endfor %}
{% unknown %}
{{ word | nosuchfilter }}
{{ word is nosuchtest }}
{{ word.upper }
{% if yes %}
{{ (1 }}
{{ none() }}
{{ 5() }}
{{ 'a'.upper(1) }}
{{ 'a' | upper(1) }}
{{ list | join(', ', 'x', 3) }}
{{ true and 'a' in 'abc' and not 'z' in 'abc' }}{{ 1 if 2 > 1 and 3 > 2 else 0 }}{{ 1 + 1 == 2 and 'x' or 'y' }}{{ not 1 in [2] }}{{ 'a' ~ 'b' == 'ab' }}{{ 1 + 2 ~ 3 }}{{ 2 * 3 ~ 4 }}
{{ true }}{{ True }}{{ none }}{{ None }}{{ false }}{{ False }}{{ [true, none] }}
{{ [1, 2, 3] | length > 2 and word | length == 5 }}{{ messages | length - 1 }}{{ (messages | length) % 2 }}
""".strip("\n").split("\n") if line]

# More than a line, for what trim_blocks and lstrip_blocks do.
BLOCKS = [
    "{% for x in list %}\n  {{ x }}\n{% endfor %}\n",
    "a\n  {% if yes %}\n    b\n  {% endif %}\nc\n",
    "a\n  {%+ if yes %}\n    b\n  {%+ endif +%}\nc",
    "a\n  {%- if yes -%}\n    b\n  {%- endif -%}\nc\n\n",
    "  {# note #}\n  x {# note #}\n\n{#- a -#}\n y",
    "a {% if yes %}\n\n b{% endif %}   \n   {% set x = 1 %}   \n   z",
    "{{ word }}\n{{ word }}\n\n",
    "{{- word }}  \n  {{ word -}}  \n  x",
    "{% raw %}\n  {{ x }}\n{% endraw %}\n  {% raw %} a {% endraw %} b",
    "a\r\n{% if yes %}\r\nb\r{% endif %}\r\nc\r\n",
    "\t{% if yes %}\t\n\tx\u00a0{%- endif %}\n\u00a0\u2003{% if yes %}y{% endif %}",
    "x\n   \n   {% if yes %}z{% endif %}",
    "{% set x %}\n  text\n{% endset %}[{{ x }}]",
    "{% macro m() %}\n  body\n{% endmacro %}\n[{{ m() }}]",
    "{% if yes %}{% if no %}\n{% else %}\n  e\n{% endif %}{% endif %}",
    "{#-#}x{##}y{# a\nb #}z",
    "{{ {'a': {'b': 1}} }}{{ '}}' }}{% if '%}' %}x{% endif %}",
    "{ {% if yes %}{{ '{' }}{% endif %} } {",
    "", "\n", "\n\n", "plain", "{", "a{",
]
