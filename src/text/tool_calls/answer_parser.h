// What a model writes, taken apart while it is written: reasoning, text, tool calls.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"
#include "text/tool_calls/call_parser.h"

namespace millrace {

struct AnswerSyntax {
  bool reasoning = true;  // <think> at the beginning, up to </think>
  bool tool_calls = true;
  // The prompt ended inside a thought (see opens_thinking): the answer begins in one.
  bool starts_in_reasoning = false;
  ToolParameters tools;  // optional: names for arguments written without one
};

struct AnswerEvent {
  enum class Kind {
    Reasoning,      // text: more of it
    Content,        // text: more of it
    CallBegin,      // text: the function's name
    CallArguments,  // text: more of the arguments' JSON
    CallEnd,
    // text: why; `call` is the call that has begun and is void, or -1. What the model wrote
    // follows as Content.
    Problem,
  };
  Kind kind;
  int call = -1;  // 0, 1, ...: the call, for those kinds
  std::string text;
};

// One answer's parser. However the text is cut into pieces, the events say the same: their texts
// joined are equal. Marks and white space around thoughts are left out, nothing else is.
class AnswerParser {
 public:
  explicit AnswerParser(AnswerSyntax syntax);
  AnswerParser(const AnswerParser&) = delete;  // calls_ refers to syntax_
  AnswerParser& operator=(const AnswerParser&) = delete;

  void push(std::string_view text, std::vector<AnswerEvent>& out);
  // The answer has ended; `cut` when by a limit and not by the model.
  void finish(bool cut, std::vector<AnswerEvent>& out);

 private:
  enum class State { Start, Reasoning, AfterReasoning, Content, Call };

  // Handles text that holds no mark.
  void plain(std::string_view text, std::vector<AnswerEvent>& out);
  void mark(std::string_view mark, std::vector<AnswerEvent>& out);
  void content(std::string_view text, std::vector<AnswerEvent>& out);
  void flush_echo(std::vector<AnswerEvent>& out);
  void forward_calls(std::vector<AnswerEvent>& out);
  void end_block(bool cut, std::string_view end_mark, std::vector<AnswerEvent>& out);

  AnswerSyntax syntax_;
  State state_ = State::Start;
  std::vector<std::string_view> marks_;
  std::string held_;   // may be the beginning of a mark
  std::string space_;  // white space that a thought may end with, or an answer begin with
  bool thought_begun_ = false;
  CallParser calls_;
  std::vector<CallEvent> call_events_;
  int next_call_ = 0;
  bool call_open_ = false;
  bool broken_ = false;  // of this block, and said so
  std::string block_;    // text of the last block of calls
  std::string echo_;     // content behind it that repeats it so far
  bool may_echo_ = false;
};

struct ParsedCall {
  std::string name;
  std::string arguments;  // a JSON object
};

// A whole answer, put together from events.
struct ParsedAnswer {
  std::string reasoning;
  std::string content;
  std::vector<ParsedCall> calls;
  std::vector<std::string> problems;  // why parts of content look like calls

  void add(const AnswerEvent& event);
  // Leaves out calls that a Problem made void. Call once, at the end.
  void drop_void_calls();

 private:
  std::vector<int> void_calls_;
};

ParsedAnswer parse_answer(std::string_view text, const AnswerSyntax& syntax, bool cut = false);

// The parameters' order, from a list of tools in OpenAI's form; whatever has none is left out.
ToolParameters tool_parameters(const Json& tools);

}  // namespace millrace
