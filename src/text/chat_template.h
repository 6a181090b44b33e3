// From a conversation to the prompt text a model was trained on: its chat template, run with the
// meaning that apply_chat_template of transformers 5.23 gives it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "text/jinja/limits.h"
#include "text/jinja/time_text.h"

namespace millrace {

// "bos_token" -> "<|startoftext|>", ...
using SpecialTokens = std::map<std::string, std::string, std::less<>>;

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

// Immutable and cheap to copy; any number of threads may render at a time.
class ChatTemplate {
 public:
  // `origin` names the template in messages. Errors: see JinjaTemplate::parse.
  static Result<ChatTemplate> parse(std::string source, std::string_view origin,
                                    SpecialTokens special_tokens = {},
                                    const JinjaLimits& limits = {});

  // The template of a model in Hugging Face layout: chat_template.jinja (with the named ones in
  // additional_chat_templates/), else chat_template of tokenizer_config.json, a text or a list of
  // {name, template}. Special tokens come from tokenizer_config.json. NotFound where there is none.
  static Result<ChatTemplate> from_folder(const std::string& folder);

  // The prompt, to be encoded without adding special tokens: it already has them. Messages are
  // prepared first (text/chat_messages.h). InvalidArgument for conversations that make no sense or
  // that the template refuses.
  Result<std::string> render(const ChatRequest& request) const;

  // The template used without tools.
  const std::string& source() const;

 private:
  struct State;
  explicit ChatTemplate(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  static Result<ChatTemplate> from_named(const std::map<std::string, std::string>& sources,
                                         const std::string& origin, SpecialTokens special_tokens);

  std::shared_ptr<const State> state_;
};

// Whether the prompt ends inside a thought: its last <think> is not closed by </think>, and no
// turn ended after it. The model's answer then starts in the middle of its reasoning.
bool opens_thinking(std::string_view prompt, std::string_view turn_end = "<|im_end|>");

}  // namespace millrace
