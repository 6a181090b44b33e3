#include "text/chat_messages.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/json.h"
#include "text/jinja/unicode.h"

namespace millrace {
namespace {

// The names a message's reasoning goes by; the first is the standard one.
constexpr std::array<std::string_view, 3> kReasoningFields = {"reasoning_content", "thinking",
                                                              "reasoning"};

// The tag transformers uses: some templates look for it. The blank at its end shows whether the
// template keeps white space.
constexpr std::string_view kTag = "CONTINUE_FINAL_MESSAGE_TAG ";
constexpr std::string_view kBareTag = kTag.substr(0, kTag.size() - 1);

Json without_nulls(const Json& message) {
  Json kept = Json::object();
  for (const auto& [key, value] : message.items())
    if (!value.is_null()) kept[key] = value;
  return kept;
}

Json with_reasoning(Json message) {
  for (const std::string_view field : kReasoningFields) {
    const auto found = message.find(std::string(field));
    if (found == message.end()) continue;
    const Json reasoning = *found;
    // "thinking" comes first in the object, with its own value where it has one.
    Json aliased = Json::object();
    aliased["thinking"] = reasoning;
    for (const auto& [key, value] : message.items()) aliased[key] = value;
    aliased["reasoning_content"] = reasoning;
    return aliased;
  }
  return message;
}

void parse_call(Json& call) {
  if (!call.is_object()) return;
  const auto arguments = call.find("arguments");
  if (arguments == call.end() || !arguments->is_string()) return;
  // Text that is no object stays as it is: the template may know what to do with it.
  auto parsed = parse_json(arguments->get_ref<const std::string&>(), "arguments");
  if (parsed && parsed->is_object()) *arguments = std::move(*parsed);
}

void parse_tool_calls(Json& message) {
  const auto calls = message.find("tool_calls");
  if (calls == message.end() || !calls->is_array()) return;
  for (Json& call : *calls) {
    parse_call(call);
    if (call.is_object() && call.contains("function")) parse_call(call["function"]);
  }
}

std::string stripped(std::string_view text) {
  return std::string(jinja::is_utf8(text) ? jinja::strip(text) : text);
}

}  // namespace

Result<Json> prepare_messages(const Json& messages, bool parse_arguments) {
  if (!messages.is_array())
    return fail(ErrorCode::InvalidArgument, "messages: found {}, expected a list",
                json_type_name(messages));
  if (messages.empty())
    return fail(ErrorCode::InvalidArgument, "messages: the conversation is empty");
  Json prepared = Json::array();
  for (const Json& message : messages) {
    if (!message.is_object())
      return fail(ErrorCode::InvalidArgument, "messages[{}]: found {}, expected an object",
                  prepared.size(), json_type_name(message));
    Json ready = with_reasoning(without_nulls(message));
    if (parse_arguments) parse_tool_calls(ready);
    prepared.push_back(std::move(ready));
  }
  return prepared;
}

Result<FinalMessageCut> FinalMessageCut::mark(Json& messages, const std::string& field,
                                              std::string_view source) {
  Json& last = messages.back();
  const Json* found = json_find(last, field);
  if (!found)
    return fail(ErrorCode::InvalidArgument,
                "continue_final_message: the last message has no '{}' to continue", field);
  // Reasoning stands under several names: all copies are marked, whichever the template reads.
  std::vector<std::string> fields = {field};
  if (std::find(kReasoningFields.begin(), kReasoningFields.end(), field) !=
      kReasoningFields.end()) {
    fields.clear();
    for (const std::string_view name : kReasoningFields)
      if (const Json* copy = json_find(last, name); copy && *copy == *found)
        fields.emplace_back(name);
  }
  bool is_read = false;
  for (const std::string& name : fields) is_read |= source.find(name) != std::string_view::npos;
  if (!is_read)
    return fail(ErrorCode::InvalidArgument,
                "continue_final_message: the chat template does not know '{}'", field);
  if (found->is_string()) {
    FinalMessageCut cut(found->get<std::string>());
    for (const std::string& name : fields) last[name] = cut.text_ + std::string(kTag);
    return cut;
  }
  if (!found->is_array())
    return fail(ErrorCode::InvalidArgument, "continue_final_message: '{}' is {}, expected a text",
                field, json_type_name(*found));
  Json& parts = last[field];
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (!part->is_object() || !part->contains("text")) continue;
    Json& text = (*part)["text"];
    if (!text.is_string())
      return fail(ErrorCode::InvalidArgument,
                  "continue_final_message: the last text of '{}' is {}, expected a string", field,
                  json_type_name(text));
    FinalMessageCut cut(text.get<std::string>());
    text = cut.text_ + std::string(kTag);
    return cut;
  }
  return fail(ErrorCode::InvalidArgument,
              "continue_final_message: '{}' of the last message has no text to continue", field);
}

Result<std::string> FinalMessageCut::cut(std::string prompt) const {
  const std::size_t at = prompt.rfind(kBareTag);
  if (at == std::string::npos || prompt.find(stripped(text_)) == std::string::npos)
    return fail(ErrorCode::InvalidArgument,
                "continue_final_message: the chat template does not keep the last message's text");
  const bool keeps_space = std::string_view(prompt).substr(at).starts_with(kTag);
  prompt.resize(at);
  if (keeps_space) return prompt;
  prompt.resize(jinja::strip(prompt, jinja::Side::Right).size());
  return prompt;
}

}  // namespace millrace
