#include "loadgen/answer.h"

#include "base/json.h"
#include "loadgen/json_line.h"

namespace millrace::loadgen {
namespace {

bool has_something(const Json& object, std::string_view key) {
  const Json* value = json_find(object, key);
  return value && (value->is_string() || value->is_array()) &&
         (value->is_string() ? !value->get_ref<const std::string&>().empty() : !value->empty());
}

void append_text(std::string& to, const Json& object, std::string_view key) {
  const Json* value = json_find(object, key);
  if (value && value->is_string()) to += value->get_ref<const std::string&>();
}

std::int64_t count(const Json& object, std::string_view key) {
  const Json* value = json_find(object, key);
  return value && value->is_number_integer() ? value->get<std::int64_t>() : -1;
}

}  // namespace

void StreamedAnswer::take(std::string_view data, Clock::time_point now) {
  if (data == "[DONE]") {
    done = true;
    return;
  }
  const auto json = parse_json(data, "event");
  if (!json) {
    error = json.error().message;
    return;
  }
  if (const Json* failed = json_find(*json, "error")) {
    error = json_string(*failed, "message").value_or(std::nullopt).value_or(one_line(*failed));
    return;
  }
  if (const Json* usage = json_find(*json, "usage")) {
    prompt_tokens = count(*usage, "prompt_tokens");
    completion_tokens = count(*usage, "completion_tokens");
    if (const Json* details = json_find(*usage, "prompt_tokens_details"))
      cached_tokens = count(*details, "cached_tokens");
  }
  const Json* choices = json_find(*json, "choices");
  if (!choices || !choices->is_array() || choices->empty()) return;
  const Json& choice = choices->front();
  const Json* delta = json_find(choice, "delta");
  const Json& part = delta ? *delta : choice;
  bool something = has_something(choice, "token_ids");
  for (const char* key : {"content", "text", "reasoning_content", "reasoning", "tool_calls"})
    something |= has_something(part, key);
  if (something) pieces.push_back(now);
  append_text(content, part, delta ? "content" : "text");
  if (const Json* calls = json_find(part, "tool_calls")) take_tool_calls(*calls);
  finished |= json_find(choice, "finish_reason") != nullptr;
}

void StreamedAnswer::take_tool_calls(const Json& deltas) {
  if (!deltas.is_array()) return;
  for (const Json& delta : deltas) {
    const std::int64_t index = std::max<std::int64_t>(0, count(delta, "index"));
    if (index > 255) continue;
    while (std::ssize(tool_calls) <= index)
      tool_calls.push_back(
          {{"id", ""}, {"type", "function"}, {"function", {{"name", ""}, {"arguments", ""}}}});
    Json& call = tool_calls[static_cast<std::size_t>(index)];
    append_text(call["id"].get_ref<std::string&>(), delta, "id");
    const Json* function = json_find(delta, "function");
    if (!function) continue;
    append_text(call["function"]["name"].get_ref<std::string&>(), *function, "name");
    append_text(call["function"]["arguments"].get_ref<std::string&>(), *function, "arguments");
  }
}

Json StreamedAnswer::message() const {
  Json message = {{"role", "assistant"}, {"content", content}};
  if (!tool_calls.empty()) message["tool_calls"] = tool_calls;
  return message;
}

}  // namespace millrace::loadgen
