// Hostile templates: every one ends in a clear error, in little time and memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/json.h"
#include "tests/unit/text/template_support.h"
#include "text/jinja/template.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

const LocalTime kNow = testing::local_time(2025, 3, 9, 14, 5, 6);

JinjaLimits small_limits() {
  JinjaLimits limits;
  limits.steps = 2'000'000;
  limits.value_bytes = 1u << 20;
  limits.memory_bytes = 8u << 20;
  limits.output_bytes = 1u << 20;
  return limits;
}

Result<std::string> run(const std::string& source, const JinjaLimits& limits = small_limits(),
                        const Json& variables = Json::object()) {
  auto parsed = JinjaTemplate::parse(source, "t", limits);
  if (!parsed) return tl::unexpected(parsed.error());
  JinjaVariables named;
  for (auto it = variables.begin(); it != variables.end(); ++it)
    named.emplace_back(it.key(), &it.value());
  return parsed->render(named, kNow);
}

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

void expect_too_large(const std::string& source, const JinjaLimits& limits = small_limits()) {
  SCOPED_TRACE(source.substr(0, 200));
  const auto start = std::chrono::steady_clock::now();
  const auto result = run(source, limits);
  const auto took = std::chrono::steady_clock::now() - start;
  ASSERT_FALSE(result.has_value()) << "gave " << result->size() << " bytes";
  EXPECT_EQ(result.error().code, ErrorCode::TooLarge) << result.error().message;
  EXPECT_THAT(result.error().message, HasSubstr("t: "));
  EXPECT_LT(took, std::chrono::seconds(20));
}

TEST(JinjaLimits, Source) {
  JinjaLimits limits;
  limits.template_bytes = 100;
  EXPECT_TRUE(run(std::string(100, 'x'), limits).has_value());
  expect_too_large(std::string(101, 'x'), limits);
}

TEST(JinjaLimits, DepthOfSource) {
  constexpr int kMany = 50'000;
  const std::pair<const char*, const char*> kNested[] = {
      {"(", ")"},    {"[", "]"},           {"{1:", "}"},     {"-", ""},
      {"not ", ""},  {"x[", "]"},          {"f(", ")"},      {"x|f(", ")"},
      {"x[1:", "]"}, {"1 if 1 else ", ""}, {"x is f(", ")"}, {"1 + (", ")"},
      {"a**-", ""},  {"x is f[", "]"},     {"x.y[", "]"},    {"f(a=", ")"},
      {"f(*", ")"},  {"[1, {2: (", ")}]"}, {"1 if (", ")"}};
  for (const auto& [open, close] : kNested)
    expect_too_large("{{ " + repeated(open, kMany) + "1" + repeated(close, kMany) + " }}");
  for (const char* chain : {"+1", "-1", "*1", "**1", " and 1", " or 1", ".x", "[0]", "()", "|f",
                            " if 1 else 1", " if 1", " is f()"})
    expect_too_large("{{ 1" + repeated(chain, kMany) + " }}");
  for (const char* tag : {"{% if 1 %}", "{% for i in x %}", "{% macro m() %}", "{% set x %}",
                          "{% filter f %}", "{% with %}", "{% generation %}", "{% call m() %}"})
    expect_too_large(repeated(tag, kMany / 5));
  expect_too_large("{% set " + repeated("(", kMany) + "a" + repeated(")", kMany) + " = 1 %}");
  expect_too_large("{% set " + repeated("(a,", kMany) + "a" + repeated(")", kMany) + " = 1 %}");
  expect_too_large("{% filter f" + repeated("|f", kMany) + " %}{% endfilter %}");
}

// Long is not deep: these are lists to the parser.
TEST(JinjaLimits, LongSourceIsFine) {
  EXPECT_TRUE(run("{{ 1" + repeated(" ~ 1", 10'000) + " }}").has_value());
  EXPECT_TRUE(run("{% if 0 %}" + repeated("{% elif 0 %}", 10'000) + "{% endif %}").has_value());
  EXPECT_TRUE(run("{{ [" + repeated("1,", 10'000) + "] }}").has_value());
  EXPECT_TRUE(run("{{ 1" + repeated(" < 2", 1) + repeated(" <= 2", 10'000) + " }}").has_value());
  EXPECT_TRUE(run(repeated("{% set x = 1 %}{{ x }}", 10'000)).has_value());
}

TEST(JinjaLimits, Steps) {
  expect_too_large(
      "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}");
  expect_too_large(
      "{% for a in range(99999) if false %}{% for b in range(9) %}{% endfor %}{% endfor %}" +
      repeated("{% for a in range(100000) %}{% endfor %}", 100));
  // Expensive comparisons, searches and copies count by their size.
  const std::string big = "{% set s = 'a' * 1000000 %}";
  expect_too_large(big + "{% for a in range(100000) %}{% if s == s ~ '' %}{% endif %}{% endfor %}");
  expect_too_large(big + "{% for a in range(100000) %}{% if 'b' in s %}{% endif %}{% endfor %}");
  expect_too_large(big + "{% for a in range(100000) %}{% set x = s.find('b') %}{% endfor %}");
  expect_too_large(big +
                   "{% for a in range(100000) %}{% set x = s.startswith('b', 5) %}{% endfor %}");
  expect_too_large(big + "{% for a in range(100000) %}{% set x = s|upper %}{% endfor %}");
  expect_too_large(
      "{% set s = 'é' * 300000 %}{% for a in range(100000) %}{{ s[200000] }}{% endfor %}");
  expect_too_large(
      "{% set l = range(30000)|list %}{% for a in range(100000) %}{% set x = l == l[:] %}{% endfor "
      "%}");
  expect_too_large(
      "{% set l = range(30000)|list %}{% for a in range(100000) %}{% set x = -1 in l %}{% endfor "
      "%}");
  expect_too_large(
      "{% set l = range(30000)|list %}{% for a in range(100000) %}{% set x = l|sort %}{% endfor "
      "%}");
}

// A list that holds the same list twice, 60 levels deep: small, but endless to walk.
TEST(JinjaLimits, SharedSubstructure) {
  const std::string twins =
      "{% set ns = namespace(x=[]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% "
      "endfor %}";
  expect_too_large(twins + "{{ ns.x }}");
  expect_too_large(twins + "{{ ns.x | tojson }}");
  expect_too_large(twins + "{{ ns.x | string | length }}");
  expect_too_large(twins +
                   "{% set y = namespace(x=[]) %}{% for i in range(60) %}"
                   "{% set y.x = [y.x, y.x] %}{% endfor %}{{ ns.x == y.x }}");
  const std::string tuples =
      "{% set ns = namespace(x=()) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) %}{% "
      "endfor %}";
  expect_too_large(tuples + "{{ {ns.x: 1} }}");
}

TEST(JinjaLimits, Values) {
  for (const char* expression : {"'a' * 10 ** 9",
                                 "10 ** 9 * 'a'",
                                 "'a' * 10 ** 30",
                                 "[0] * 10 ** 9",
                                 "(1, 2) * 10 ** 12",
                                 "range(10 ** 12)",
                                 "range(0, 10 ** 30, 10 ** 29)",
                                 "'%1000000000d' % 1",
                                 "'%*d' % (2000000000, 1)",
                                 "'%.2000000d' % 1",
                                 "'%.1000000f' % 1.5",
                                 "'{:1000000000}'.format(1)",
                                 "'{:>99999999999999999999}'.format(1)",
                                 "'{:.1000000f}'.format(1.5)",
                                 "'a'.center(10 ** 9)",
                                 "'a'.ljust(10 ** 30)",
                                 "'a'.zfill(10 ** 10)",
                                 "'a'|center(10 ** 9)",
                                 "'a\na'|indent(10 ** 9)",
                                 "[1]|batch(10 ** 9, 0)|list",
                                 "[1]|slice(10 ** 9)|list",
                                 "[1]|tojson(indent=10 ** 9)",
                                 "('a' * 1000000).replace('a', 'b' * 1000000)",
                                 "('a' * 1000000).replace('', 'bb')",
                                 "('b' * 1000).join('a' * 10000)",
                                 "('a,' * 500000).split(',')",
                                 "('a' * 1000000)|list",
                                 "strftime_now('%99999d')",
                                 "2 ** 200",
                                 "10 ** 30 * 10 ** 30",
                                 "2 ** 126 + 2 ** 126",
                                 "99999999999999999999999999999999999999999"})
    expect_too_large(std::string("{{ ") + expression + " }}");
  expect_too_large("{{ ('9' * 50) | int }}");
  expect_too_large("{{ (['b' * 1000] * 10000) | join }}");
  expect_too_large(
      "{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% "
      "endfor %}");
  expect_too_large(
      "{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% "
      "endfor %}");
  expect_too_large(
      "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% "
      "endfor %}");
  expect_too_large(
      "{% set ns = namespace(s=[1]) %}{% for i in range(1000) %}{% set ns.s = [ns.s] %}{% endfor "
      "%}");
  expect_too_large(
      "{% set ns = namespace(s={}) %}{% for i in range(1000) %}{% set ns.s = {'a': ns.s} %}{% "
      "endfor %}");
  expect_too_large(
      "{% set ns = namespace(s='x') %}{% for i in range(1000) %}{% set ns.s = [ns.s]|map('string') "
      "%}{% endfor %}"
      "{% set ns.s = [] %}{% for i in range(1000) %}{% set ns.s = [ns.s]|select %}{% endfor %}");
  expect_too_large(
      "{% set ns = namespace(s='x') %}{% for i in range(1000) %}{% set ns.s = cycler(ns.s) %}{% "
      "endfor %}"
      "{{ ns.s }}{% for i in range(1000) %}{% set ns.s = dict(a=ns.s) %}{% endfor %}");
}

TEST(JinjaLimits, Memory) {
  expect_too_large(
      "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}"
      "{% set ns.l = ns.l + ['x' * 1000] %}{% endfor %}");
  expect_too_large(
      "{% set ns = namespace(h=none) %}{% for i in range(100000) %}"
      "{% set ns.h = namespace(next=ns.h, pad='x' * 1000) %}{% endfor %}");
  expect_too_large(
      "{% macro m(n) %}{% set x = 'x' * 100000 ~ n %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}");
  // The request itself counts.
  Json big = Json::object();
  big["text"] = std::string(9u << 20, 'x');
  auto limits = small_limits();
  limits.value_bytes = 100u << 20;
  const auto result = run("", limits, big);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::TooLarge);
}

TEST(JinjaLimits, MemoryIsGivenBack) {
  // Thousands of texts, loops, namespaces and callers, but few at a time.
  auto limits = small_limits();
  limits.memory_bytes = 1u << 20;
  limits.steps = 20'000'000;
  const auto result =
      run("{% macro n() %}{% set x = caller() %}{% endmacro %}"
          "{% for i in range(2000) %}{% set ns = namespace(s='x' * 100) %}"
          "{% for j in [1] %}{% call n() %}{{ loop.index }}{% endcall %}{% endfor %}"
          "{% set q = [1, 2]|map('string')|list %}{% endfor %}ok",
          limits);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(*result, "ok");
}

TEST(JinjaLimits, Output) {
  expect_too_large("{% for i in range(100000) %}" + std::string(100, 'x') + "{% endfor %}");
  expect_too_large("{% set x %}{% for i in range(100000) %}" + std::string(100, 'x') +
                   "{% endfor %}{% endset %}");
  expect_too_large("{% filter upper %}{% for i in range(100000) %}" + std::string(100, 'x') +
                   "{% endfor %}{% endfilter %}");
}

TEST(JinjaLimits, Recursion) {
  expect_too_large("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}");
  expect_too_large(
      "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}");
  expect_too_large(
      "{% macro m() %}{% call m() %}{% endcall %}{{ caller() }}{% endmacro %}{{ m() }}");
  expect_too_large("{% macro m(x=m()) %}{% endmacro %}{{ m() }}");
  expect_too_large(
      "{% macro m() %}{% filter upper %}{% set x %}{% if true %}{% for i in [1] %}{{ m() }}"
      "{% endfor %}{% endif %}{% endset %}{% endfilter %}{% endmacro %}{{ m() }}");
  expect_too_large("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}");
  expect_too_large("{% set ns = namespace() %}{% set ns.me = [{'a': ns}] %}{{ ns }}");
}

TEST(JinjaLimits, DeepInput) {
  Json deep = Json::array();
  for (int i = 0; i < 2000; ++i) deep = Json::array({std::move(deep)});
  Json variables = Json::object();
  variables["x"] = std::move(deep);
  const auto result = run("{{ x }}", JinjaLimits(), variables);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::TooLarge);
}

TEST(JinjaLimits, CyclesDie) {
  // Under the address sanitizer a leak would fail the run.
  EXPECT_TRUE(run("{% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = b %}"
                  "{% set a.me = [a, {'b': b}] %}{% for i in [1] %}{% set a.l = loop %}"
                  "{% if loop.changed(loop) %}{% endif %}{% endfor %}"
                  "{% macro m() %}{{ m is defined }}{% endmacro %}{% set a.m = m %}{{ m() }}")
                  .has_value());
  // A chain of namespaces, linked from its start: freed without recursion.
  EXPECT_TRUE(run("{% set ns = namespace(head=none) %}{% for i in range(2000) %}"
                  "{% set n = namespace(next=ns.head) %}{% set ns.head = n %}{% endfor %}")
                  .has_value());
}

// In a thread with the usual 8 MiB of stack, also with a sanitizer's larger frames.
TEST(JinjaLimits, DefaultDepthFitsTheStack) {
  std::thread([] {
    expect_too_large(
        "{% macro m() %}{% for i in [1] %}{% if true %}{{ (m() ~ '') | upper }}{% endif %}"
        "{% endfor %}{% endmacro %}{{ m() }}",
        JinjaLimits());
    expect_too_large("{{ " + repeated("(", 50'000) + repeated(")", 50'000) + " }}", JinjaLimits());
  }).join();
}

TEST(JinjaSandbox, NothingCanBeChangedOrReached) {
  for (const char* expression :
       {"[].append(1)", "{}.update({})", "''.__class__.mro()", "range.__self__.x",
        "().__class__.__base__", "namespace.__init__.__globals__", "cycler.__init__",
        "m.__globals__.x", "''.format.__self__.x", "'{0.__class__.__init__}'.format(1).x.y",
        "self.x", "open('/etc/passwd')", "lipsum()", "_", "x.y"}) {
    const auto result = run(std::string("{{ ") + expression + " }}");
    if (result) {
      EXPECT_EQ(*result, "") << expression;
    } else {
      EXPECT_EQ(result.error().code, ErrorCode::InvalidArgument) << expression;
    }
  }
}

TEST(JinjaParse, MalformedSourceIsRefused) {
  for (const char* source :
       {"\xff", "\xed\xa0\x80", "{{ '\\ud800' }}", "{{ '\\x4' }}", "{{ '\\U00110000' }}",
        "{{ '\\N{DASH}' }}", "{{", "{%", "{#", "{{ ' }}", "{% raw %}{% endraw", "{{ 0x }}",
        "{{ @ }}", "{{ \xc3\xa9\xc2\xa0\xe2\x82\xac }}", "{% for i in x recursive %}{% endfor %}",
        "{% block x %}{% endblock %}", "{% autoescape true %}{% endautoescape %}"}) {
    const auto parsed = JinjaTemplate::parse(source, "t");
    EXPECT_FALSE(parsed.has_value()) << source;
  }
}

}  // namespace
}  // namespace millrace
