// OpenAI's Responses: POST /v1/responses.
#include <fmt/format.h>

#include "api/answer_shape.h"
#include "base/json.h"
#include "text/chat_request.h"

namespace millrace::server {
namespace {

constexpr std::size_t kMostItems = 65536;

const std::string* text_field(const Json& object, std::string_view name) {
  const Json* value = json_find(object, name);
  return value && value->is_string() ? &value->get_ref<const std::string&>() : nullptr;
}

// The text of a content: a string, or parts of the types that hold text.
std::optional<std::string> text_of(BodyReader& reader, const std::string& where,
                                   const Json& content) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) {
    reader.fail(where, "expected a string or a list of parts");
    return std::nullopt;
  }
  std::string text;
  for (const Json& part : content) {
    const std::string* type = text_field(part, "type");
    const std::string* piece = text_field(part, "text");
    const bool known =
        type && (*type == "input_text" || *type == "output_text" || *type == "text" ||
                 *type == "reasoning_text" || *type == "summary_text");
    if (!known || !piece) {
      reader.fail(where, "only parts of type 'input_text' and 'output_text' are supported");
      return std::nullopt;
    }
    text += *piece;
  }
  return text;
}

// Items become chat messages: reasoning and calls join the assistant's turn that they belong to.
class Items {
 public:
  explicit Items(BodyReader& reader) : reader_(reader) {}

  void add(const std::string& where, const Json& item) {
    const std::string* type = text_field(item, "type");
    if (!type || *type == "message") return message(where, item);
    if (*type == "function_call") return call(where, item);
    if (*type == "function_call_output") return output(where, item);
    if (*type == "reasoning") return reasoning(where, item);
    reader_.fail(where, fmt::format("items of type '{}' are not supported", type->substr(0, 40)));
  }

  Json take() {
    flush();
    return std::move(out_);
  }

 private:
  void message(const std::string& where, const Json& item) {
    const std::string* role = text_field(item, "role");
    if (!role) return reader_.fail(where + ".role", "expected a string");
    const Json* content = json_find(item, "content");
    if (!content) return reader_.fail(where + ".content", "is missing");
    auto text = text_of(reader_, where + ".content", *content);
    if (!text) return;
    if (*role == "assistant") {
      if (turn_.contains("content")) flush();
      turn_["content"] = std::move(*text);
      return;
    }
    flush();
    out_.push_back(
        {{"role", *role == "developer" ? "system" : *role}, {"content", std::move(*text)}});
  }

  void call(const std::string& where, const Json& item) {
    const std::string* name = text_field(item, "name");
    const std::string* arguments = text_field(item, "arguments");
    if (!name || !arguments) return reader_.fail(where, "expected name and arguments");
    turn_["tool_calls"].push_back({{"id", item.value("call_id", Json())},
                                   {"type", "function"},
                                   {"function", {{"name", *name}, {"arguments", *arguments}}}});
  }

  void output(const std::string& where, const Json& item) {
    const Json* value = json_find(item, "output");
    if (!value) return reader_.fail(where + ".output", "is missing");
    auto text = text_of(reader_, where + ".output", *value);
    if (!text) return;
    flush();
    out_.push_back({{"role", "tool"},
                    {"tool_call_id", item.value("call_id", Json())},
                    {"content", std::move(*text)}});
  }

  void reasoning(const std::string& where, const Json& item) {
    const Json* content = json_find(item, "content");
    if (!content) return;  // a summary alone is none of the model's own words
    auto text = text_of(reader_, where + ".content", *content);
    if (!text) return;
    if (!turn_.empty()) flush();
    turn_["reasoning_content"] = std::move(*text);
  }

  void flush() {
    if (turn_.empty()) return;
    Json message = {{"role", "assistant"}, {"content", turn_.value("content", Json(""))}};
    for (const char* key : {"reasoning_content", "tool_calls"})
      if (turn_.contains(key)) message[key] = std::move(turn_[key]);
    out_.push_back(std::move(message));
    turn_ = Json::object();
  }

  BodyReader& reader_;
  Json out_ = Json::array();
  Json turn_ = Json::object();  // the assistant's, being put together
};

Json chat_tools(BodyReader& reader, const Json& tools) {
  Json out = Json::array();
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const std::string where = fmt::format("tools[{}]", i);
    const std::string* type = text_field(tools[i], "type");
    const std::string* name = text_field(tools[i], "name");
    if (!type || *type != "function") {
      reader.fail(where + ".type", "only tools of type 'function' are supported");
      return out;
    }
    const Json* parameters = json_find(tools[i], "parameters");
    if (!name || name->empty() || (parameters && !parameters->is_object())) {
      reader.fail(where, "expected name and parameters");
      return out;
    }
    Json function = {{"name", *name}};
    if (const std::string* text = text_field(tools[i], "description"))
      function["description"] = *text;
    if (parameters) function["parameters"] = *parameters;
    if (const Json* strict = json_find(tools[i], "strict")) function["strict"] = *strict;
    out.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  return out;
}

void read_rest(BodyReader& reader, AnswerShape& shape) {
  reader.ignore({"previous_response_id"});  // is in the input by now
  reader.only("conversation", {}, "is not supported: use previous_response_id");
  reader.only("prompt", {}, "is not supported");
  reader.only("include", {Json::array()}, "is not supported");
  reader.only("truncation", {"disabled", "auto"}, "expected 'disabled' or 'auto'");
  reader.only("service_tier", {"auto", "default"}, "is not supported");
  reader.only("max_tool_calls", {}, "is not supported");
  reader.only("top_logprobs", {0}, "is not supported");
  reader.ignore(
      {"user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"});
  if (const Json* text = reader.object("text")) {
    BodyReader inner(*text, "text.");
    if (const Json* format = inner.object("format")) read_format(inner, "format", *format, shape);
    inner.only("verbosity", {"medium"}, "is not supported");
    if (auto error = inner.finish()) reader.fail(std::move(*error));
  }
  if (const Json* options = reader.object("stream_options")) {
    BodyReader inner(*options, "stream_options.");
    inner.ignore({"include_obfuscation"});
    if (auto error = inner.finish()) reader.fail(std::move(*error));
  }
}

}  // namespace

ApiResult<GenerationSpec> parse_responses(const Json& body, const ServedModel& model) {
  BodyReader reader(body);
  GenerationSpec spec;
  ChatRequest chat;
  chat.parse_arguments = true;
  read_model(reader, model);
  Request& request = spec.request;
  request.sampling = model.sampling;
  if (const auto value = reader.number("temperature", 0, 100))
    request.sampling.temperature = *value;
  if (const auto value = reader.number("top_p", 1e-9, 1)) request.sampling.top_p = *value;
  request.max_tokens = reader.integer("max_output_tokens", 1, INT64_MAX).value_or(0);
  spec.stream = reader.boolean("stream").value_or(false);
  spec.store = reader.boolean("store").value_or(true);
  spec.background = reader.boolean("background").value_or(false);
  if (spec.background && (!spec.store || spec.stream))
    reader.fail("background", "needs store, and no stream");
  spec.parallel_tool_calls = reader.boolean("parallel_tool_calls").value_or(true);
  AnswerShape shape;
  read_rest(reader, shape);
  if (const Json* reasoning = reader.object("reasoning"))
    if (const std::string* effort = text_field(*reasoning, "effort")) {
      chat.variables["reasoning_effort"] = *effort;
      shape.thoughts = *effort != "none";
    }

  Items items(reader);
  if (const auto instructions = reader.text("instructions"))
    items.add("instructions", {{"role", "system"}, {"content", *instructions}});
  const Json* input = reader.any("input");
  if (!input) {
    reader.fail("input", "is missing");
  } else if (input->is_string()) {
    items.add("input", {{"role", "user"}, {"content", *input}});
  } else if (const Json* list = reader.list("input", kMostItems)) {
    for (std::size_t i = 0; i < list->size() && !reader.failed(); ++i)
      items.add(fmt::format("input[{}]", i), (*list)[i]);
  }
  const Json* tools = reader.list("tools", 1024);
  if (tools) chat.tools = chat_tools(reader, *tools);
  Json callable = chat.tools;
  if (!read_tool_choice(reader, callable, shape)) chat.tools = callable = nullptr;
  if (auto error = reader.finish()) return api_fail(std::move(*error));

  // Clients read these back.
  spec.input_items =
      input->is_array()
          ? *input
          : Json::array({{{"type", "message"}, {"role", "user"}, {"content", *input}}});
  for (const char* key :
       {"background", "previous_response_id", "text", "instructions", "max_output_tokens",
        "metadata", "reasoning", "tools", "tool_choice", "user"})
    if (const Json* value = json_find(body, key)) spec.shown_request[key] = *value;
  chat.messages = items.take();
  chat.add_generation_prompt = true;
  spec.parse = true;
  read_answer_syntax(chat.tools, model, spec);
  auto prompt = chat_prompt(chat, model, spec);
  if (!prompt) return api_fail(std::move(prompt.error()));
  spec.prompts.push_back(std::move(*prompt));
  if (auto error = constrain(shape, callable, model, spec)) return api_fail(std::move(*error));
  return spec;
}

}  // namespace millrace::server
