#include "constraint/call_grammar.h"

#include <algorithm>

#include "base/json.h"
#include "constraint/grammar_text.h"
#include "constraint/python_values.h"

namespace millrace {
namespace {

constexpr int kMostCalls = 32;

// Names that the parser of calls reads: see text/tool_calls/call_parser.cc.
bool is_readable_name(std::string_view name, bool dots) {
  const auto begins = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
  };
  if (name.empty() || !begins(name.front()) || name.back() == '.' || name.back() == '-')
    return false;
  return std::all_of(name.begin(), name.end(), [&](char c) {
    return begins(c) || (c >= '0' && c <= '9') || (dots && (c == '.' || c == '-'));
  });
}

const Json& function_of(const Json& tool) {
  const Json* function = json_find(tool, "function");
  return function ? *function : tool;
}

bool is_strict(const Json& tool) {
  for (const Json* place : {&function_of(tool), &tool})
    if (const Json* strict = json_find(*place, "strict"); strict && *strict == true) return true;
  return false;
}

}  // namespace

bool has_strict_tool(const Json& tools) {
  return std::any_of(tools.begin(), tools.end(), is_strict);
}

Result<GrammarSource> call_source(const Json& tools, const CallRules& rules, TokenId begin_mark,
                                  TokenId end_mark) {
  // Rules of both kinds would collide; one strict tool makes all of them so.
  PythonValues values(has_strict_tool(tools));
  const std::string space = "\" \"?";
  std::string calls;
  static const Json kNothing = Json::object();
  for (const Json& tool : tools) {
    const Json& function = function_of(tool);
    const auto name = function["name"].get<std::string>();
    if (!rules.only.empty() && name != rules.only) continue;
    if (!is_readable_name(name, true))
      return fail(ErrorCode::Unsupported, "tool '{}': such a name cannot be called",
                  name.substr(0, 60));
    const Json* given = json_find(function, "parameters");
    const Json& schema = given ? *given : kNothing;
    const Json* properties = json_find(schema, "properties");
    const Json* required = json_find(schema, "required");
    std::vector<PythonValues::Member> arguments;
    if (properties && properties->is_object())
      for (const auto& [argument, property] : properties->items()) {
        const std::string where = fmt::format("tool '{}', {}", name.substr(0, 60), argument);
        if (!is_readable_name(argument, false))
          return fail(ErrorCode::Unsupported, "{}: such a name cannot be an argument's", where);
        arguments.push_back({.head = grammar_literal(argument + "="),
                             .value = MILLRACE_TRY(values.value(property, schema, where)),
                             .required = required && required->is_array() &&
                                         std::find(required->begin(), required->end(), argument) !=
                                             required->end()});
      }
    calls += fmt::format("{}{} {} \")\"", calls.empty() ? "" : " | ", grammar_literal(name + "("),
                         values.members(arguments, ""));
  }
  if (calls.empty())
    return fail(ErrorCode::InvalidArgument, "no tool is called '{}'", rules.only.substr(0, 60));
  GrammarSource source = {.kind = GrammarSource::Kind::Grammar, .text = {}};
  source.text = fmt::format(
      "root ::= {}\"[\" call{} \"]\" Token({})\ncall ::= {}\n{}",
      rules.begins_with_mark ? fmt::format("Token({}) ", begin_mark) : "",
      rules.one_call ? "" : fmt::format(" (\",\" {} call){{0,{}}}", space, kMostCalls - 1),
      end_mark, calls, values.rules());
  return source;
}

}  // namespace millrace
