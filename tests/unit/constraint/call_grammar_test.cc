// Calls made under masks alone: the parser must read each without a problem, with the arguments
// that the tools' schemas ask for.
#include "constraint/call_grammar.h"

#include <regex>
#include <set>

#include "base/json.h"
#include "constraint/python_values.h"
#include "tests/unit/constraint/grammar_support.h"
#include "text/tool_calls/answer_parser.h"

namespace millrace::testing {
namespace {

constexpr TokenId kCall = 10, kCallEnd = 11;

const Json& tools() {
  static const Json kTools = Json::parse(R"([
    {"type": "function", "function": {"name": "weather", "parameters": {"type": "object",
      "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": -3, "maximum": 120},
                     "unit": {"enum": ["C", "F", "it's \"K\""]}},
      "required": ["city"]}}},
    {"type": "function", "function": {"name": "store.put", "parameters": {"type": "object",
      "properties": {"a": {"type": "boolean"}, "b": {"type": ["number", "null"]},
        "c": {"type": "array", "items": {"type": "object", "properties": {"k": {"type": "null"},
              "v": {"$ref": "#/$defs/leaf"}}, "required": ["v"]}, "minItems": 1, "maxItems": 2},
        "d": {"type": "string", "pattern": "[ab]{3}"}, "e": {"anyOf": [{"const": {"x": [1, true]}},
        {"type": "string", "minLength": 2, "maxLength": 4}]}},
      "required": ["b", "c", "d", "e"], "$defs": {"leaf": {"type": "array", "prefixItems": [
        {"type": "integer"}, {"type": "boolean"}]}}}}},
    {"type": "function", "function": {"name": "now"}}
  ])");
  return kTools;
}

std::string random_call(const CallRules& rules, std::uint64_t seed) {
  const auto source = call_source(tools(), rules, kCall, kCallEnd);
  EXPECT_TRUE(source.has_value()) << source.error().message;
  std::string text = random_text(compiled(*source), seed);
  return rules.begins_with_mark ? text : "<|tool_call_start|>" + text;
}

void check_call(const ParsedCall& call) {
  const Json arguments = Json::parse(call.arguments, nullptr, false);
  ASSERT_TRUE(arguments.is_object()) << call.arguments;
  if (call.name == "weather") {
    EXPECT_TRUE(arguments["city"].is_string()) << call.arguments;
    const Json days = arguments.value("days", Json(0));
    EXPECT_TRUE(days >= -3 && days <= 120) << call.arguments;
    const Json unit = arguments.value("unit", Json("C"));
    EXPECT_TRUE(unit == "C" || unit == "F" || unit == "it's \"K\"") << call.arguments;
  } else if (call.name == "store.put") {
    EXPECT_TRUE(arguments["b"].is_number() || arguments["b"].is_null()) << call.arguments;
    ASSERT_TRUE(arguments["c"].is_array() && !arguments["c"].empty()) << call.arguments;
    for (const Json& each : arguments["c"]) {
      ASSERT_EQ(each["v"].size(), 2u) << call.arguments;
      EXPECT_TRUE(each["v"][0].is_number_integer() && each["v"][1].is_boolean()) << call.arguments;
    }
    EXPECT_TRUE(std::regex_match(arguments["d"].get<std::string>(), std::regex("[ab]{3}")));
    EXPECT_TRUE(arguments["e"].is_string() || arguments["e"] == Json({{"x", {1, true}}}))
        << call.arguments;
  } else {
    EXPECT_EQ(call.name, "now");
    EXPECT_EQ(call.arguments, "{}");
  }
}

TEST(CallGrammar, EveryTextIsACall) {
  std::set<std::string> names;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const std::string text = random_call({.begins_with_mark = seed % 2 == 0}, seed);
    const ParsedAnswer answer = parse_answer(text, {});
    ASSERT_TRUE(answer.problems.empty()) << text << "\n" << answer.problems.front();
    ASSERT_FALSE(answer.calls.empty()) << text;
    EXPECT_EQ(answer.content, "") << text;
    for (const ParsedCall& call : answer.calls) {
      names.insert(call.name);
      check_call(call);
    }
  }
  EXPECT_EQ(names.size(), 3u);
}

TEST(CallGrammar, OneCallOfOneTool) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const ParsedAnswer answer =
        parse_answer(random_call({.one_call = true, .only = "weather"}, seed), {});
    ASSERT_EQ(answer.calls.size(), 1u);
    EXPECT_EQ(answer.calls[0].name, "weather");
  }
}

TEST(CallGrammar, StrictToolsAreRefusedByName) {
  const auto strict = [](const std::string& property) {
    const Json tool = Json::parse(R"([{"type": "function", "function": {"name": "f", "strict": true,
      "parameters": {"type": "object", "properties": {"x": )" +
                                  property + "}}}}]");
    const auto source = call_source(tool, {}, kCall, kCallEnd);
    return source ? "" : source.error().message;
  };
  EXPECT_EQ(strict(R"({"type": "integer", "minimum": 3})"), "");
  EXPECT_EQ(strict(R"({"type": "number", "minimum": 3})"),
            "tool 'f', x: 'minimum' is not supported in a strict tool");
  EXPECT_EQ(strict(R"({"not": {}})"), "tool 'f', x: 'not' is not supported in a strict tool");
  EXPECT_NE(strict(R"({"type": "word"})"), "");
}

TEST(CallGrammar, NamesThatCannotBeWritten) {
  const auto named = [](const char* function, const char* argument) {
    const Json tool = {
        {{"function",
          {{"name", function}, {"parameters", {{"properties", {{argument, Json::object()}}}}}}}}};
    return call_source(tool, {}, kCall, kCallEnd).has_value();
  };
  EXPECT_TRUE(named("get-weather.now", "city"));
  EXPECT_FALSE(named("get weather", "city"));
  EXPECT_FALSE(named("get", "a b"));
  EXPECT_FALSE(named("get", "1"));
}

TEST(CallGrammar, ASchemaThatRefersToItself) {
  const Json tool = Json::parse(
      R"([{"function": {"name": "f", "parameters": {"properties": {"t": {"$ref": "#/$defs/t"}},
    "required": ["t"], "$defs": {"t": {"type": "object", "properties": {"next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/t"}]}},
    "required": ["next"]}}}}}])");
  const auto source = call_source(tool, {.begins_with_mark = true}, kCall, kCallEnd);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const ParsedAnswer answer = parse_answer(random_text(compiled(*source), seed), {});
    ASSERT_FALSE(answer.calls.empty());
    EXPECT_TRUE(Json::parse(answer.calls[0].arguments)["t"].contains("next"));
  }
}

TEST(CallGrammar, IntegerRanges) {
  const std::pair<std::int64_t, std::int64_t> ranges[] = {
      {0, 0}, {0, 9}, {5, 7}, {3, 1204}, {-12, -3}, {-105, 98}, {99, 100}, {1000, 999999}};
  for (const auto& [low, high] : ranges) {
    const auto grammar = compiled(
        {.kind = GrammarSource::Kind::Grammar, .text = "root ::= " + integer_range(low, high)});
    const auto matches = [&](std::int64_t value) {
      const auto matcher = grammar->matcher();
      const auto tokens =
          nano_compiler().tokenizer().encode(std::to_string(value), {.add_special_tokens = false});
      for (const TokenId token : *tokens)
        if (!matcher->accept(token)) return false;
      return matcher->is_complete();
    };
    for (std::int64_t value = low - 120; value <= std::min(high + 120, low + 3000); ++value)
      EXPECT_EQ(matches(value), value >= low && value <= high)
          << low << ".." << high << ": " << value;
  }
}

}  // namespace
}  // namespace millrace::testing
