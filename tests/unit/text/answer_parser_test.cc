#include "text/tool_calls/answer_parser.h"

#include <gtest/gtest.h>

#include <random>

#include "base/json.h"

namespace millrace {
namespace {

struct Case {
  std::string name;
  std::string text;
  std::string content = {};
  std::vector<std::pair<std::string, std::string>> calls = {};  // name, arguments
  std::string reasoning = {};
  bool problem = false;
  AnswerSyntax syntax = {};
  bool cut = false;
};

std::string block(const std::string& inside) {
  return "<|tool_call_start|>" + inside + "<|tool_call_end|>";
}

Case call(std::string name, const std::string& written, std::string arguments) {
  return {.name = std::move(name),
          .text = block("[f(" + written + ")]"),
          .calls = {{"f", std::move(arguments)}}};
}

// Unparsable: every character comes back as content.
Case broken(std::string name, const std::string& text) {
  return {.name = std::move(name), .text = text, .content = text, .problem = true};
}

std::vector<Case> cases() {
  const AnswerSyntax inside{.starts_in_reasoning = true};
  const AnswerSyntax tools{.tools = {{"f", {"city", "unit"}}}};
  return {
      {.name = "text", .text = "Hello <b>you</b> < 3", .content = "Hello <b>you</b> < 3"},
      {.name = "leading space", .text = "\n Hi ", .content = "\n Hi "},
      call("none", "", "{}"),
      call("string", R"(a="x")", R"({"a": "x"})"),
      call("single quotes", R"(a='it "is"')", R"({"a": "it \"is\""})"),
      call("nested", R"(a=[1, {"k": None, 'l': [True, (2, 3)]}], b={})",
           R"({"a": [1, {"k": null, "l": [true, [2, 3]]}], "b": {}})"),
      call("brackets in strings", R"(a=")]},[({", b='<x>')", R"({"a": ")]},[({", "b": "<x>"})"),
      call("escapes", R"(a="\n\t\\\"\'\x41\u00e9\U0001F600\101\q\
")",
           R"({"a": "\n\t\\\"'Aé😀A\\q"})"),
      call("surrogates", R"(a="\ud83d\ude00 \ud83d")", "{\"a\": \"😀 \xEF\xBF\xBD\"}"),
      call("raw newline and tab", "a=\"x\n\ty\"", R"({"a": "x\n\ty"})"),
      call("nul", std::string("a=\"x\0y\"", 7), R"({"a": "x\u0000y"})"),
      call("raw string", R"(a=r"\d+")", R"({"a": "\\d+"})"),
      call("triple quotes", "a=\"\"\"say \"hi\"\nthere\"\"\"", R"({"a": "say \"hi\"\nthere"})"),
      call("empty strings", R"(a="", b='')", R"({"a": "", "b": ""})"),
      call("adjacent strings", R"(a="x" 'y' "z", b=("p" "q"))", R"({"a": "xyz", "b": "pq"})"),
      call("keywords as names", "from=1, class=2, in=3, None=4",
           R"({"from": 1, "class": 2, "in": 3, "None": 4})"),
      call("json words", "a=true, b=false, c=null", R"({"a": true, "b": false, "c": null})"),
      call("numbers", "a=-1, b=+2, c=- 3.5, d=1e5, e=.5, f=5., g=1_000, h=0x1F, i=0b101, j=0o17",
           R"({"a": -1, "b": 2, "c": -3.5, "d": 1.0e5, "e": 0.5, "f": 5.0, "g": 1000, "h": 31, )"
           R"("i": 5, "j": 15})"),
      call("leading zeros", "month=07, zero=00, year=-0012, t=007.50",
           R"({"month": 7, "zero": 0, "year": -12, "t": 7.50})"),
      call("large", "a=123456789012345678901234567890", R"({"a": 123456789012345678901234567890})"),
      call("keys", R"(a={1: 2, None: 3, True: 4, -1.5: 5})",
           R"({"a": {"1": 2, "null": 3, "true": 4, "-1.5": 5}})"),
      call("trailing commas", "a=[1,], b=(2,), c={'k': 1,},",
           R"({"a": [1], "b": [2], "c": {"k": 1}})"),
      call("parentheses", "a=(1), b=((2)), c=(), d=((1, 2), (3))",
           R"({"a": 1, "b": 2, "c": [], "d": [[1, 2], 3]})"),
      call("unicode", "größe=\"東京\"", "{\"größe\": \"東京\"}"),
      call("white space", " a = 1 ,\n b\t= [ 1 , 2 ] ", R"({"a": 1, "b": [1, 2]})"),
      call("stray quotes", R"(a="he said "hi" to me", b=1)",
           R"({"a": "he said \"hi\" to me", "b": 1})"),
      call("stray apostrophe", "a='it's fine'", R"({"a": "it's fine"})"),
      call("stray at the end", R"(a="say "hi"")", R"({"a": "say \"hi\""})"),
      call("html", R"(a="<a href="x">y</a>")", R"({"a": "<a href=\"x\">y</a>"})"),
      {.name = "several",
       .text = block(R"([f(a=1), g(), a.b-c(x="]")])"),
       .calls = {{"f", R"({"a": 1})"}, {"g", "{}"}, {"a.b-c", R"({"x": "]"})"}}},
      {.name = "around",
       .text = "Let me see. " + block("[f()]") + " One moment.",
       .content = "Let me see.  One moment.",
       .calls = {{"f", "{}"}}},
      {.name = "two blocks",
       .text = block("[f()]") + "\n" + block("[g(a=1)]"),
       .content = "\n",
       .calls = {{"f", "{}"}, {"g", R"({"a": 1})"}}},
      {.name = "no list", .text = block("f(a=1)"), .calls = {{"f", R"({"a": 1})"}}},
      {.name = "one a line",
       .text = block("f(a=1)\ng(b=2)"),
       .calls = {{"f", R"({"a": 1})"}, {"g", R"({"b": 2})"}}},
      {.name = "no end mark",
       .text = "<|tool_call_start|>[f(a=1)]",
       .calls = {{"f", R"({"a": 1})"}}},
      {.name = "no bracket", .text = "<|tool_call_start|>[f(a=1)", .calls = {{"f", R"({"a": 1})"}}},
      {.name = "no parenthesis",
       .text = "<|tool_call_start|>[f(a=\"x\"",
       .calls = {{"f", R"({"a": "x"})"}}},
      {.name = "no parenthesis, number",
       .text = "<|tool_call_start|>[f(a=12",
       .calls = {{"f", R"({"a": 12})"}}},
      {.name = "cut",
       .text = "<|tool_call_start|>[f(a=12",
       .content = "<|tool_call_start|>[f(a=12",
       .problem = true,
       .cut = true},
      {.name = "cut behind a call",
       .text = "<|tool_call_start|>[f(a=1), g(b=\"x",
       .content = "<|tool_call_start|>, g(b=\"x",
       .calls = {{"f", R"({"a": 1})"}},
       .problem = true,
       .cut = true},
      {.name = "second start for an end",
       .text = "<|tool_call_start|>[f()]<|tool_call_start|>[g()]",
       .calls = {{"f", "{}"}, {"g", "{}"}}},
      {.name = "echo",
       .text = block("[f(a=1)]") + "[f(a=1)]<|tool_call_end|>Done",
       .content = "Done",
       .calls = {{"f", R"({"a": 1})"}}},
      {.name = "no echo",
       .text = block("[f(a=1)]") + "[f(a=2)]<|tool_call_end|>",
       .content = "[f(a=2)]",
       .calls = {{"f", R"({"a": 1})"}}},
      {.name = "a sibling survives",
       .text = block("[f(a=1), g(b=)]"),
       .content = "<|tool_call_start|>, g(b=)]<|tool_call_end|>",
       .calls = {{"f", R"({"a": 1})"}},
       .problem = true},
      {.name = "positional",
       .text = block(R"([f("Oslo", "C")])"),
       .calls = {{"f", R"({"city": "Oslo", "unit": "C"})"}},
       .syntax = tools},
      {.name = "positional word",
       .text = block("[f(None, unit=True)]"),
       .calls = {{"f", R"({"city": null, "unit": true})"}},
       .syntax = tools},

      {.name = "json",
       .text = block(R"([{"name": "f", "arguments": {"a": [1, null], "b": "\/"}}])"),
       .calls = {{"f", R"({"a": [1, null], "b": "/"})"}}},
      {.name = "json alone",
       .text = block(R"({"name": "f", "parameters": {}})"),
       .calls = {{"f", "{}"}}},
      {.name = "json order",
       .text = block(R"([{"arguments": {"a": 1}, "id": "x", "name": "f"}])"),
       .calls = {{"f", R"({"a": 1})"}}},
      {.name = "json text",
       .text = block(R"([{"name": "f", "arguments": "{\"a\": 1}"}])"),
       .calls = {{"f", R"({"a": 1})"}}},
      {.name = "json without arguments",
       .text = block(R"([{"name": "f"}, {"name": "g"}])"),
       .calls = {{"f", "{}"}, {"g", "{}"}}},
      {.name = "json wrapped",
       .text = block(R"([{"type": "function", "function": {"name": "f", "arguments": {"a": 1}}}])"),
       .calls = {{"f", R"({"a": 1})"}}},

      broken("empty block", block("")),
      broken("empty list", block("[]")),
      broken("prose", block("I will call f now.")),
      broken("bare word", block("[f(a=Paris)]")),
      broken("twice", block("[f(a=1, a=2)]")),
      broken("positional without tools", block("[f(1)]")),
      broken("operator", block("[f(a=1 + 2)]")),
      broken("method", block(R"([f(a="x".upper(), b="y")])")),
      broken("f string", block(R"([f(a=f"x")])")),
      broken("dict key", block("[f(a={[1]: 2})]")),
      broken("brackets", block("[f(a=[1, (2])]")),
      broken("set", block("[f(a={1, 2})]")),
      broken("no name", block("[(a=1)]")),
      broken("comma", block("[f(a=1,, b=2)]")),
      broken("json no name", block(R"([{"arguments": {}}])")),
      broken("json arguments", block(R"([{"name": "f", "arguments": [1]}])")),
      broken("number", block("[f(a=1.2.3)]")),
      broken("complex", block("[f(a=1j)]")),

      {.name = "think",
       .text = "<think>\nhm <b> \n</think>\n\nYes",
       .content = "Yes",
       .reasoning = "hm <b>"},
      {.name = "think from the template",
       .text = "hm\n</think>\nYes",
       .content = "Yes",
       .reasoning = "hm",
       .syntax = inside},
      {.name = "think twice opened",
       .text = "\n<think>hm</think>Yes",
       .content = "Yes",
       .reasoning = "hm",
       .syntax = inside},
      {.name = "think without end", .text = "<think>so long", .reasoning = "so long", .cut = true},
      {.name = "empty think", .text = "<think></think>Yes", .content = "Yes"},
      {.name = "think later is text",
       .text = "a <think> b </think>",
       .content = "a <think> b </think>"},
      {.name = "call in a thought",
       .text = "<think>I call " + block("[f()]"),
       .calls = {{"f", "{}"}},
       .reasoning = "I call"},
      {.name = "think, text, call",
       .text = "<think>a</think>b" + block("[f()]"),
       .content = "b",
       .calls = {{"f", "{}"}},
       .reasoning = "a"},
      {.name = "no reasoning",
       .text = "<think>a</think>b",
       .content = "<think>a</think>b",
       .syntax = {.reasoning = false}},
      {.name = "no calls",
       .text = block("[f()]"),
       .content = block("[f()]"),
       .syntax = {.tool_calls = false}},
      {.name = "half a mark", .text = "a <|tool_call_st", .content = "a <|tool_call_st"},
  };
}

ParsedAnswer in_pieces(const Case& c, std::mt19937& random, std::size_t most) {
  AnswerParser parser(c.syntax);
  std::vector<AnswerEvent> events;
  for (std::size_t at = 0; at < c.text.size();) {
    const std::size_t count = 1 + random() % most;
    parser.push(std::string_view(c.text).substr(at, count), events);
    at += count;
  }
  parser.finish(c.cut, events);
  ParsedAnswer answer;
  for (const AnswerEvent& event : events) answer.add(event);
  answer.drop_void_calls();
  return answer;
}

void expect(const Case& c, const ParsedAnswer& answer) {
  EXPECT_EQ(answer.content, c.content);
  EXPECT_EQ(answer.reasoning, c.reasoning);
  EXPECT_EQ(!answer.problems.empty(), c.problem);
  ASSERT_EQ(answer.calls.size(), c.calls.size());
  for (std::size_t i = 0; i < c.calls.size(); ++i) {
    EXPECT_EQ(answer.calls[i].name, c.calls[i].first);
    EXPECT_EQ(answer.calls[i].arguments, c.calls[i].second);
    EXPECT_TRUE(Json::accept(answer.calls[i].arguments)) << answer.calls[i].arguments;
  }
}

TEST(AnswerParser, Cases) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    expect(c, parse_answer(c.text, c.syntax, c.cut));
  }
}

TEST(AnswerParser, PiecesMakeNoDifference) {
  std::mt19937 random(1);
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    expect(c, in_pieces(c, random, 1));
    for (int round = 0; round < 20; ++round) expect(c, in_pieces(c, random, 7));
  }
}

TEST(AnswerParser, StreamsArgumentsWhileTheyAreWritten) {
  AnswerParser parser({});
  std::vector<AnswerEvent> events;
  parser.push("<|tool_call_start|>[write(path=\"a.txt\", text=\"Once upon a ti", events);
  std::string arguments;
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events[0].kind, AnswerEvent::Kind::CallBegin);
  EXPECT_EQ(events[0].text, "write");
  for (const AnswerEvent& event : events)
    if (event.kind == AnswerEvent::Kind::CallArguments) arguments += event.text;
  EXPECT_EQ(arguments, R"({"path": "a.txt", "text": "Once upon a ti)");
}

TEST(AnswerParser, DepthIsLimited) {
  for (const std::string open : {"[", "(", "{'a': "}) {
    std::string text = "<|tool_call_start|>[f(a=";
    for (int i = 0; i < 100000; ++i) text += open;
    const ParsedAnswer answer = parse_answer(text, {});
    EXPECT_TRUE(answer.calls.empty());
    EXPECT_EQ(answer.content, text);
    EXPECT_EQ(answer.problems, std::vector<std::string>{"nested too deep"});
  }
}

TEST(AnswerParser, ToolParameters) {
  const Json tools = Json::parse(R"([
    {"type": "function", "function": {"name": "f",
     "parameters": {"type": "object", "properties": {"b": {}, "a": {}}}}},
    {"name": "g"}, 7, {"function": {"name": 3}}])");
  const ToolParameters found = tool_parameters(tools);
  EXPECT_EQ(found.size(), 2u);
  EXPECT_EQ(found.at("f"), (std::vector<std::string>{"b", "a"}));
}

}  // namespace
}  // namespace millrace
