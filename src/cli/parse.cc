// `millrace parse`: a model's answer taken apart as the server does it, to try cases by hand.
#include <fmt/format.h>

#include <iostream>
#include <iterator>

#include "base/json.h"
#include "cli/command.h"
#include "text/tool_calls/answer_parser.h"

namespace millrace::cli {
namespace {

struct ParseOptions {
  std::string tools;
  bool thinking = false;
  bool no_reasoning = false;
  bool no_tool_calls = false;
  bool cut = false;
  bool events = false;
  bool lines = false;
};

std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

Json to_json(const ParsedAnswer& answer) {
  Json calls = Json::array();
  for (const ParsedCall& call : answer.calls)
    calls.push_back({{"name", call.name}, {"arguments", call.arguments}});
  return {{"reasoning", answer.reasoning},
          {"content", answer.content},
          {"tool_calls", std::move(calls)},
          {"problems", answer.problems}};
}

std::string_view name_of(AnswerEvent::Kind kind) {
  switch (kind) {
    case AnswerEvent::Kind::Reasoning:
      return "reasoning";
    case AnswerEvent::Kind::Content:
      return "content";
    case AnswerEvent::Kind::CallBegin:
      return "call_begin";
    case AnswerEvent::Kind::CallArguments:
      return "call_arguments";
    case AnswerEvent::Kind::CallEnd:
      return "call_end";
    case AnswerEvent::Kind::Problem:
      return "problem";
  }
  return "";
}

// Character by character, as a slow stream would bring it.
void print_events(std::string_view text, const AnswerSyntax& syntax, bool cut) {
  AnswerParser parser(syntax);
  std::vector<AnswerEvent> events;
  for (const char& c : text) parser.push({&c, 1}, events);
  parser.finish(cut, events);
  for (const AnswerEvent& event : events) {
    Json line = {{"event", name_of(event.kind)}};
    if (event.call >= 0) line["call"] = event.call;
    if (!event.text.empty()) line["text"] = event.text;
    fmt::print("{}\n", dump(line, -1));
  }
}

Status parse(const ParseOptions& options) {
  AnswerSyntax syntax{.reasoning = !options.no_reasoning,
                      .tool_calls = !options.no_tool_calls,
                      .starts_in_reasoning = options.thinking};
  if (!options.tools.empty())
    syntax.tools = tool_parameters(MILLRACE_TRY(read_json_file(options.tools)));
  if (options.lines) {
    std::string line;
    for (std::size_t number = 1; std::getline(std::cin, line); ++number) {
      const Json text = MILLRACE_TRY(parse_json(line, fmt::format("line {}", number)));
      if (!text.is_string())
        return fail(ErrorCode::InvalidArgument, "line {}: found {}, expected a JSON string", number,
                    json_type_name(text));
      fmt::print(
          "{}\n",
          dump(to_json(parse_answer(text.get_ref<const std::string&>(), syntax, options.cut)), -1));
    }
    return {};
  }
  const std::string text{std::istreambuf_iterator<char>(std::cin),
                         std::istreambuf_iterator<char>()};
  if (options.events)
    print_events(text, syntax, options.cut);
  else
    fmt::print("{}\n", dump(to_json(parse_answer(text, syntax, options.cut)), 2));
  return {};
}

}  // namespace

Command add_parse(CLI::App& app) {
  auto options = std::make_shared<ParseOptions>();
  CLI::App* parse_app = app.add_subcommand(
      "parse", "Take a model's answer on standard input apart: reasoning, content, tool calls");
  parse_app->add_option("--tools", options->tools,
                        "JSON file with the tools: names arguments that were written without one");
  parse_app->add_flag("--thinking", options->thinking, "The prompt ended inside <think>");
  parse_app->add_flag("--no-reasoning", options->no_reasoning, "<think> is ordinary text");
  parse_app->add_flag("--no-tool-calls", options->no_tool_calls, "Call marks are ordinary text");
  parse_app->add_flag("--cut", options->cut, "The answer was cut off by max_tokens");
  parse_app->add_flag("--events", options->events, "Print what a stream would send, a line each");
  parse_app->add_flag("--lines", options->lines,
                      "Each line is an answer, written as a JSON string; one line out for each");
  return {parse_app, [=] { return parse(*options); }};
}

}  // namespace millrace::cli
