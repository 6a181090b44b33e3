// What is done to a conversation before its template sees it, and to the prompt after.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json_fwd.h"

namespace millrace {

// As transformers 5.23 has it: keys with null values are dropped; reasoning_content, thinking and
// reasoning are one text under several names. And beyond it, if wanted: arguments of tool calls
// that are JSON text, OpenAI's wire form, become objects. An empty conversation is an error.
Result<Json> prepare_messages(const Json& messages, bool parse_arguments);

// Lets a prompt end inside its last message: marks the end of a text of that message before the
// template runs, and cuts the prompt there afterwards.
class FinalMessageCut {
 public:
  // Marks `field` of the last message. `source` is the template, which must name the field.
  static Result<FinalMessageCut> mark(Json& messages, const std::string& field,
                                      std::string_view source);

  // Where the template stripped white space around the mark, the text in front is stripped too.
  Result<std::string> cut(std::string prompt) const;

 private:
  explicit FinalMessageCut(std::string text) : text_(std::move(text)) {}

  std::string text_;  // of the message, unmarked
};

}  // namespace millrace
