// The text between a model's tool-call markers: calls in Python's or in JSON's form, as they come.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "text/tool_calls/literal_parser.h"

namespace millrace {

// For each tool, its parameters in order: gives names to arguments written without one.
using ToolParameters = std::map<std::string, std::vector<std::string>, std::less<>>;

struct CallEvent {
  enum class Kind {
    Begin,      // text: the function's name
    Arguments,  // text: more of its arguments, a JSON object
    End,        // the call is complete
    Broken,     // text: all that was written from the beginning of the call, or, where no call
                // has begun, what is no call; more Broken events with the rest may follow
  };
  Kind kind;
  std::string text;
};

// Reads
//   [f(a="x", b=[1, {"k": None}]), g()]      also without brackets
//   [{"name": "f", "arguments": {...}}]      also a single object, several in a row, "parameters"
//                                            for "arguments", and wrapped in {"function": ...}
// Any text goes in; what is no call comes out as Broken, so that no character is lost.
class CallParser {
 public:
  explicit CallParser(const ToolParameters* tools = nullptr) : tools_(tools) {}

  void push(std::string_view text, std::vector<CallEvent>& out);
  // No more text. `cut`: it was cut off, so that a last call may not be closed for it.
  void finish(bool cut, std::vector<CallEvent>& out);

  // Why it is broken; empty as long as it is not.
  const std::string& problem() const { return problem_; }
  int complete_calls() const { return complete_; }

 private:
  enum class State {
    Start,          // before the block's [ or first call
    Call,           // before a call, in the list
    Name,           // in a function's name
    NameEnd,        // white space before (
    Argument,       // before an argument, or )
    ArgumentName,   // in a word: a name, or a value without one
    ArgumentEqual,  // after the word
    Value,          // in a value
    AfterArgument,
    AfterCall,
    JsonKey,      // before a key, or }
    JsonKeyText,  // in it
    JsonColon,
    JsonValue,
    JsonAfter,
    Done,  // after ]
    Broken,
  };

  bool step(char c, std::vector<CallEvent>& out);  // false: broken
  bool json_step(char c, std::vector<CallEvent>& out);
  bool begin_value(std::string_view name);
  bool end_call(std::vector<CallEvent>& out);
  bool end_json_value(std::vector<CallEvent>& out);
  bool fail(std::string_view problem);
  void emit_arguments(std::vector<CallEvent>& out);

  const ToolParameters* tools_;
  State state_ = State::Start;
  bool in_list_ = false;
  std::string raw_;  // since the beginning of this call
  std::string problem_;
  int complete_ = 0;

  std::string name_;  // of the function
  bool name_sent_ = false;
  std::string word_;                         // an argument's name, a JSON key
  std::set<std::string, std::less<>> seen_;  // argument names of this call
  std::size_t position_ = 0;                 // arguments so far
  std::string arguments_;                    // not yet sent
  std::optional<LiteralParser> literal_;

  int json_depth_ = 0;  // 2 in {"function": {
  bool json_arguments_seen_ = false;
  bool was_string_ = false;  // the JSON value being read began with a quote
  bool value_begun_ = false;
};

}  // namespace millrace
