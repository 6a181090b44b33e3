// Schemas, regular expressions, grammars and choices: texts made under masks alone must fit; what
// is not supported is refused by name; what would take long is refused for its size.
#include <chrono>
#include <regex>
#include <set>

#include "base/json.h"
#include "constraint/grammar_text.h"
#include "constraint/schema_check.h"
#include "tests/unit/constraint/grammar_support.h"

namespace millrace::testing {
namespace {

using Kind = GrammarSource::Kind;
constexpr std::uint64_t kSeeds = 200;

std::string refusal(Kind kind, const std::string& text) {
  const auto started = std::chrono::steady_clock::now();
  const auto grammar = nano_compiler().compile({.kind = kind, .text = text});
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(30))
      << text.substr(0, 80);
  return grammar ? "" : grammar.error().message;
}

// JSON has numbers that no double holds.
Json parsed(const std::string& text) {
  return Json::parse(std::regex_replace(text, std::regex("[eE][+-]?[0-9]{3,}"), ""), nullptr,
                     false);
}

TEST(Schema, TextsFit) {
  const auto grammar = compiled({.kind = Kind::JsonSchema, .text = R"({
    "type": "object",
    "properties": {
      "name": {"type": "string", "maxLength": 12},
      "age": {"type": "integer", "minimum": 0, "maximum": 130},
      "kind": {"enum": ["cat", "dog", 3, null]},
      "tags": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
      "place": {"$ref": "#/$defs/place"},
      "day": {"type": "string", "format": "date"}
    },
    "required": ["name", "age", "kind", "tags", "place"],
    "$defs": {"place": {"type": "object", "properties": {"x": {"type": "number"}, "in": {"anyOf": [
      {"type": "null"}, {"$ref": "#/$defs/place"}]}}, "required": ["x", "in"]}}
  })"});
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const std::string text = random_text(grammar, seed);
    const Json json = parsed(text);
    ASSERT_TRUE(json.is_object()) << text;
    EXPECT_LE(json["name"].get<std::string>().size(), 48u) << text;
    EXPECT_TRUE(json["age"].is_number_integer() && json["age"] >= 0 && json["age"] <= 130) << text;
    EXPECT_TRUE(json["kind"] == "cat" || json["kind"] == "dog" || json["kind"] == 3 ||
                json["kind"].is_null())
        << text;
    EXPECT_TRUE(json["tags"].size() >= 1 && json["tags"].size() <= 3) << text;
    EXPECT_TRUE(json["place"]["x"].is_number()) << text;
    const std::string day = json.value("day", "2026-11-27");
    EXPECT_TRUE(std::regex_match(day, std::regex("\\d{4}-\\d\\d-\\d\\d"))) << text;
  }
}

TEST(Schema, AnythingMeansAnything) {
  const auto grammar = compiled({.kind = Kind::JsonSchema, .text = R"({"type": "object"})"});
  bool any = false;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Json json = parsed(random_text(grammar, seed));
    ASSERT_TRUE(json.is_object());
    any = any || !json.empty();
  }
  EXPECT_TRUE(any);
  const Json schema = *checked_schema(Json::parse(R"({"type": "array"})"));
  EXPECT_EQ(schema["items"], true);
}

TEST(Schema, RegexGrammarAndChoice) {
  const auto regex = compiled({.kind = Kind::Regex, .text = "[A-C]{2,4}-\\d+(\\.5)?"});
  const auto ebnf =
      compiled({.kind = Kind::Grammar, .text = "root ::= \"<\" (root | [xyz]{1,3}) \">\""});
  const std::vector<std::string> texts = {"yes", "no", "say \"so\"\n", "\xc3\xa9t\xc3\xa9"};
  const auto choice = compiled(choice_source(texts));
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const std::string one = random_text(regex, seed);
    EXPECT_TRUE(std::regex_match(one, std::regex("[A-C]{2,4}-\\d+(\\.5)?"))) << one;
    const std::string two = random_text(ebnf, seed);
    EXPECT_TRUE(std::regex_match(two, std::regex("<+[xyz]{1,3}>+"))) << two;
    seen.insert(random_text(choice, seed));
  }
  EXPECT_EQ(seen, std::set<std::string>(texts.begin(), texts.end()));
}

TEST(Schema, WhatIsNotSupportedIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"not": {"type": "null"}})", "'not' is not supported"},
      {R"({"type": "array", "items": true, "uniqueItems": true})",
       "'uniqueItems' is not supported"},
      {R"({"type": "object", "properties": {"a": {"if": {}}}})", "schema.properties.a: 'if'"},
      {R"({"allOf": [{"type": "null"}, {"type": "string"}]})", "schema.allOf: more than one"},
      {R"({"anyOf": [{"type": "null"}], "type": "null"})", "'type' beside 'anyOf'"},
      {R"({"type": "string", "format": "colour"})", "schema.format: 'colour'"},
      {R"({"minLength": 3})", "'minLength' needs a type"},
      {R"({"$ref": "http://example.com/a"})", "outside this schema"},
      {R"({"$ref": "#/$defs/none"})", "'#/$defs/none' is not in the schema"},
      {R"({"$ref": "#"})", "references go in a circle"},
      {R"({"type": "text"})", "schema.type: found \"text\""},
      {R"({"type": "string", "pattern": "a(?=b)c"})", "ookahead"},
      {R"({"type": "string", "pattern": "(a{1000}){1000}"})", "more than 4096 times"},
      {R"({"type": "number", "multipleOf": 0.1})", "multipleOf"},
      {R"({"type": "array", "items": true, "maxItems": 100000})", "schema.maxItems: found 100000"},
      {R"({"enum": []})", "schema.enum"},
      {R"({"enum": ["a", 1], "type": "string"})", "1 is not of the type"},
      {R"({"type": "string", "colour": 1})", "'colour' is not supported"},
      {"[]", "schema: found array"},
      {"{", "schema"},
  };
  for (const auto& [schema, wanted] : cases)
    EXPECT_NE(refusal(Kind::JsonSchema, schema).find(wanted), std::string::npos)
        << schema << "\n"
        << refusal(Kind::JsonSchema, schema);
}

TEST(Schema, LimitsAreClear) {
  std::string deep = "{}";
  for (int i = 0; i < 100; ++i) deep = R"({"type": "array", "items": )" + deep + "}";
  EXPECT_NE(refusal(Kind::JsonSchema, deep).find("deeper than"), std::string::npos);
  Json many = Json::array();
  for (int i = 0; i < 5000; ++i) many.push_back(i);
  EXPECT_NE(refusal(Kind::JsonSchema, Json{{"enum", many}}.dump()).find("the limit is 4096"),
            std::string::npos);
  EXPECT_NE(refusal(Kind::Regex, "(a{100}){100}").find("more than 4096"), std::string::npos);
  EXPECT_NE(refusal(Kind::Regex, std::string(5000, 'a')).find("the limit is 4096"),
            std::string::npos);
  EXPECT_NE(refusal(Kind::Regex, std::string(100, '(')).find("nest deeper"), std::string::npos);
  EXPECT_NE(refusal(Kind::Grammar, "root ::= (\"a\"{90} \"b\"){90}").find("more than 4096"),
            std::string::npos);
  EXPECT_NE(refusal(Kind::Grammar, "rot ::= \"a\""), "");
  EXPECT_NE(refusal(Kind::Grammar, "root ::= other"), "");
  EXPECT_NE(refusal(Kind::Regex, "["), "");
  // Catastrophic for a matcher that goes back; not for one that does not.
  EXPECT_EQ(refusal(Kind::Regex, "(a+)+$"), "");
  EXPECT_EQ(refusal(Kind::Regex, "(a|a|aa)*b"), "");
}

}  // namespace
}  // namespace millrace::testing
