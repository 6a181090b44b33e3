// A conversation and how a chat template shall render it.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "text/chat_template.h"
#include "text/jinja/time_text.h"

namespace millrace {

struct ChatRequest {
  Json messages = Json::array();    // as OpenAI's chat completions take them
  Json tools;                       // a list, or null
  Json documents;                   // a list of objects, or null
  Json variables = Json::object();  // further variables of the template; null is none
  // Arguments of tool calls that are JSON text, as OpenAI's clients send them, become objects;
  // apply_chat_template leaves them.
  bool parse_arguments = false;
  bool add_generation_prompt = false;
  // The prompt ends inside the last message, for the model to go on with it. Not together with
  // add_generation_prompt.
  bool continue_final_message = false;
  std::string continue_field = "content";  // which text of that message is continued
  SpecialTokens special_tokens;            // beside and over those of the template's model
  std::optional<LocalTime> now;            // the local time of the render otherwise
};

}  // namespace millrace
