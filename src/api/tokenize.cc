#include "api/generation_spec.h"
#include "base/json.h"
#include "text/chat_request.h"

namespace millrace::server {

ApiResult<Json> tokenize(const Json& body, const ServedModel& model) {
  if (!model.files.tokenizer) return api_fail({.message = "this model has no tokenizer"});
  const Tokenizer& tokenizer = *model.files.tokenizer;
  BodyReader reader(body);
  read_model(reader, model);
  const bool strings = reader.boolean("return_token_strs").value_or(false);
  const auto text = reader.text("prompt");
  const Json* messages = reader.list("messages", 65536);
  const Json* tools = reader.list("tools", 1024);
  const bool special = reader.boolean("add_special_tokens").value_or(!messages);
  ChatRequest chat;
  chat.parse_arguments = true;
  chat.add_generation_prompt =
      reader.boolean("add_generation_prompt").value_or(messages != nullptr);
  chat.continue_final_message = reader.boolean("continue_final_message").value_or(false);
  if (chat.continue_final_message) chat.add_generation_prompt = false;
  if (const Json* variables = reader.object("chat_template_kwargs")) chat.variables = *variables;
  if (!text == !messages) reader.fail("prompt", "expected either prompt or messages");
  if (tools) check_tools(reader, *tools);
  if (auto error = reader.finish()) return api_fail(std::move(*error));

  std::vector<TokenId> tokens;
  if (text) {
    auto encoded = tokenizer.encode(*text, {.add_special_tokens = special});
    if (!encoded) return api_fail(api_error(encoded.error()));
    tokens = std::move(*encoded);
  } else {
    chat.messages = *messages;
    if (tools) chat.tools = *tools;
    GenerationSpec unused;
    auto encoded = chat_prompt(chat, model, unused);
    if (!encoded) return api_fail(std::move(encoded.error()));
    tokens = std::move(*encoded);
  }
  Json answer = {{"count", tokens.size()}, {"max_model_len", model.context}, {"tokens", tokens}};
  if (strings) {
    Json texts = Json::array();
    for (const TokenId token : tokens) texts.push_back(std::string(tokenizer.token_text(token)));
    answer["token_strs"] = std::move(texts);
  }
  return answer;
}

ApiResult<Json> detokenize(const Json& body, const ServedModel& model) {
  if (!model.files.tokenizer) return api_fail({.message = "this model has no tokenizer"});
  BodyReader reader(body);
  read_model(reader, model);
  const Json* list = reader.list("tokens", 1u << 22);
  std::vector<TokenId> tokens;
  if (list)
    tokens = read_tokens(reader, "tokens", *list, model);
  else
    reader.fail("tokens", "is missing");
  if (auto error = reader.finish()) return api_fail(std::move(*error));
  return Json{{"prompt", model.files.tokenizer->decode(tokens, {.skip_special_tokens = false})}};
}

}  // namespace millrace::server
