// Anthropic's Messages: POST /v1/messages and /v1/messages/count_tokens.
#include <fmt/format.h>

#include <algorithm>

#include "api/answer_shape.h"
#include "base/json.h"
#include "text/chat_request.h"

namespace millrace::server {
namespace {

constexpr std::size_t kMostMessages = 65536;
constexpr std::size_t kMostBlocks = 4096;

const std::string* text_field(const Json& object, std::string_view name) {
  const Json* value = json_find(object, name);
  return value && value->is_string() ? &value->get_ref<const std::string&>() : nullptr;
}

// Text, or a list of text blocks, joined.
std::optional<std::string> plain_text(BodyReader& reader, const std::string& where,
                                      const Json& content) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) {
    reader.fail(where, "expected a string or a list of blocks");
    return std::nullopt;
  }
  std::string text;
  for (const Json& block : content) {
    const std::string* part = text_field(block, "text");
    if (!part || block.value("type", Json()) != "text") {
      reader.fail(where, "only blocks of type 'text' are supported here");
      return std::nullopt;
    }
    text += *part;
  }
  return text;
}

// One of theirs becomes one or more of OpenAI's: results of tools are turns of their own.
class Conversion {
 public:
  explicit Conversion(BodyReader& reader) : reader_(reader) {}

  void system(const Json& content) {
    if (auto text = plain_text(reader_, "system", content); text && !text->empty())
      out_.push_back({{"role", "system"}, {"content", std::move(*text)}});
  }

  void message(std::size_t index, const Json& message) {
    where_ = fmt::format("messages[{}]", index);
    const std::string* role = text_field(message, "role");
    if (!role || (*role != "user" && *role != "assistant" && *role != "system"))
      return reader_.fail(where_ + ".role", "expected 'user' or 'assistant'");
    const Json* content = json_find(message, "content");
    if (!content) return reader_.fail(where_ + ".content", "is missing");
    if (content->is_string()) {
      out_.push_back({{"role", *role}, {"content", *content}});
      return;
    }
    if (!content->is_array() || content->size() > kMostBlocks)
      return reader_.fail(where_ + ".content", "expected a string or a list of blocks");
    text_.clear();
    thinking_.clear();
    calls_ = Json::array();
    for (std::size_t i = 0; i < content->size() && !reader_.failed(); ++i)
      block(fmt::format("{}.content[{}]", where_, i), (*content)[i]);
    const bool only_results = results_ && text_.empty() && calls_.empty();
    results_ = false;
    if (only_results) return;
    Json turn = {{"role", *role}, {"content", std::move(text_)}};
    if (!thinking_.empty()) turn["reasoning_content"] = std::move(thinking_);
    if (!calls_.empty()) turn["tool_calls"] = std::move(calls_);
    out_.push_back(std::move(turn));
  }

  Json take() { return std::move(out_); }

 private:
  void block(const std::string& where, const Json& block) {
    const std::string* type = text_field(block, "type");
    if (!type) return reader_.fail(where + ".type", "expected the block's type");
    if (*type == "text") {
      const std::string* text = text_field(block, "text");
      if (!text) return reader_.fail(where + ".text", "expected a string");
      text_ += *text;
    } else if (*type == "thinking") {
      if (const std::string* text = text_field(block, "thinking")) thinking_ += *text;
    } else if (*type == "redacted_thinking") {
      // Another server's secret: nothing that this model could read.
    } else if (*type == "tool_use") {
      const std::string* name = text_field(block, "name");
      const Json* input = json_find(block, "input");
      if (!name) return reader_.fail(where + ".name", "expected a string");
      if (input && !input->is_object()) return reader_.fail(where + ".input", "expected an object");
      calls_.push_back(
          {{"id", block.value("id", Json())},
           {"type", "function"},
           {"function", {{"name", *name}, {"arguments", input ? *input : Json::object()}}}});
    } else if (*type == "tool_result") {
      const Json* content = json_find(block, "content");
      auto text = content ? plain_text(reader_, where + ".content", *content) : std::string();
      if (!text) return;
      out_.push_back({{"role", "tool"},
                      {"tool_call_id", block.value("tool_use_id", Json())},
                      {"content", std::move(*text)}});
      results_ = true;
    } else {
      reader_.fail(where,
                   fmt::format("blocks of type '{}' are not supported", type->substr(0, 40)));
    }
  }

  BodyReader& reader_;
  Json out_ = Json::array();
  std::string where_;
  std::string text_, thinking_;
  Json calls_ = Json::array();
  bool results_ = false;
};

Json openai_tools(BodyReader& reader, const Json& tools) {
  Json out = Json::array();
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const std::string where = fmt::format("tools[{}]", i);
    const std::string* name = text_field(tools[i], "name");
    const Json* type = json_find(tools[i], "type");
    if (type && *type != "custom") {
      reader.fail(where + ".type", "only tools of your own ('custom') are supported");
      return out;
    }
    const Json* schema = json_find(tools[i], "input_schema");
    if (!name || name->empty() || !schema || !schema->is_object()) {
      reader.fail(where, "expected name and input_schema");
      return out;
    }
    Json function = {{"name", *name}};
    if (const std::string* text = text_field(tools[i], "description"))
      function["description"] = *text;
    function["parameters"] = *schema;
    if (const Json* strict = json_find(tools[i], "strict")) function["strict"] = *strict;
    out.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  return out;
}

// Whether the tools may be called.
bool read_choice(BodyReader& reader, const Json& tools, GenerationSpec& spec, AnswerShape& shape) {
  const Json* choice = reader.object("tool_choice");
  if (!choice) return true;
  BodyReader inner(*choice, "tool_choice.");
  const auto type = inner.text("type").value_or("");
  const std::string name = inner.text("name").value_or("");
  spec.parallel_tool_calls = !inner.boolean("disable_parallel_tool_use").value_or(false);
  if (type == "any" || type == "tool") {
    shape.calls_required = true;
    if (!tools.is_array() || tools.empty()) inner.fail("type", "needs tools");
    if (type == "tool") {
      shape.only_tool = name;
      if (std::none_of(tools.begin(), tools.end(),
                       [&](const Json& tool) { return tool["function"]["name"] == name; }))
        inner.fail("name", fmt::format("tool '{}' is not in tools", name.substr(0, 60)));
    }
  } else if (type != "auto" && type != "none") {
    inner.fail("type", "expected 'auto', 'any', 'tool' or 'none'");
  }
  if (auto error = inner.finish()) reader.fail(std::move(*error));
  return type != "none";
}

// All but the sampling: what both paths read.
ApiResult<GenerationSpec> parse_conversation(BodyReader& reader, const ServedModel& model,
                                             GenerationSpec spec) {
  read_model(reader, model);
  Conversion conversion(reader);
  if (const Json* system = reader.any("system")) conversion.system(*system);
  const Json* messages = reader.list("messages", kMostMessages);
  if (!messages || messages->empty())
    reader.fail("messages", "expected a list of at least one message");
  else
    for (std::size_t i = 0; i < messages->size() && !reader.failed(); ++i)
      conversion.message(i, (*messages)[i]);
  ChatRequest chat;
  chat.parse_arguments = true;
  if (const Json* tools = reader.list("tools", 1024)) chat.tools = openai_tools(reader, *tools);
  AnswerShape shape;
  if (!read_choice(reader, chat.tools, spec, shape)) chat.tools = nullptr;
  if (const Json* thinking = reader.object("thinking")) {
    const Json* type = json_find(*thinking, "type");
    spec.include_reasoning = !type || *type != "disabled";
    shape.thoughts = spec.include_reasoning;
  }
  reader.only("context_management", {}, "is not supported");
  reader.only("mcp_servers", {Json::array()}, "is not supported");
  reader.only("container", {}, "is not supported");
  if (const Json* format = reader.object("output_format"))
    read_format(reader, "output_format", *format, shape);
  if (const Json* config = reader.object("output_config")) {
    BodyReader inner(*config, "output_config.");
    if (const Json* format = inner.object("format")) read_format(inner, "format", *format, shape);
    inner.ignore({"effort"});
    if (auto error = inner.finish()) reader.fail(std::move(*error));
  }
  reader.ignore({"cache_control"});  // every prefix is cached anyway
  if (auto error = reader.finish()) return api_fail(std::move(*error));

  chat.messages = conversion.take();
  chat.add_generation_prompt = true;
  // A last turn of the assistant is the beginning of the answer.
  if (!chat.messages.empty() && chat.messages.back()["role"] == "assistant" &&
      !chat.messages.back().contains("tool_calls")) {
    chat.add_generation_prompt = false;
    chat.continue_final_message = true;
  }
  spec.parse = true;
  read_answer_syntax(chat.tools, model, spec);
  auto prompt = chat_prompt(chat, model, spec);
  if (!prompt) return api_fail(std::move(prompt.error()));
  spec.prompts.push_back(std::move(*prompt));
  if (auto error = constrain(shape, chat.tools, model, spec)) return api_fail(std::move(*error));
  return spec;
}

}  // namespace

ApiResult<GenerationSpec> parse_messages(const Json& body, const ServedModel& model) {
  BodyReader reader(body);
  GenerationSpec spec;
  Request& request = spec.request;
  request.sampling = model.sampling;
  if (const auto value = reader.number("temperature", 0, 1)) request.sampling.temperature = *value;
  if (const auto value = reader.number("top_p", 1e-9, 1)) request.sampling.top_p = *value;
  if (const auto value = reader.integer("top_k", 0, 1 << 30))
    request.sampling.top_k = static_cast<int>(*value);
  const auto most = reader.integer("max_tokens", 1, INT64_MAX);
  if (!most) reader.fail("max_tokens", "is missing");
  request.max_tokens = most.value_or(1);
  if (const Json* stops = reader.list("stop_sequences", 32))
    for (const Json& stop : *stops) {
      if (!stop.is_string() || stop.get_ref<const std::string&>().empty())
        reader.fail("stop_sequences", "expected texts");
      else
        request.stop.push_back(stop.get<std::string>());
    }
  spec.stream = reader.boolean("stream").value_or(false);
  reader.ignore({"metadata", "service_tier", "inference_geo"});
  return parse_conversation(reader, model, std::move(spec));
}

ApiResult<Json> count_message_tokens(const Json& body, const ServedModel& model) {
  BodyReader reader(body);
  const auto spec = parse_conversation(reader, model, {});
  if (!spec) return api_fail(spec.error());
  return Json{{"input_tokens", spec->prompts.front().size()}};
}

}  // namespace millrace::server
