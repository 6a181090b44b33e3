"""The templates of make_jinja_cases.py: (group, variables, templates)."""

PEOPLE = [
    {"name": "Bo", "age": 30, "city": "Oslo", "tags": ["x", "y"]},
    {"name": "ann", "age": 25, "city": "Rome", "tags": []},
    {"name": "Cy", "age": 30, "city": "oslo", "tags": ["z"]},
]
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "Weather — \"now\" <b>",
                                      "parameters": {"type": "object", "properties": {
                                          "city": {"type": "string", "enum": ["a", "ü"]},
                                          "days": {"type": "integer", "default": 1}},
                                          "required": ["city"]}}},
    {"type": "function", "function": {"name": "calc", "description": None, "parameters": {}}},
]
MESSAGES = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "Hi  "},
    {"role": "assistant", "content": "<think>\nhm\n</think>\n\n Hello!", "reasoning_content": "hm"},
    {"role": "user", "content": [{"type": "text", "text": "What is "}, {"type": "image"},
                                 {"type": "text", "text": "this?"}]},
    {"role": "assistant", "content": "", "tool_calls": [
        {"id": "abcdefghi", "type": "function",
         "function": {"name": "get_weather", "arguments": {"city": "Köln", "days": 2, "f": 1.5,
                                                           "b": True, "n": None,
                                                           "l": [1, "a"], "d": {"k": "v"}}}}]},
    {"role": "tool", "name": "get_weather", "content": "{\"t\": 3}", "tool_call_id": "abcdefghi"},
    {"role": "user", "content": "Thanks"},
]

GROUPS = []


def group(name, templates, **variables):
    GROUPS.append((name, variables, templates))


group("literals", [
    "{{ 1 }} {{ 1.0 }} {{ 1e3 }} {{ 1.5e-7 }} {{ 1e16 }} {{ 123456789012345678 }} {{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }}",
    "{{ 0.1 + 0.2 }} {{ 1e100 }} {{ 100.0 }} {{ 1e15 }} {{ 123456.789 }} {{ 1/3 }} {{ 1e-4 }} {{ 0.00001 }} {{ -0.0 }}",
    "{{ 12345678901234567890 }} {{ 12345678901234567890 + 1 }} {{ 0 }} {{ 00 }}",
    "{{ 'a' }}{{ \"b\" }}{{ 'it''s' }}{{ 'a' 'b' \"c\" }}",
    r"{{ 'a\nb\tc\\d\'e\"f' }}|{{ '\x41\u00e9\U0001F600\101\0' }}|{{ '\q' }}",
    "{{ true }} {{ false }} {{ none }} {{ True }} {{ False }} {{ None }}",
    "{{ [1, 'a', 2.5, none, true] }} {{ (1, 2) }} {{ (1,) }} {{ () }} {{ [] }} {{ {} }}",
    "{{ {'a': 1, 'b': [1, {'c': none}], 3: 'x', none: 4, 1.5: (1,)} }}",
    "{{ [\"it's\", 'say \"x\"', 'both \\' and \"', 'tab\\t', 'nl\\n', 'é漢', '\\u200b', '\\x7f', '\\\\'] }}",
    "{{ ['\\u00ad', '\\U0001F468', '\\u0301', '\\xa0', '\\u3000', '\\ue000', '\\U000e0001'] }}",
    "{{ 1, 2 }} {{ 1, }}",
    "{{ [1, 2,] }} {{ {'a': 1,} }} {{ {1: 'a', true: 'b', 1.0: 'c'} }}",
    "{{ 'über' }} {{ größe }}",
    "{{ ('a' 'b') }} {{ ((1)) }} {{ ((1), 2) }}",
    "{{ 1.e3 }}", "{{ 1. }}", "{{ .5 }}", "{{ 012 }}", "{{ 'abc }}", "{{ 1e999 }}",
], größe=3)

group("arithmetic", [
    "{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 // -2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 7 / 2 }} {{ 6 / 2 }}",
    "{{ 2 ** 10 }} {{ 2 ** -1 }} {{ -2 ** 2 }} {{ 2 ** 3 ** 2 }} {{ 2.0 ** 3 }} {{ 4 ** 0.5 }} {{ 0 ** 0 }}",
    "{{ 1 + 2 * 3 - 4 / 2 }} {{ (1 + 2) * 3 }} {{ 10 - 3 - 2 }} {{ 100 // 7 % 4 }} {{ +5 }} {{ - 5 }} {{ --5 }}",
    "{{ 'a' + 'b' }} {{ 'ab' * 3 }} {{ 3 * 'ab' }} {{ [1] + [2] }} {{ [0] * 3 }} {{ (1,) + (2,) }} {{ 'x' * 0 }}{{ 'x' * -1 }}",
    "{{ 1 ~ 2 }} {{ 'a' ~ 1 ~ none ~ true ~ 1.0 ~ [1] }} {{ 1 ~ 2 + 3 }} {{ undefined_thing ~ 'x' }}",
    "{{ true + true }} {{ true * 3 }} {{ -true }} {{ 1.5 + true }} {{ 5 % true }}",
    "{{ 'a' + 1 }}", "{{ 1 + 'a' }}", "{{ [] + () }}", "{{ 1 / 0 }}", "{{ 1 // 0 }}", "{{ 1 % 0 }}",
    "{{ 1.0 / 0 }}", "{{ -'a' }}", "{{ none + 1 }}", "{{ {} + {} }}", "{{ 'a' - 'b' }}", "{{ 0 ** -1 }}",
    "{{ 1e308 * 10 }} {{ -1e308 * 10 }}", "{{ 10.0 ** 400 }}",
    "{{ 2 ** 100 }}", "{{ 9223372036854775807 + 1 }} {{ 9223372036854775807 * 9 }} {{ -9223372036854775808 - 1 }}",
    "{{ 1e16 // 3 }} {{ 5.0 // 0.1 }} {{ -1 // 1e300 }} {{ 3 % 1e300 }} {{ -3.0 % 3 }}",
    "{{ 1 if 0.0 else 2 }} {{ 3.0 == 3 }} {{ 0.1 + 0.2 == 0.3 }}",
])

group("percent format", [
    "{{ '%s' % 'a' }} {{ '%s and %s' % ('a', 1) }} {{ '%d' % 3.7 }} {{ '%5d|%-5d|%05d' % (1, 2, 3) }} {{ '%x %X %o' % (255, 255, 8) }} {{ '%%' % () }}",
    "{{ '%.2f' % 3.14159 }} {{ '%8.3f|' % 2.5 }} {{ '%e' % 12345.678 }} {{ '%g' % 0.0001 }} {{ '%g' % 1e10 }} {{ '%+d' % 5 }} {{ '% d' % 5 }}",
    "{{ '%r' % 'a' }} {{ '%r' % [1, 'b'] }} {{ '%s' % none }} {{ '%s' % [1] }} {{ '%(a)s-%(b)d' % {'a': 'x', 'b': 2} }}",
    "{{ '%10s|%-10s|%.2s' % ('abc', 'abc', 'abc') }} {{ '%c%c' % ('a', 98) }} {{ '%s' % true }} {{ '%d' % true }} {{ '%#x' % 255 }}",
    "{{ '%*d' % (5, 42) }} {{ '%.*f' % (2, 1.005) }} {{ '%i' % 42 }} {{ '%-+6d|' % 5 }} {{ '%010.3f' % -3.14159 }}",
    "{{ '%s' % () }}", "{{ '%s %s' % 'a' }}", "{{ '%d' % 'a' }}", "{{ 'a' % 1 }}", "{{ '%(x)s' % {} }}", "{{ '%y' % 1 }}", "{{ '%' % 1 }}",
    "{{ 'a' % {} }} {{ 'a' % [] }} {{ 'x' % () }}", "{{ '%s %s'|format('a', 2) }} {{ '%(a)s'|format(a=1) }} {{ 'plain'|format }}",
    "{{ '%5.1f%%' % 12.34 }} {{ '%s' % undefined_thing }}|", "{{ '%F %E %G' % (1.5, 1.5, 1.5) }} {{ '%x' % -255 }}",
])

group("comparisons", [
    "{{ 1 < 2 }} {{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 3 > 2 >= 2 != 1 }} {{ 1 == 1.0 }} {{ 1 == true }} {{ 'a' == 'a' }} {{ 'a' != 'b' }}",
    "{{ 'a' < 'b' }} {{ 'B' < 'a' }} {{ [1, 2] < [1, 3] }} {{ (1, 2) < (1, 2, 0) }} {{ [1] == (1,) }} {{ [1, 2] == [1, 2.0] }} {{ {} == {} }}",
    "{{ {'a': 1, 'b': 2} == {'b': 2, 'a': 1} }} {{ none == none }} {{ none == false }} {{ none != 0 }} {{ '1' == 1 }} {{ u == v }} {{ u == none }} {{ u != 1 }}",
    "{{ 2 in [1, 2] }} {{ 'a' in 'cat' }} {{ '' in '' }} {{ 'k' in {'k': 1} }} {{ 3 not in (1, 2) }} {{ 1.0 in [1] }} {{ true in [1] }} {{ 'x' in [] }} {{ 1 in range(3) }}",
    "{{ not 1 == 2 }} {{ not 1 in [2] }} {{ 1 in [1] == true }} {{ (1 in [1]) == true }} {{ 1 + 1 == 2 and 3 > 2 }}",
    "{{ 1 < 'a' }}", "{{ [] < 1 }}", "{{ none < 1 }}", "{{ {} < {} }}", "{{ 1 in 5 }}", "{{ 1 in 'a' }}", "{{ u < 1 }}", "{{ [] in {} }}", "{{ [] in {'a': 1} }}",
    "{{ 'a' in u }} {{ u in [1] }} {{ u in [v] }}", "{{ 1 <= 1.5 }} {{ true < 2 }} {{ 'é' > 'z' }} {{ '😀' > '\\uffff' }}",
    "{{ 9007199254740993 == 9007199254740992.0 }} {{ 0.0 == -0.0 }}", "{{ 1 == 2 == false }}", "{{ 5 is in [5] }} {{ 5 is not in [5] }}",
])

group("logic", [
    "{{ 1 and 2 }} {{ 0 and 2 }} {{ 1 or 2 }} {{ '' or 'x' }} {{ none or [] or 0 }} {{ [] and u.x }} {{ not '' }} {{ not not 'a' }}",
    "{{ 'a' if true else 'b' }} {{ 'a' if false else 'b' }}|{{ 'a' if false }}|{{ 'a' if 0 else 'b' if 0 else 'c' }} {{ ('x' if true) is defined }}",
    "{{ 1 if 2 if 0 else 3 else 4 }}", "{{ 1 or 2 and 0 }} {{ (1 or 2) and 0 }} {{ not 0 and 1 }} {{ not (0 and 1) }}",
    "{{ ('a' if false).x }}", "{{ 'yes' if [0] else 'no' }} {{ 'yes' if {} else 'no' }} {{ 'yes' if 0.0 else 'no' }} {{ 'yes' if ' ' else 'no' }} {{ 'yes' if range(0) else 'no' }}",
    "{{ 'a' ~ 'b' if 1 else 'c' }} {{ x if x is defined else 'none' }} {{ x is defined and x }} {{ x or 'd' }}",
    "{{ 1 if true else 2, 3 }}", "{{ true and false or true }} {{ true or undefined_fn() }}",
])

group("access", [
    "{{ d.a }} {{ d['a'] }} {{ d.b.c }} {{ d['b']['c'] }} {{ d.missing }}|{{ d['missing'] }}|{{ d.get('a') }} {{ d.get('zz') }} {{ d.get('zz', 5) }}",
    "{{ l[0] }} {{ l[-1] }} {{ l[10] }}|{{ l.0 }} {{ l.1.2 }} {{ 'abc'[1] }} {{ 'abc'[-1] }} {{ 'héllo'[1] }} {{ 'abc'[9] }}|",
    "{{ l[1:] }} {{ l[:1] }} {{ l[::-1] }} {{ l[-1:] }} {{ l[5:] }} {{ l[::2] }} {{ l[1:3:1] }} {{ l[:-1] }} {{ l[-100:100] }}",
    "{{ 'abcdef'[1:4] }} {{ 'abcdef'[::-1] }} {{ 'abcdef'[::2] }} {{ 'abcdef'[-3:] }} {{ 'abcdef'[:-3] }} {{ 'abcdef'[4:1:-1] }} {{ 'abcdef'[10:] }}| {{ 'aé漢😀z'[1:4] }} {{ 'aé漢😀z'[::-1] }}",
    "{{ (1, 2, 3)[1:] }} {{ range(10)[2:5] }} {{ range(10)[::3] }} {{ range(10)[-1] }} {{ range(5)[::-1] }} {{ range(3)[5:] }}",
    "{{ d.items }}".replace("d.items", "d.items()"), "{{ d.keys() }} {{ d.values() }}", "{{ d.items()|list }} {{ d.keys()|list }} {{ d.values()|list|length }} {{ d.items()|length }}",
    "{{ d.items().x }}|{{ d.keys()[0] }}|", "{{ m.items }}|{{ m['items'] }}|{{ m.get('items') }}".replace("m.items }}|", "m['keys'] }}|"),
    "{{ u.x }}", "{{ u['x'] }}", "{{ d.missing.x }}", "{{ u() }}", "{{ d.a() }}", "{{ none.x }}|{{ none['x'] }}|{{ 1.x }}", "{{ (1).x }}|{{ 'a'.x }}|{{ [].x }}|",
    "{{ none.x.y }}", "{{ l['a'] }}|{{ d[0] }}|{{ d[none] }}|{{ d[l] }}|{{ 'abc'['x'] }}|{{ l[none] }}|{{ l[1.0] }}|", "{{ l[true] }} {{ 'ab'[true] }}",
    "{{ u[1:] }}", "{{ m.keys[1:] }}|", "{{ five[1:] }}|", "{{ d[1:] }}|", "{{ l['0':] }}", "{{ l[::0] }}", "{{ l[none:none] }} {{ l[u:] }}",
    "{{ d['a', 'b'] }}|", "{{ d.__class__ }}|{{ ''.__class__.__mro__ }}", "{{ d._private }}|{{ d['_k'] }}", "{{ d.update is defined }} {{ l.append is defined }} {{ l.index is defined }}",
    "{{ l.append(1) }}", "{{ d.update({}) }}", "{{ d.pop('a') }}", "{{ l.pop() }}", "{{ d.setdefault('a', 1) }}", "{{ l.insert(0, 1) }}", "{{ l.sort() }}", "{{ d.clear() }}", "{{ l.extend([1]) }}",
    "{{ l.count(1) }} {{ l.index(1) }} {{ d.copy() == d }} {{ l.copy() }} {{ (1, 1).count(1) }} {{ (3, 4).index(4) }}", "{{ l.index(99) }}",
    "{{ 'x'.upper }}"[:0] + "{{ 'x'.upper() }} {{ 'x'['upper']() }} {{ d['get']('a') }}", "{{ d|attr('a') }}|{{ d|attr('get') is callable }} {{ 'a'|attr('upper')() }}",
    "{% set f = d.get %}{{ f('a') }} {{ f('q', 'w') }}",
], d={"a": 1, "b": {"c": "deep"}, "_k": "under"}, l=[1, [2, 3, 4], "x"], m={"items": 5, "keys": 6}, five=5)

group("set and scope", [
    "{% set x = 1 %}{{ x }}", "{% set x, y = 1, 2 %}{{ x }}{{ y }}", "{% set (x, y) = [1, 2] %}{{ x }}{{ y }}", "{% set x, (y, z) = 1, (2, 3) %}{{ x }}{{ y }}{{ z }}",
    "{% set x %}a{{ 1 }}b{% endset %}[{{ x }}]", "{% set x | upper %}abc{% endset %}{{ x }}", "{% set x | replace('a', 'b') | trim %} a {% endset %}[{{ x }}]",
    "{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}", "{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}",
    "{% for i in [1, 2, 3] %}{% if x is defined %}D{{ x }}{% endif %}{% set x = i %}{% endfor %}{{ x is defined }}",
    "{% set ns = namespace(a=1) %}{% for i in [1, 2] %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}", "{% set ns = namespace() %}{% set ns.b = 2 %}{{ ns.b }}{{ ns.zz }}|{{ ns.b is defined }}{{ ns.c is defined }}",
    "{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}{{ ns['a'] }}", "{% set ns = namespace(a=[]) %}{% set ns.a = ns.a + [1] %}{{ ns.a }} {{ ns }}",
    "{% set ns = namespace(x=1) %}{% set ns.x, y = 5, 6 %}{{ ns.x }}{{ y }}", "{% set ns = namespace() %}{% set ns.text %}block{% endset %}{{ ns.text }}",
    "{% set d = {} %}{% set d.a = 1 %}", "{% set u.a = 1 %}", "{% set ns = namespace(_a=1) %}", "{% set ns = namespace() %}{% set ns._a = 1 %}",
    "{% set x, y = 1 %}", "{% set x, y = [1] %}", "{% set x, y = [1, 2, 3] %}", "{% set true = 1 %}", "{% set 'a' = 1 %}", "{% set x.y.z = 1 %}", "{% set x[0] = 1 %}",
    "{% set messages = messages[1:] %}{{ messages }}", "{% if x is not defined %}{% set x = 'd' %}{% endif %}{{ x }}", "{% if messages is defined %}{% set messages = [] %}{% endif %}{{ messages }}",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}|", "{% set a = 5 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}|",
    "{% set x = 1 %}{% set x %}{{ x }}!{% endset %}{{ x }}", "{% set a = b = 1 %}", "{% set x = 1, 2 %}{{ x }}", "{% set x = 1 if false %}{{ x is defined }}",
    "{% set x %}{% set y = 1 %}{{ y }}{% endset %}{{ x }}{{ y }}|", "{% filter upper %}{% set y = 'a' %}{{ y }}{% endfilter %}{{ y }}|", "{% set loop = 1 %}{{ loop }}",
    "{% for i in [1] %}{% for j in [2] %}{% set z = i %}{{ z }}{% endfor %}{{ z }}|{% endfor %}", "{% set ns = namespace(n=namespace(m=1)) %}{{ ns.n.m }}",
    "{% set x = [] %}{% for i in range(3) %}{% set x = x + [i] %}{% endfor %}{{ x }}", "{%set x=1%}{{x}}", "{% set x = namespace %}{{ x(a=1).a }}",
], messages=[1, 2, 3])

group("if", [
    "{% if a %}1{% endif %}", "{% if b %}1{% else %}2{% endif %}", "{% if b %}1{% elif a %}2{% else %}3{% endif %}", "{% if b %}1{% elif b %}2{% elif a %}3{% endif %}",
    "{% if a: %}x{% endif %}", "{% if not b %}x{% endif %}", "{% if a and not b or c %}x{% endif %}", "{% if u %}x{% else %}y{% endif %}", "{% if a, b %}t{% endif %}",
    "{% if a %}{% if b %}1{% else %}2{% endif %}{% endif %}", "{% if a %}", "{% endif %}", "{% if %}x{% endif %}", "{% if a %}x{% endfor %}", "{% else %}", "{% elif a %}",
    "{% if a %}x{% else %}y{% else %}z{% endif %}", "{% if a is defined and a.b is not defined %}x{% endif %}", "{% if a == 1 if b else c %}x{% endif %}",
], a=1, b=0, c="")

group("for", [
    "{% for i in [1, 2, 3] %}{{ i }},{% endfor %}", "{% for c in 'héy' %}{{ c }}.{% endfor %}", "{% for k in {'a': 1, 'b': 2} %}{{ k }}{% endfor %}", "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for i in [] %}x{% else %}empty{% endfor %}", "{% for i in u %}x{% else %}none{% endfor %}", "{% for i in range(5) if i is odd %}{{ i }}{% endfor %}", "{% for i in range(5) if i > 9 %}{{ i }}{% else %}no{% endfor %}",
    "{% for i in 'abc' %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}",
    "{% for i in 'abc' %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {% endfor %}", "{% for i in 'abcd' %}{{ loop.cycle('x', 'y') }}{% endfor %}", "{% for i in [1, 1, 2, 2, 1] %}{{ loop.changed(i) }} {% endfor %}",
    "{% for i in [1, 2, 3, 4] %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}", "{% for i in [1, 2] %}{% for j in [1, 2] %}{% if j == 2 %}{% break %}{% endif %}{{ i }}{{ j }} {% endfor %}{% endfor %}",
    "{% for a, b in [(1, 2), (3, 4)] %}{{ a }}{{ b }}{% endfor %}", "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for a, b in [1] %}{% endfor %}", "{% for a, b in [(1, 2, 3)] %}{% endfor %}",
    "{% for i in 5 %}{% endfor %}", "{% for i in none %}{% endfor %}", "{% for i in 1, 2 %}{{ i }}{% endfor %}", "{% for i in range(3) %}{{ loop.index }}{% for j in range(2) %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}",
    "{% for i in range(3) %}{% set outer = loop %}{% for j in range(2) %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}", "{% for i in range(3) if i %}{{ loop.index }}{{ loop.last }}{{ loop.length }} {% endfor %}",
    "{% set ns = namespace(stop=false) %}{% for i in range(5) if not ns.stop %}{{ i }}{% if i == 2 %}{% set ns.stop = true %}{% endif %}{% endfor %}", "{% for i in range(3) %}{% endfor %}{{ i }}|{{ loop }}|",
    "{% for loop in [1] %}{% endfor %}", "{% for x.y in [1] %}{% endfor %}", "{% break %}", "{% continue %}", "{% if true %}{% break %}{% endif %}", "{% for i in [1] %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
    "{% for i in [1, 2] %}{{ i }}{% else %}e{% endfor %}", "{% for i in [1, 2] %}{% break %}{% else %}e{% endfor %}|", "{% for i in [1, 2] %}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}", "{% for i in [1] %}{{ loop.zzz }}|{% endfor %}",
    "{% for i in x|reverse %}{{ i }}{{ loop.last }}{% endfor %}", "{% for i in x|map('upper') %}{{ i }}{{ loop.length }}{{ loop.index }}{% endfor %}", "{% for k, v in d|items %}{{ k }}{{ v }}{% endfor %}", "{% for k, v in d|dictsort %}{{ k }}{{ v }}{% endfor %}",
    "{% for i in x %}{% if loop.first %}[{% endif %}{{ i }}{% if not loop.last %}, {% else %}]{% endif %}{% endfor %}", "{% for i in x[1:] %}{{ x[loop.index0] }}{% endfor %}", "{% for i in range(10, 0, -3) %}{{ i }} {% endfor %}",
    "{% for i in [3, 1, 2]|sort %}{{ i }}{% endfor %}", "{% for i in x if loop.first %}{{ i }}{% endfor %}", "{% for i in x %}{% set i = i ~ '!' %}{{ i }}{% endfor %}", "{% for i in x %}{{ i }}", "{% for in x %}{% endfor %}", "{% for i x %}{% endfor %}",
    "{% for x in x %}{{ x }}{% endfor %}", "{% for i in x: %}{{ i }}{% endfor %}", "{% for a in [[1, 2], [3]] %}{{ a|sum }}{% endfor %}", "{% for i in [1,2,3] %}{% filter upper %}a{% if i == 2 %}{% break %}{% endif %}{% endfilter %}{% endfor %}",
    "{% for i in (1, 2) %}{{ i }}{% endfor %}{% for i in d.values() %}{{ i }}{% endfor %}", "{% for i in x %}{{ loop }}{% endfor %}"[:0] + "{% for i in x %}{{ loop is defined }}{% endfor %}{{ loop is defined }}",
    "{% for i in range(2) %}{% for j in range(2) %}{{ loop.first and loop.last }}{% endfor %}{% endfor %}", "{% for i in [1,2,3] %}{{ loop.nextitem is defined }}{{ loop.previtem is defined }} {% endfor %}",
], x=["a", "b", "c"], d={"k1": 1, "k0": 2})

group("macro", [
    "{% macro m() %}x{% endmacro %}{{ m() }}{{ m() }}", "{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(b=5, a=4) }}", "{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m() }}", "{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(1) }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, c=3) }}", "{% macro m(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ m(1, 2, 3) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=1) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}", "{% macro m() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ m() }}", "{% set x = 1 %}{% macro m() %}{% set x = 2 %}{{ x }}{% endmacro %}{{ m() }}{{ x }}", "{% macro fact(n) %}{% if n < 2 %}1{% else %}{{ n * fact(n - 1)|int }}{% endif %}{% endmacro %}{{ fact(5) }}",
    "{% macro m(a) %}{{ a }}{{ caller() }}{% endmacro %}{% call m(1) %}body{% endcall %}", "{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) m() %}{{ a }}-{{ b }}{% endcall %}", "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}",
    "{% macro m() %}{% if caller %}{{ caller() }}{% else %}none{% endif %}{% endmacro %}{{ m() }}{% call m() %}c{% endcall %}", "{% macro outer() %}{% macro inner() %}i{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}{{ inner is defined }}",
    "{% macro m(x) -%}  {{ x }}  {%- endmacro %}[{{ m('a') }}]", "{% macro m(x) %}{{ x }}{% endmacro %}{{ m('a') | upper ~ 'b' }}", "{{ m() }}{% macro m() %}late{% endmacro %}", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}",
    "{% if false %}{% macro m() %}{% endmacro %}{% endif %}{{ m is defined }}", "{% for i in [1, 2] %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}", "{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*[1, 2]) }}{{ m(**{'a': 3, 'b': 4}) }}{{ m(5, **{'b': 6}) }}",
    "{% macro m(a=1, b) %}{% endmacro %}", "{% macro m(a b) %}{% endmacro %}", "{% macro %}{% endmacro %}", "{% macro m() %}", "{% macro m(a=[]) %}{{ a + [1] }}{% endmacro %}{{ m() }}{{ m() }}", "{% macro m(true) %}{% endmacro %}", "{% call 5 %}{% endcall %}",
    "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}{{ m(none) }}", "{% macro m() %}{{ loop is defined }}{% endmacro %}{% for i in [1] %}{{ m() }}{% endfor %}", "{{ m.name }}{% macro q() %}{% endmacro %}|{{ q.name }}|{{ q is callable }}",
    "{% macro m(a, b='x', c=none) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1, c=3) }}", "{% set s = m2 %}{{ s is defined }}{% macro m2() %}{% endmacro %}", "{% macro r(d) %}{% for x in d %}{% if x is iterable and x is not string %}({{ r(x) }}){% else %}{{ x }}{% endif %}{% endfor %}{% endmacro %}{{ r([1, [2, [3]], 4]) }}",
    "{% call(x) q() %}{% endcall %}", "{% macro q(items) %}{% for i in items %}{{ caller(i) }}{% endfor %}{% endmacro %}{% call(i) q([1, 2]) %}<{{ i }}>{% endcall %}", "{% macro q() %}{{ kwargs.caller is defined }}{% endmacro %}{{ q(a=1) }}",
    "{% macro q(caller='x') %}{{ caller }}{% endmacro %}{{ q() }}{{ q(caller=1) }}", "{% set v = 1 %}{% macro m(d=v) %}{{ d }}{% endmacro %}{% set v = 2 %}{{ m() }}",
])

group("blocks", [
    "{% filter upper %}a{{ 'b' }}{% endfilter %}", "{% filter replace('a', 'x') | upper %}abc{% endfilter %}", "{% filter indent(2) %}a\nb{% endfilter %}", "{% raw %}{{ x }}{% y %}{# z #}{% endraw %}", "a {%- raw -%} {{ x }} {%- endraw -%} b", "{% raw %}\nx\n{% endraw %}\ny",
    "{# comment #}a{#- c -#} b {# multi\nline #}c", "{# {{ x }} {% if %} #}", "{% generation %}x{{ 1 }}{% endgeneration %}", "a{% generation %}{% set q = 1 %}{{ q }}{% endgeneration %}{{ q }}|", "{% for i in [1, 2] %}{% generation %}{{ loop.index }}{% endgeneration %}{% endfor %}", "{%- generation -%} x {%- endgeneration -%}",
    "{% print 1 %}{% print 1, 'a' %}", "{% generation %}", "{% raw %}x", "{# x", "{{ x", "{% if x", "{% foo %}", "{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{% from 'x' import y %}", "{{ }}", "{% %}", "{{ 1 2 }}", "{{ (1 }}", "{{ [1 }}", "{{ 1) }}", "{{ {1:2 }}", "{{ 'a' | }}", "{{ | upper }}", "{{ a. }}", "{{ a[ }}", "{{ $ }}", "{{ a ! b }}",
    "{{ '}}' }}{{ '%}' }}{{ \"{{\" }}", "{{ {'a': {'b': 1}}['a']['b'] }}", "{{{'a': 1}}}", "{{ {} }}{{ {'a':{}} }}", "}} %} #}", "{ { } }", "{", "a{", "{{'{'}}", "{% set x = '%}' %}{{ x }}", "text only", "", "\n", "\n\n", "a\n", "a\n\n", "a\r\nb\rc\n", "{{ 'a\r\nb' }}",
    "{% for i in [1] %}{% generation %}{% break %}{% endgeneration %}{% endfor %}", "{{ a }}{# x #}{{ b }}", "{% do x %}", "{% trans %}x{% endtrans %}", "{% debug %}",
])

WS = ["  {% if true %}\n  a\n  {% endif %}\n  b\n", "a\n   {% if true %}   \nb\n{% endif %}c", "a {% if true %} b {% endif %} c", "a {%- if true -%} b {%- endif -%} c", "  {%+ if true %}x{% endif %}", "{% if true +%}\nx{% endif %}", "{% if true %}\n\nx{% endif %}",
      "{{ 1 }}\n{{ 2 }}\n", "  {{ 1 }}\n", "a\n  {{- 1 -}}  \n b", "{% for i in [1, 2] %}\n  {{ i }}\n{% endfor %}\n", "{%- for i in [1, 2] %}\n  {{ i }}\n{%- endfor %}\nz", "  {# c #}\nx", "  {#- c -#}  \n x", "a  {#+ c +#}\n x", "x{% set a = 1 %}\n\ny", "\t{% set a = 1 %}\t\nx",
      "{{ 1 -}}\n\n {{ 2 }}", "a \n\n {%- set x = 1 -%} \n\n b", "a{{+ 1 }}", "a {{- ' b ' -}} c", "x\n \t {% set a = 1 %}y", "x \t {% set a = 1 %}y", "{% if true %}a{% endif %}\n", "{% if true -%}\n a{% endif %}\n\n", "a\u00a0{%- set x = 1 -%}\u2003b", "{% raw -%}  x  {%- endraw %}", "  {% raw %}  x  {% endraw %}\n y",
      "{% set x = 1 %}{# c #}\n{% set y = 2 %}\nz", "{{ 1 }}{% set x = 1 %}\n{{ 2 }}", "line1\n    {%- if true %}\n line2\n    {%- endif %}\nend", "\n  {% set x = 1 %}\n  text", "{%\n set\n x\n =\n 1\n %}{{\n x\n }}", "{{ 1 }} \n  {% if true %}\n  {{ 2 }}\n  {% else %}\n  {{ 3 }}\n  {% endif %}\n",
      "a{% if true %}\r\n b{% endif %}", "  {%- raw %}a{% endraw -%}  b", "{#-#}x", "{#--#} y", "a {#+#} b", "{%-if true-%}x{%-endif-%}", "{%+if true+%}\nx{%+endif+%}\n", "x\n\n\n   {%- endraw %}"]
group("white space", WS)

group("string methods", [
    "{{ 'a b  c'.split() }} {{ 'a,b,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ ' a '.split(' ') }} {{ ''.split() }} {{ ''.split(',') }} {{ 'a,b'.split(sep=',') }} {{ 'a b c'.split(none, 1) }} {{ 'a b c'.split(maxsplit=1) }}",
    "{{ 'a,b,c'.rsplit(',', 1) }} {{ ' a b '.rsplit() }} {{ 'a b c'.rsplit(none, 1) }} {{ 'a</think>b</think>c'.split('</think>')[-1] }} {{ '  a b  c '.rsplit(none, 2) }} {{ '  x  y '.split(none, 1) }}",
    "[{{ ' a '.strip() }}] [{{ ' a '.lstrip() }}] [{{ ' a '.rstrip() }}] {{ 'xxaxx'.strip('x') }} {{ 'abcba'.strip('ab') }} {{ 'éaé'.strip('é') }} [{{ '\\u3000a\\xa0'.strip() }}] {{ '\\n\\na'.lstrip('\\n') }} {{ 'a'.strip(none) }}",
    "{{ 'abc'.startswith('a') }} {{ 'abc'.startswith(('x', 'ab')) }} {{ 'abc'.endswith('c') }} {{ 'abc'.startswith('b', 1) }} {{ 'abc'.endswith('b', 0, 2) }} {{ 'abc'.startswith('') }} {{ 'abc'.endswith(('z', 'q')) }}",
    "{{ 'aXbX'.replace('X', '-') }} {{ 'aXbX'.replace('X', '-', 1) }} {{ 'abc'.replace('', '-') }} {{ 'aaa'.replace('aa', 'b') }} {{ 'abc'.replace('', '-', 2) }} {{ 'x'.replace('y', 'z') }} {{ 'é'.replace('', '.') }}",
    "{{ 'aB1é'.upper() }} {{ 'AbÉ'.lower() }} {{ 'hello world'.title() }} {{ \"they're bill's\".title() }} {{ 'hELLO wORLD'.capitalize() }} {{ 'straße'.upper() }} {{ 'ǆ'.title() }} {{ 'ΑΣ'.lower() }} {{ 'aBc'.swapcase() }} {{ 'ﬁ'.upper() }} {{ 'İ'.lower() }} {{ 'ÿ'.upper() }} {{ 'ИВАН'.lower() }} {{ 'ß'.capitalize() }}",
    "{{ ', '.join(['a', 'b']) }} {{ ''.join([]) }} {{ '-'.join('abc') }} {{ ','.join({'a': 1, 'b': 2}) }}", "{{ ','.join([1]) }}", "{{ ','.join(5) }}",
    "{{ 'hello'.find('l') }} {{ 'hello'.rfind('l') }} {{ 'hello'.find('z') }} {{ 'héllo'.find('l') }} {{ 'hello'.find('l', 3) }} {{ 'hello'.find('l', 4) }} {{ 'hello'.find('h', -5) }} {{ 'hello'.index('e') }} {{ 'hello'.find('') }} {{ 'abc'.find('', 3) }} {{ 'abc'.find('', 4) }} {{ 'abc'.rfind('') }}", "{{ 'a'.index('z') }}",
    "{{ 'banana'.count('a') }} {{ 'banana'.count('an') }} {{ 'aaa'.count('aa') }} {{ 'abc'.count('') }} {{ 'banana'.count('a', 2) }}",
    "{{ 'a\\nb\\r\\nc'.splitlines() }} {{ 'a\\nb\\n'.splitlines(true) }} {{ ''.splitlines() }} {{ '\\n'.splitlines() }} {{ 'a\\u2028b\\x0bc'.splitlines() }} {{ 'a\\r'.splitlines() }}",
    "{{ '123'.isdigit() }} {{ '12a'.isdigit() }} {{ ''.isdigit() }} {{ 'abc'.isalpha() }} {{ 'ab1'.isalnum() }} {{ ' \\n'.isspace() }} {{ 'ABC'.isupper() }} {{ 'abc1'.islower() }} {{ 'Ab C'.istitle() }} {{ '²'.isdigit() }} {{ '²'.isdecimal() }} {{ '½'.isnumeric() }} {{ 'é'.isalpha() }} {{ 'abc'.isascii() }} {{ 'é'.isascii() }} {{ 'a\\n'.isprintable() }} {{ '1'.isupper() }} {{ '漢'.isalpha() }}",
    "{{ 'abc'.center(9, '*') }}|{{ 'abc'.ljust(6) }}|{{ 'abc'.rjust(6, '.') }}|{{ '42'.zfill(5) }}|{{ '-42'.zfill(5) }}|{{ 'abc'.center(8) }}|{{ 'ab'.center(5, '*') }}|{{ 'abcdef'.ljust(3) }}",
    "{{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'abc'.partition('-') }} {{ 'abc'.rpartition('-') }}", "{{ 'TestHook'.removeprefix('Test') }} {{ 'MiscTests'.removesuffix('Tests') }} {{ 'x'.removeprefix('y') }}",
    "{{ 'a'.nothing() }}", "{{ 'a'.split('') }}", "{{ 'a'.split(1) }}", "{{ 'a'.startswith(1) }}", "{{ 'a'.replace('a') }}", "{{ 'a'.upper(1) }}", "{{ 'a'.join() }}", "{{ 'a'.center('x') }}", "{{ 'ab'.strip(1) }}",
    "{{ 'A'.casefold() }} {{ 'aé漢😀'|length }} {{ 'e\\u0301'|length }} {{ '👨‍👩‍👧'|length }}", "{{ 'a'.format }}"[:0] + "{{ 'it'.title().upper().lower() }}", "{{ ('a' ~ 'b').upper() }} {{ 'x'.upper().lower() }} {{ 'a b'.split()[0].upper() }}",
])

group("str.format", [
    "{{ '{} {}'.format('a', 1) }} {{ '{0}{1}{0}'.format('a', 'b') }} {{ '{x}-{y}'.format(x=1, y='z') }} {{ '{{}}'.format() }} {{ '{a[k]} {b[0]} {a[k]}'.format(a={'k': 1}, b=[2]) }}",
    "{{ '{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd') }} {{ '{:5}|{:5}|'.format('a', 1) }} {{ '{:05d} {:+d} {:x} {:X} {:b} {:o} {:#x}'.format(42, 5, 255, 255, 5, 8, 255) }} {{ '{:,}'.format(1234567) }} {{ '{:_}'.format(1234567) }}",
    "{{ '{:.2f} {:8.3f}| {:e} {:g} {:%} {:.1%}'.format(3.14159, 2.5, 12345.678, 0.0001, 0.25, 0.125) }} {{ '{:,.2f}'.format(1234567.891) }} {{ '{}'.format(1.0) }} {{ '{:.3}'.format('abcdef') }} {{ '{!r} {!s}'.format('a', 'b') }} {{ '{:.3}'.format(3.14159) }}",
    "{{ '{:>{w}}'.format('a', w=5) }} {{ '{}'.format([1, 'a']) }} {{ '{}'.format(none) }} {{ '{}'.format(true) }} {{ '{:d}'.format(true) }} {{ '{:é>4}'.format('a') }} {{ '{:c}'.format(97) }} {{ '{:=+5d}'.format(3) }}",
    "{{ '{'.format() }}", "{{ '}'.format() }}", "{{ '{}'.format() }}", "{{ '{x}'.format() }}", "{{ '{:d}'.format('a') }}", "{{ '{:z}'.format(1) }}", "{{ '{!z}'.format(1) }}", "{{ '{:.2f}'.format('a') }}", "{{ '{0.__class__}'.format('a') }}", "{{ '{:5}'.format([]) }}", "{{ '{:5}'.format(none) }}",
])

group("filters text", [
    "[{{ ' a '|trim }}] {{ 'xax'|trim('x') }} {{ 5|trim }} {{ 'abc'|upper }} {{ 'ABC'|lower }} {{ 'hello wORLD'|capitalize }} {{ 'hello wORLD foo-bar (baz) it\\'s'|title }} {{ 5|upper }} {{ none|lower }} {{ u|upper }}|{{ u|trim }}|",
    "{{ 'a-b'|replace('-', '+') }} {{ 'aaa'|replace('a', 'b', 2) }} {{ 5|replace(5, 6) }} {{ 'abc'|length }} {{ [1, 2]|count }} {{ {'a': 1}|length }} {{ ''|length }} {{ u|length }} {{ range(4)|length }}", "{{ 5|length }}", "{{ none|length }}",
    "{{ [1, 2, 3]|join(', ') }} {{ [1, 2]|join }} {{ 'abc'|join('-') }} {{ people|join(', ', attribute='name') }} {{ u|join }}| {{ [none, true, 1.0]|join('|') }} {{ {'a': 1, 'b': 2}|join(',') }} {{ [[1], 'x']|join(' ') }} {{ [1,2]|join(d=';') }}", "{{ 5|join }}",
    "{{ 5|string }} {{ 1.0|string }} {{ [1, 'a']|string }} {{ {'a': none}|string }} {{ none|string }} {{ true|string ~ 'x' }} {{ u|string }}| {{ (5|string) is string }}",
    "{{ u|default('d') }} {{ none|default('d') }} {{ ''|default('d') }}| {{ ''|default('d', true) }} {{ none|d('e', boolean=true) }} {{ 0|default(5) }} {{ u|default }}| {{ u.x|default(1) if false else 2 }} {{ d.q|default('w') }} {{ u|default(default_value=3) }}", "{{ u.x|default('d') }}",
    "{{ '<a href=\"x\">&\\'</a>'|escape }} {{ '<'|e }} {{ '<b>'|safe }} {{ 5|e }} {{ '<'|forceescape }}",
    "{{ 'a\\nb\\n\\nc'|indent }}|{{ 'a\\nb'|indent(2) }}|{{ 'a\\nb'|indent(2, true) }}|{{ 'a\\n\\nb'|indent(2, blank=true) }}|{{ 'a\\nb'|indent('> ') }}|{{ 'a\\nb\\n'|indent(1) }}|{{ 'a'|indent(width=3, first=true) }}|{{ ''|indent }}", "{{ 5|indent }}",
    "{{ 'hello big world out there'|truncate(11) }} {{ 'hello big world out there'|truncate(11, true) }} {{ 'short'|truncate(10) }} {{ 'hello world'|truncate(8, false, '…', 0) }} {{ 'hello world'|truncate(5, leeway=0) }} {{ 'abcdefghijk'|truncate(5, end='') }}", "{{ 'abc'|truncate(1) }}",
    "{{ 'a b-c d_e  f'|wordcount }} {{ ''|wordcount }} {{ 'x'|center(5) }}|", "{{ 'a'|nofilter }}", "{{ 'a'|upper(1) }}", "{{ 'a'|replace('a') }}", "{{ 'a'|upper|lower|title }} {{ -1|abs }} {{ ('a' ~ 'b')|upper }} {{ 'a' ~ 'b'|upper }} {{ 1 + '2'|int }}",
    "{{ 'hello'|reverse }} {{ 'héy'|reverse }} {{ 'abc'|first }} {{ 'abc'|last }} {{ 'abc'|list }} {{ ''|first }}|{{ []|last }}|", "{% if 'upper' is filter %}y{% endif %}{% if 'nope' is filter %}n{% endif %}{% if 'odd' is test %}t{% endif %}",
], people=PEOPLE, d={})

group("tojson", [
    "{{ x|tojson }}", "{{ x|tojson(indent=2) }}", "{{ x|tojson(indent=4) }}", "{{ x|tojson(2) }}", "{{ x|tojson(ensure_ascii=true) }}", "{{ x|tojson(sort_keys=true) }}", "{{ x|tojson(separators=(',', ':')) }}", "{{ x|tojson(indent=2, separators=(',', ': ')) }}", "{{ x|tojson(indent='\\t') }}", "{{ x|tojson(indent=0) }}",
    "{{ 'a\"b\\\\c/<>&\\u2028\\x7f\\x01\\n\\t\\b\\f\\r é 😀'|tojson }}", "{{ 'é😀\\x7f'|tojson(ensure_ascii=true) }}", "{{ none|tojson }} {{ true|tojson }} {{ 1|tojson }} {{ 1.0|tojson }} {{ 1e-7|tojson }} {{ 1e16|tojson }} {{ 1e22|tojson }} {{ 'a'|tojson }} {{ []|tojson }} {{ {}|tojson }} {{ (1, 2)|tojson }} {{ 1e308*10|tojson }} {{ (1e308*10)|tojson }}",
    "{{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }}", "{{ u|tojson }}", "{{ [u]|tojson }}", "{{ range(3)|tojson }}", "{{ {'a': 1}.items()|tojson }}", "{{ {(1, 2): 3}|tojson }}", "{{ [1]|map('string')|tojson }}", "{{ [1]|map('string')|list|tojson }}", "{{ namespace(a=1)|tojson }}", "{{ x|tojson|length }}", "{{ x | tojson | string | replace('\"', \"'\") }}",
    "{{ [[], {}, [[]], [{}]]|tojson(indent=2) }}", "{{ {'b': 1, 'a': {'d': 1, 'c': 2}}|tojson(sort_keys=true) }}", "{{ {'a': 1, 2: 3}|tojson(sort_keys=true) }}", "{% for t in x.l %}{{ t|tojson }}\n{% endfor %}", "{{ tools|tojson }}", "{{ tools|tojson(indent=4) }}", "{{ tools }}", "{{ tools|string }}",
    "{{ x.big }} {{ x.big|tojson }} {{ x.big + 1 }} {{ x.neg }}", "{{ tools[0].function.parameters.properties.keys()|list }}", "{{ x|tojson(none) }}", "{{ x|tojson(indent=2, sort_keys=true) }}",
], x={"z": 1, "a": [1, 2.5, "é", None, True, {"q": []}], "l": [{"k": "v"}, 3], "e": {}, "s": "a\"b", "big": 12345678901234567890, "neg": -9223372036854775808}, tools=TOOLS)

group("filters lists", [
    "{{ [3, 1, 2]|sort }} {{ ['b', 'A', 'c']|sort }} {{ ['b', 'A', 'c']|sort(case_sensitive=true) }} {{ [3, 1, 2]|sort(reverse=true) }} {{ people|sort(attribute='age')|map(attribute='name')|list }} {{ people|sort(attribute='age,name')|map(attribute='name')|list }} {{ people|sort(attribute='city', reverse=true)|map(attribute='name')|join(',') }} {{ 'bca'|sort }} {{ {'b': 1, 'a': 2}|sort }}", "{{ [1, 'a']|sort }}", "{{ [none, 1]|sort }}",
    "{{ [1, 2, 2, 1, 3]|unique|list }} {{ ['a', 'A', 'b']|unique|list }} {{ ['a', 'A']|unique(case_sensitive=true)|list }} {{ people|unique(attribute='age')|map(attribute='name')|list }} {{ [1, 1.0, true, '1']|unique|list }}", "{{ [[1], [1]]|unique|list }}",
    "{{ [1, 2, 3]|reverse|list }} {{ [1, 2]|first }} {{ [1, 2]|last }} {{ (1, 2)|list }} {{ {'a': 1}|list }} {{ range(3)|list }} {{ {'a': 1, 'b': 2}|last }} {{ {'a': 1}|first }} {{ range(5)|last }}", "{{ 5|list }}", "{{ 5|first }}", "{{ 5|reverse }}",
    "{{ [1, 2, 3]|sum }} {{ []|sum }} {{ people|sum(attribute='age') }} {{ [1.5, 2]|sum }} {{ [[1], [2]]|sum(start=[]) }} {{ [1]|sum(start=10) }}", "{{ ['a']|sum }}", "{{ ['a']|sum(start='') }}",
    "{{ [3, 1, 2]|min }} {{ [3, 1, 2]|max }} {{ ['b', 'A']|min }} {{ ['b', 'A']|max(case_sensitive=true) }} {{ people|max(attribute='age') }} {{ []|min }}| {{ people|min(attribute='name') }} {{ 'hello'|max }}", "{{ [1, 'a']|max }}",
    "{{ ['a', 'b']|map('upper')|list }} {{ people|map(attribute='name')|join(', ') }} {{ people|map(attribute='tags.0')|list }} {{ people|map(attribute='zip', default='?')|list }} {{ [1, 2]|map('string')|list }} {{ ['a']|map('replace', 'a', 'b')|list }} {{ [' a ']|map('trim')|map('upper')|list }} {{ [[1, 2], [3]]|map('sum')|list }} {{ [[1, 2], [3]]|map('join', '-')|list }} {{ u|map('upper')|list }} {{ [{'a': 1}]|map('tojson')|list }} {{ [[1, 2]]|map('first')|list }} {{ [[1, 2]]|map(attribute=1)|list }}",
    "{{ [1]|map|list }}", "{{ [1]|map('nofilter')|list }}", "{{ 5|map('string')|list }}", "{{ [1]|map(attribute='x', foo=1)|list }}",
    "{{ [0, 1, 2, 3]|select|list }} {{ [0, 1, 2, 3]|select('odd')|list }} {{ [0, 1, 2, 3]|reject('odd')|list }} {{ [1, 2, 3]|select('gt', 1)|list }} {{ ['a', 1]|select('string')|list }} {{ [1, none]|reject('none')|list }} {{ ['a', 'b']|select('in', ['a'])|list }} {{ [1, 2]|select('equalto', 2)|first }} {{ ['a', '']|reject|list }}",
    "{{ people|selectattr('age', 'equalto', 30)|map(attribute='name')|list }} {{ people|selectattr('tags')|list|length }} {{ people|rejectattr('tags')|map(attribute='name')|list }} {{ people|selectattr('zip', 'defined')|list }} {{ people|rejectattr('city', 'in', ['Oslo'])|map(attribute='city')|list }} {{ people|selectattr('name', 'string')|list|length }} {{ people|selectattr('age', '>', 26)|list|length }} {{ people|selectattr('tags.0', '==', 'z')|map(attribute='name')|first }}", "{{ [1]|select('notest')|list }}", "{{ people|selectattr|list }}",
    "{{ people|groupby('age')|map('first')|list }} {% for k, g in people|groupby('age') %}{{ k }}:{{ g|map(attribute='name')|join(',') }};{% endfor %} {% for g in people|groupby('city') %}{{ g.grouper }}={{ g.list|length }} {% endfor %} {% for g in people|groupby('zip', default='-') %}{{ g.grouper }}{% endfor %}{% for g in people|groupby('city', case_sensitive=true) %}{{ g.grouper }},{% endfor %}",
    "{{ {'b': 1, 'a': 2, 'C': 0}|dictsort }} {{ {'b': 1, 'a': 2}|dictsort(by='value') }} {{ {'b': 1, 'a': 2}|dictsort(reverse=true) }} {{ {'b': 1, 'C': 2}|dictsort(true) }} {{ {'b': 1, 'a': 2}|dictsort(false, 'value') }}", "{{ {'a': 1}|dictsort(by='x') }}", "{{ [1]|dictsort }}",
    "{{ [1, 2, 3, 4, 5]|batch(2)|list }} {{ [1, 2, 3]|batch(2, 0)|list }} {{ [1, 2, 3, 4, 5]|slice(2)|list }} {{ [1, 2, 3]|slice(2, 'x')|list }} {{ []|batch(2)|list }}", "{{ {'a': 1}|items|list }} {{ u|items|list }}", "{{ [1]|items|list }}",
    "{{ [1, 2]|map('string') is iterable }} {{ ([1, 2]|map('string')) is string }} {{ [1, 2]|select|list|length }}", "{{ ([1]|map('string'))|length }}", "{{ ([1]|map('string'))[0] }}|", "{% set m = [1, 2]|map('string') %}{{ m|join }}{{ m|join }}|", "{% if []|map('upper') %}yes{% endif %}", "{% set m = [1, 2, 3]|select %}{{ m|first }}{{ m|list }}", "{{ [1,2]|reverse|length }}", "{{ [1,2]|map('string')|last }}", "{{ 2 in ([1, 2]|map('int')) }}",
    "{{ [1, 2, 3]|random is number }}"[:0] + "{{ [[3, 'c'], [1, 'a']]|sort }} {{ [(2, 'b'), (2, 'a')]|sort }}", "{{ [true, 0, 2]|sort }} {{ [1.5, 1]|min }}", "{{ [{'a': {'b': 2}}, {'a': {'b': 1}}]|sort(attribute='a.b')|map(attribute='a.b')|list }}", "{{ ['x', 'y']|map('length')|sum }}",
], people=PEOPLE)

group("filters numbers", [
    "{{ '42'|int }} {{ '42.7'|int }} {{ 'x'|int }} {{ 'x'|int(5) }} {{ 3.9|int }} {{ -3.9|int }} {{ true|int }} {{ none|int }} {{ '0x1F'|int(0, 16) }} {{ '101'|int(base=2) }} {{ ' 7 '|int }} {{ '1_000'|int }} {{ ''|int }} {{ []|int(9) }} {{ '1e3'|int }} {{ '-5'|int }} {{ '+5'|int }} {{ '0b11'|int(0, 0) }}", "{{ u|int }}",
    "{{ '1.5'|float }} {{ 'x'|float }} {{ 'x'|float(2.5) }} {{ 3|float }} {{ '1e3'|float }} {{ none|float }} {{ ' 2 '|float }} {{ 'inf'|float }} {{ '-inf'|float }} {{ 'nan'|float }} {{ true|float }} {{ '1_0.5'|float }} {{ '.5'|float }} {{ '5.'|float }}", "{{ u|float }}",
    "{{ -5|abs }} {{ 5.5|abs }} {{ -2.5|abs }} {{ true|abs }}", "{{ 'a'|abs }}", "{{ 2.5|round }} {{ 3.5|round }} {{ 2.567|round(2) }} {{ 42|round }} {{ 42.55|round(1, 'floor') }} {{ 42.51|round(1, 'ceil') }} {{ 1234.5|round(-2) }} {{ -2.5|round }} {{ 2.675|round(2) }} {{ 1e20|round }} {{ 1.0|round(3) }} {{ 0.5|round|int }} {{ 5|round(2) }}", "{{ 'a'|round }}", "{{ 1|round(0, 'x') }}",
    "{{ 1e400|int if false else 0 }}"[:0] + "{{ 12345.6789|round(2) }} {{ 10|round(-1) }} {{ 0.1 + 0.7 }} {{ 1.1 * 3 }} {{ 100 * 1.1 }} {{ 1e23 }} {{ 5e-324 }} {{ 1.7976931348623157e308 }} {{ 0.30000000000000004 }}", "{{ huge|float|int }}", "{{ nan|float|int(7) }} {{ huge|int(6) }} {{ nan|float == nan|float }}", "{{ 3.0|int }} {{ 1e10|int }} {{ 123456789.123|int }}",
], huge="1e999", nan="nan")

group("tests", [
    "{{ 1 is defined }} {{ u is defined }} {{ u is undefined }} {{ none is none }} {{ 0 is none }} {{ none is defined }} {{ 'a' is string }} {{ 1 is string }} {{ {} is mapping }} {{ [] is mapping }} {{ [] is iterable }} {{ 'a' is iterable }} {{ 5 is iterable }} {{ {} is iterable }} {{ none is iterable }}",
    "{{ [] is sequence }} {{ () is sequence }} {{ 'a' is sequence }} {{ {} is sequence }} {{ 5 is sequence }} {{ range(2) is sequence }} {{ none is sequence }} {{ {}.keys() is sequence }} {{ u is sequence }} {{ u is iterable }} {{ u is mapping }} {{ u is string }} {{ u is none }} {{ u is callable }}",
    "{{ 1 is number }} {{ 1.5 is number }} {{ true is number }} {{ 'a' is number }} {{ 1 is integer }} {{ true is integer }} {{ 1.0 is integer }} {{ 1.0 is float }} {{ 1 is float }} {{ true is boolean }} {{ 1 is boolean }} {{ true is true }} {{ 1 is true }} {{ false is false }} {{ 0 is false }}",
    "{{ 3 is odd }} {{ 3 is even }} {{ 4 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 3 is eq 3 }} {{ 3 is ne 3 }} {{ 3 is gt 2 }} {{ 3 is lt 2 }} {{ 3 is ge 3 }} {{ 3 is le 3 }} {{ 3 is equalto 3 }} {{ 3 is greaterthan 2 }} {{ 3 is lessthan 2 }} {{ 3 is in [3] }} {{ 3 is == 3 }}"[:-14] + "",
    "{{ 'abc' is lower }} {{ 'ABC' is upper }} {{ 'Abc' is lower }} {{ 1 is sameas 1 }} {{ true is sameas true }} {{ none is sameas none }} {{ 1 is sameas true }} {{ range is callable }} {{ 'a'.upper is callable }} {{ 5 is callable }} {{ dict is callable }} {{ '<' is escaped }}",
    "{{ 1 is not string }} {{ not 1 is string }} {{ 1 is not defined }} {{ u is not defined and true }} {{ x is defined or false }} {{ 'a' is string and 'b' is string }} {{ 1 is string or 2 is number }} {{ [1] is iterable and [1] is not string }}",
    "{{ 1 is notest }}", "{{ 1 is defined is defined }}", "{{ 'a' is odd }}", "{{ 1 is divisibleby 0 }}", "{{ 1 is }}", "{{ u is odd }}", "{{ 1 is eq }}", "{{ 1.5 is odd }} {{ 3.0 is odd }} {{ true is odd }}", "{{ 'yes' if x is defined else 'no' }} {{ d.a is defined }} {{ d.a.b is defined }}", "{{ u.a is defined }}", "{{ -1 is number }} {{ 1 + 1 is number }} {{ 2 is divisibleby 1 + 1 }}"[:-32] + "",
    "{{ [] is string }} {{ namespace() is mapping }} {{ namespace() is iterable }} {{ ([1]|map('string')) is sequence }} {{ (1,2) is string }} {{ {}.items() is iterable }} {{ {} is string }} {{ 1 is mapping }}",
], d={"a": 1})

group("globals", [
    "{{ range(3) }} {{ range(1, 4)|list }} {{ range(10, 0, -3)|list }} {{ range(0)|list }} {{ range(1, 2, 3) }} {{ range(5)|length }} {{ 3 in range(5) }} {{ range(3) == range(3) }}", "{{ range(1, 5, 0) }}", "{{ range('a') }}", "{{ range() }}", "{{ range(100001)|length }}", "{{ range(1.5) }}",
    "{{ dict(a=1, b=2) }} {{ dict({'a': 1}, b=2) }} {{ dict([('a', 1), ['b', 2]]) }} {{ dict() }} {{ dict([(1, 2)], x=3).x }}", "{{ dict(1) }}", "{{ dict([1]) }}", "{{ raise_exception('boom') }}", "{% if true %}{{ raise_exception('a ' ~ 1) }}{% endif %}", "{% if false %}{{ raise_exception('no') }}{% endif %}ok", "{{ raise_exception() }}",
    "{{ strftime_now('%Y-%m-%d') }} {{ strftime_now('%d %b %Y') }} {{ strftime_now('%H:%M:%S.%f') }} {{ strftime_now('%A %B %j %y %I %p %w %a') }} {{ strftime_now('%%') }} {{ strftime_now('%Z%z') }}| {{ strftime_now('') }}| {{ strftime_now('é %d') }} {{ strftime_now('%-d/%-m') }} {{ strftime_now('%e') }} {{ strftime_now('%F %T') }} {{ strftime_now('%D') }} {{ strftime_now('%x %X') }} {{ strftime_now('%U %W %V %G %u') }}", "{{ strftime_now(5) }}",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set _ = c.reset() %}{{ c.next() }}", "{{ cycler() }}", "{% set j = joiner(', ') %}{{ j() }}a{{ j() }}b{{ j() }}c{% set k = joiner() %}{{ k() }}{{ k() }}",
    "{{ foo('x') }}", "{{ open('x') }}", "{{ self }}"[:0] + "{{ range.__globals__ }}", "{{ namespace(a=1).a }}", "{{ namespace([('a', 1)]).a }}", "{{ dict.fromkeys('ab') }}"[:0] + "{{ range(*[1, 4])|list }}", "{{ range(stop=3) }}", "{{ [1, 2](0) }}", "{{ 'a'() }}", "{{ none() }}",
])

group("undefined", [
    "[{{ u }}]", "{{ u.x }}", "{{ u['x'] }}", "{{ u + 1 }}", "{{ 1 + u }}", "{{ u ~ 'a' }}", "{{ u * 2 }}", "{{ -u }}", "{{ u == '' }} {{ u == u }} {{ not u }} {{ u or 'x' }} {{ u is defined }}", "{{ u > 1 }}", "{{ [u] }} {{ {'a': u} }}", "{{ 'a' in u }}", "{{ u in 'abc' }}", "{% for x in u %}{% endfor %}ok", "{{ u|list }} {{ u|first }}|{{ u|last }}|{{ u|sort }} {{ u|sum }} {{ u|unique|list }} {{ u|reverse|list }} {{ u|select|list }}", "{{ u.a.b }}", "{{ d.x.y }}", "{{ d.x }}|{{ d['x'] }}|{{ d.x is defined }}", "{{ u() }}", "{{ u|tojson }}", "{{ u|abs }}", "{{ u|dictsort }}", "{{ u|round }}", "{{ u % 2 }}", "{{ 'x' % u }}", "{{ u[0] }}", "{{ u|length }} {{ u|upper }}|{{ u|replace('a', 'b') }}|{{ u|escape }}|", "{{ d.x|default('y') }} {{ d.x or 'z' }}", "{{ (u|default([]))|length }}", "{% set v = u %}{{ v is defined }}", "{% if u %}{% elif u is undefined %}ok{% endif %}", "{{ {'a': 1}[u] }}|", "{{ [1][u] }}|", "{{ u|int }}", "{{ u|map('upper')|join }}|", "{{ u|wordcount }} {{ u|title }}|{{ u|indent }}",
], d={})

group("calls", [
    "{{ f(1) }}", "{{ range(*[3])|list }}", "{{ dict(**{'a': 1}) }}", "{{ dict(a=1, **{'b': 2}) }}", "{{ dict(**[1]) }}", "{{ dict(**{1: 2}) }}", "{{ range(*5) }}", "{{ 'a'.upper(*[]) }}", "{{ dict(a=1, 2) }}", "{{ dict(a=1,) }}", "{{ dict(a=1, a=2) }}", "{{ 'a b'.split(*[' '], **{'maxsplit': 1}) }}", "{{ dict(**{'a': 1}, b=2) }}", "{{ 'x'.join(*[['a', 'b']]) }}", "{{ 'abc'.replace(*('a', 'b')) }}",
])

# ---- Whole templates in the manner of model families. All are our own words.

group("era LFM2", ["""{{- bos_token -}}
{%- set system = "" -%}
{%- if messages[0]["role"] == "system" -%}{%- set system = messages[0]["content"] -%}{%- set messages = messages[1:] -%}{%- endif -%}
{%- if tools -%}
    {%- set system = system + ("\n" if system else "") + "List of tools: <|tool_list_start|>[" -%}
    {%- for tool in tools -%}
        {%- set system = system + (tool | tojson if tool is not string else tool) -%}
    {%- endfor -%}
    {%- set system = system + "]<|tool_list_end|>" -%}
{%- endif -%}
{%- if system -%}{{ "<|im_start|>system\n" + system + "<|im_end|>\n" }}{%- endif -%}
{%- for message in messages -%}
    {{ "<|im_start|>" + message["role"] + "\n" }}
    {%- set content = message["content"] -%}
    {%- if content is not string -%}{%- set content = content | tojson -%}{%- endif -%}
    {%- if message["role"] == "tool" -%}{%- set content = "<|tool_response_start|>" + content + "<|tool_response_end|>" -%}{%- endif -%}
    {{ content + "<|im_end|>\n" }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ "<|im_start|>assistant\n" }}{%- endif -%}""",
"""{{- bos_token -}}
{%- set keep = keep_past_thinking | default(false) -%}
{%- macro show(value, quote='"') -%}
    {%- if value is string -%}{{ quote ~ value ~ quote }}
    {%- elif value is mapping -%}{{ value | tojson }}
    {%- elif value is none -%}null
    {%- else -%}{{ value | string }}{%- endif -%}
{%- endmacro -%}
{%- macro calls(list) -%}
    {%- set out = namespace(items=[]) -%}
    {%- for call in list -%}
        {%- set args = namespace(items=[]) -%}
        {%- for name, value in call.function.arguments.items() -%}
            {%- set args.items = args.items + [name ~ "=" ~ show(value)] -%}
        {%- endfor -%}
        {%- set out.items = out.items + [call.function.name ~ "(" ~ args.items | join(", ") ~ ")"] -%}
    {%- endfor -%}
    {{- "<|tool_call_start|>[" ~ out.items | join(", ") ~ "]<|tool_call_end|>" -}}
{%- endmacro -%}
{%- set ns = namespace(last=-1) -%}
{%- for message in messages -%}{%- if message.role == "assistant" -%}{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}
{%- if tools -%}{{- "Today's date: " ~ strftime_now("%Y-%m-%d") ~ "\n\nList of tools: " ~ tools | tojson ~ "\n" -}}{%- endif -%}
{%- for message in messages -%}
    {{- "<|im_start|>" ~ message.role ~ "\n" -}}
    {%- if message.role == "assistant" -%}
        {%- generation -%}
        {%- if message.tool_calls is defined -%}{{- calls(message.tool_calls) -}}{%- endif -%}
        {%- set content = message.content -%}
        {%- if not keep and loop.index0 != ns.last and "</think>" in content -%}
            {%- set content = content.split("</think>")[-1] | trim -%}
        {%- endif -%}
        {{- content -}}
        {%- endgeneration -%}
    {%- elif message.content is string -%}{{- message.content -}}
    {%- else -%}
        {%- for part in message.content -%}{{- "<image>" if part.type == "image" else part.text -}}{%- endfor -%}
    {%- endif -%}
    {{- "<|im_end|>\n" -}}
{%- endfor -%}"""],
      messages=MESSAGES, tools=TOOLS, bos_token="<|startoftext|>", add_generation_prompt=True)

group("era Llama", ["""{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- The system message comes first, if there is one #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start|>system<|end|>\\n\\n" }}
{{- "Today: " + date_string + "\\n\\n" }}
{%- if tools is not none %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start|>' + message['role'] + '<|end|>\\n\\n'+ (message['content'] | string | trim) + '<|eot|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("one call only") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start|>assistant<|end|>\\n\\n' -}}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
        {{- "<|eot|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start|>ipython<|end|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start|>assistant<|end|>\\n\\n' }}
{%- endif %}
"""], messages=MESSAGES, tools=TOOLS, bos_token="<s>", add_generation_prompt=True)

group("era Qwen", ["""{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "# Functions\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""], messages=MESSAGES, tools=TOOLS, add_generation_prompt=True, enable_thinking=False)

group("era Mistral", ["""{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{#- Users and assistants take turns. #}
{%- set ns = namespace(index=0) %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) and strict %}
            {{- raise_exception("roles must alternate") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- elif message["content"] is string %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " ~ (message.content | map(attribute="text", default="[IMG]") | join("")) ~ "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("ids have nine characters") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {{- ", " if not loop.last else "]" + eos_token }}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- elif message["role"] == "tool_results" or message["role"] == "tool" %}
        {%- if message.content is defined and message.content.content is defined %}
            {%- set content = message.content.content %}
        {%- else %}
            {%- set content = message.content %}
        {%- endif %}
        {{- '[RESULTS] {"content": ' + content|string + ", " }}
        {{- '"call_id": "' + message.tool_call_id + '"}[/RESULTS]' }}
    {%- else %}
        {{- raise_exception("unknown role") }}
    {%- endif %}
{%- endfor %}
"""], messages=MESSAGES, tools=TOOLS, bos_token="<s>", eos_token="</s>", strict=False)

group("era others", ["""{% for m in messages %}
  {% if m['role'] == 'user' %}
    {{ '<user>' + m['content']|string + '</user>' }}
  {% elif loop.last %}
    LAST
  {% else %}
    {{ m.role | upper }}: {{ m.content | default('', true) | truncate(12, True) }}
  {% endif %}
{% endfor %}
""", """{% macro render_type(spec) %}
{%- if spec.type == "object" -%}
{ {% for k, v in spec.properties.items() %}{{ k }}{% if k not in spec.required %}?{% endif %}: {{ render_type(v) }}{% if not loop.last %}, {% endif %}{% endfor %} }
{%- elif spec.enum -%}
{{ spec.enum | map("tojson") | join(" | ") }}
{%- elif spec.type is defined -%}
{{ {"string": "string", "integer": "number"}[spec.type] | default("any") }}
{%- else -%}
any
{%- endif -%}
{% endmacro -%}
{%- for tool in tools -%}
{%- set f = tool.function -%}
// {{ f.description or "no description" }}
type {{ f.name }} = (_: {{ render_type(f.parameters) }}) => any;
{% endfor -%}
""", """{%- set roles = namespace(seen=[]) -%}
{%- for m in messages -%}
  {%- if m.role not in roles.seen -%}{%- set roles.seen = roles.seen + [m.role] -%}{%- endif -%}
{%- endfor -%}
{{ roles.seen | sort | join("/") }}: {{ messages | map(attribute="role") | list | unique | list | length }}
{{- "\\n" -}}
{%- for role, group in messages | groupby("role") -%}
  {{ role }}x{{ group | length }}{{ "," if not loop.last }}
{%- endfor -%}
{%- set last = (messages | rejectattr("role", "in", ["tool", "system"]) | list)[-1] %}
{{ last.content }} {{ messages[-1] == last }} {{ (messages | selectattr("tool_calls", "defined") | first).tool_calls[0].function.arguments.keys() | list }}
"""], messages=MESSAGES, tools=TOOLS)
