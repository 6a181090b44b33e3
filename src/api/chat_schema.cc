#include <fmt/format.h>

#include "api/answer_shape.h"
#include "base/json.h"
#include "text/chat_request.h"

namespace millrace::server {
namespace {

constexpr std::size_t kMostMessages = 65536;
constexpr std::size_t kMostTools = 1024;
constexpr int kMostTopLogprobs = 20;

void check_content(BodyReader& reader, const std::string& where, const Json& content) {
  if (content.is_string()) return;
  if (!content.is_array())
    return reader.fail(
        where + ".content",
        fmt::format("found {}, expected a string or a list of parts", json_type_name(content)));
  for (std::size_t i = 0; i < content.size(); ++i) {
    const std::string part = fmt::format("{}.content[{}]", where, i);
    const Json* type = json_find(content[i], "type");
    if (!type || !type->is_string()) return reader.fail(part + ".type", "expected the part's type");
    const auto& name = type->get_ref<const std::string&>();
    if (name == "refusal") continue;
    if (name != "text")
      return reader.fail(
          part, fmt::format("parts of type '{}' are not supported, only text", name.substr(0, 40)));
    const Json* text = json_find(content[i], "text");
    if (!text || !text->is_string()) return reader.fail(part + ".text", "expected a string");
  }
}

void check_messages(BodyReader& reader, const Json& messages) {
  if (messages.empty()) return reader.fail("messages", "the conversation is empty");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Json& message = messages[i];
    const std::string where = fmt::format("messages[{}]", i);
    if (!message.is_object())
      return reader.fail(where,
                         fmt::format("found {}, expected an object", json_type_name(message)));
    const Json* role = json_find(message, "role");
    if (!role || !role->is_string()) return reader.fail(where + ".role", "expected a string");
    if (const Json* content = json_find(message, "content"))
      check_content(reader, where, *content);
    else if (!json_find(message, "tool_calls") && !json_find(message, "refusal") &&
             *role != "assistant")
      return reader.fail(where + ".content", "is missing");
    if (const Json* calls = json_find(message, "tool_calls")) {
      if (!calls->is_array()) return reader.fail(where + ".tool_calls", "expected a list");
      for (const Json& call : *calls) {
        const Json* function = json_find(call, "function");
        const Json* name = function ? json_find(*function, "name") : nullptr;
        if (!name || !name->is_string())
          return reader.fail(where + ".tool_calls", "expected calls with function.name");
      }
    }
  }
}

// What the template gets to see: texts instead of single text parts, "system" for "developer", and
// calls whose content is there, since templates end the turn only behind a content.
Json template_messages(const Json& messages) {
  Json out = Json::array();
  for (Json message : messages) {
    if (message["role"] == "developer") message["role"] = "system";
    if (const auto content = message.find("content");
        content != message.end() && content->is_array()) {
      std::string text;
      for (const Json& part : *content)
        if (part.contains("text")) text += part["text"].get<std::string>();
      *content = std::move(text);
    }
    if (message["role"] == "assistant" && !json_find(message, "content")) message["content"] = "";
    if (const auto calls = message.find("tool_calls");
        calls != message.end() && (calls->is_null() || calls->empty()))
      message.erase("tool_calls");
    out.push_back(std::move(message));
  }
  return out;
}

void read_logprobs(BodyReader& reader, SamplingParams& sampling) {
  const bool wanted = reader.boolean("logprobs").value_or(false);
  const auto top = reader.integer("top_logprobs", 0, kMostTopLogprobs);
  if (top && *top > 0 && !wanted) reader.fail("top_logprobs", "needs logprobs: true");
  if (wanted) sampling.logprobs = static_cast<int>(top.value_or(0));
}

}  // namespace

void check_tools(BodyReader& reader, const Json& tools) {
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const std::string where = fmt::format("tools[{}]", i);
    const Json* type = json_find(tools[i], "type");
    if (type && *type != "function")
      return reader.fail(where + ".type", "only tools of type 'function' are supported");
    const Json* function = json_find(tools[i], "function");
    const Json* name = function ? json_find(*function, "name") : nullptr;
    if (!name || !name->is_string() || name->get_ref<const std::string&>().empty())
      return reader.fail(where + ".function.name", "expected a string");
    if (const Json* parameters = json_find(*function, "parameters");
        parameters && !parameters->is_object())
      return reader.fail(where + ".function.parameters", "expected an object");
  }
}

ApiResult<std::vector<TokenId>> chat_prompt(const ChatRequest& chat, const ServedModel& model,
                                            GenerationSpec& spec) {
  if (!model.files.tokenizer)
    return api_fail({.message = "this model has no tokenizer: only prompts of token ids work"});
  const auto& chat_template = model.chat_template ? model.chat_template : model.files.chat_template;
  if (!chat_template)
    return api_fail({.message = "this model has no chat template: use /v1/completions, or serve it "
                                "with --chat-template"});
  auto text = chat_template->render(chat);
  if (!text) return api_fail(api_error(text.error()));
  spec.syntax.starts_in_reasoning = opens_thinking(*text);
  auto tokens = model.files.tokenizer->encode(*text, {.add_special_tokens = false});
  if (!tokens) return api_fail(api_error(tokens.error()));
  return std::move(*tokens);
}

void read_answer_syntax(const Json& tools, const ServedModel& model, GenerationSpec& spec) {
  spec.syntax.reasoning = model.reasoning;
  spec.syntax.tool_calls = model.tool_calls && tools.is_array() && !tools.empty();
  if (!spec.syntax.tool_calls) return;
  spec.syntax.tools = tool_parameters(tools);
  if (!model.files.tokenizer) return;
  for (const char* mark : {"<|tool_call_start|>", "<|tool_call_end|>"})
    if (const auto id = model.files.tokenizer->id_of(mark))
      spec.request.shown_special_tokens.push_back(*id);
}

ApiResult<GenerationSpec> parse_chat(const Json& body, const ServedModel& model) {
  BodyReader reader(body);
  GenerationSpec spec;
  ChatRequest chat;
  chat.parse_arguments = true;
  AnswerShape shape;
  read_common(reader, model, spec, shape);
  read_logprobs(reader, spec.request.sampling);
  if (const Json* format = reader.object("response_format"))
    read_format(reader, "response_format", *format, shape);

  const auto most = reader.integer("max_tokens", 1, INT64_MAX);
  spec.request.max_tokens =
      reader.integer("max_completion_tokens", 1, INT64_MAX).value_or(most.value_or(0));
  const Json* messages = reader.list("messages", kMostMessages);
  if (messages)
    check_messages(reader, *messages);
  else
    reader.fail("messages", "is missing");
  const Json* tools = reader.list("tools", kMostTools);
  if (tools) check_tools(reader, *tools);
  Json callable = tools && !reader.failed() ? *tools : Json();
  const bool calls = read_tool_choice(reader, callable, shape);
  spec.parallel_tool_calls = reader.boolean("parallel_tool_calls").value_or(true);
  reader.only("functions", {}, "is not supported: use tools");
  reader.only("function_call", {"none", "auto"}, "is not supported: use tool_choice");
  reader.only("modalities", {Json::array({"text"})}, "only text is supported");
  reader.only("audio", {}, "is not supported");
  reader.only("web_search_options", {}, "is not supported");
  reader.only("echo", {false}, "is not supported");

  chat.add_generation_prompt = reader.boolean("add_generation_prompt").value_or(true);
  chat.continue_final_message = reader.boolean("continue_final_message").value_or(false);
  if (chat.continue_final_message) chat.add_generation_prompt = false;
  reader.only("add_special_tokens", {false}, "is not supported: the template writes them");
  reader.only("chat_template", {}, "is not supported in a request: serve with --chat-template");
  if (const Json* documents = reader.list("documents", 1024)) chat.documents = *documents;
  if (const Json* variables = reader.object("chat_template_kwargs")) chat.variables = *variables;
  if (const auto effort = reader.text("reasoning_effort")) {
    chat.variables["reasoning_effort"] = *effort;
    shape.thoughts = *effort != "none";
  }
  reader.only("verbosity", {"medium"}, "is not supported");
  spec.include_reasoning = reader.boolean("include_reasoning").value_or(true);
  if (auto error = reader.finish()) return api_fail(std::move(*error));

  chat.messages = template_messages(*messages);
  // With tool_choice none the model is not told of its tools, as in OpenAI's clients' other
  // servers.
  if (calls) chat.tools = *tools;
  spec.parse = true;
  read_answer_syntax(chat.tools, model, spec);
  auto prompt = chat_prompt(chat, model, spec);
  if (!prompt) return api_fail(std::move(prompt.error()));
  spec.prompts.push_back(std::move(*prompt));
  if (auto error = ask_for_prompt_logprobs(spec)) return api_fail(std::move(*error));
  if (auto error = constrain(shape, calls ? callable : Json(), model, spec))
    return api_fail(std::move(*error));
  return spec;
}

}  // namespace millrace::server
