// From a conversation to the prompt text a model was trained on: its chat template, run with the
// meaning that apply_chat_template of transformers 5.23 gives it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/jinja/limits.h"

namespace millrace {

// "bos_token" -> "<|startoftext|>", ...
using SpecialTokens = std::map<std::string, std::string, std::less<>>;

struct ChatRequest;  // text/chat_request.h

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
