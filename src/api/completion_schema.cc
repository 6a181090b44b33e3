#include <fmt/format.h>

#include "api/answer_shape.h"

namespace millrace::server {
namespace {

constexpr std::size_t kMostPrompts = 1024;
constexpr int kDefaultTokens = 16;  // OpenAI's
constexpr int kMostLogprobs = 20;

// One prompt: a text or a list of token ids.
void add_prompt(BodyReader& reader, const Json& prompt, bool special, const ServedModel& model,
                GenerationSpec& spec, bool echo) {
  if (prompt.is_array()) {
    spec.prompts.push_back(read_tokens(reader, "prompt", prompt, model));
    if (spec.prompts.back().empty()) reader.fail("prompt", "is empty");
    if (echo && model.files.tokenizer)
      spec.echo.push_back(model.files.tokenizer->decode(spec.prompts.back()));
    return;
  }
  if (!prompt.is_string())
    return reader.fail("prompt",
                       fmt::format("found {}, expected a text, token ids, or a list of those",
                                   json_type_name(prompt)));
  if (!model.files.tokenizer)
    return reader.fail("prompt", "this model has no tokenizer: only token ids work");
  const auto& text = prompt.get_ref<const std::string&>();
  auto tokens = model.files.tokenizer->encode(text, {.add_special_tokens = special});
  if (!tokens) return reader.fail(api_error(tokens.error()));
  if (tokens->empty()) return reader.fail("prompt", "is empty");
  spec.prompts.push_back(std::move(*tokens));
  if (echo) spec.echo.push_back(text);
}

}  // namespace

ApiResult<GenerationSpec> parse_completion(const Json& body, const ServedModel& model) {
  BodyReader reader(body);
  GenerationSpec spec;
  AnswerShape shape;
  read_common(reader, model, spec, shape);
  spec.request.max_tokens = reader.integer("max_tokens", 1, INT64_MAX).value_or(kDefaultTokens);
  if (const auto logprobs = reader.integer("logprobs", 0, kMostLogprobs))
    spec.request.sampling.logprobs = static_cast<int>(*logprobs);
  const bool echo = reader.boolean("echo").value_or(false);
  if (echo && spec.request.sampling.logprobs >= 0)
    reader.fail("echo", "is not supported together with logprobs");
  const bool special = reader.boolean("add_special_tokens").value_or(true);
  reader.only("suffix", {""}, "is not supported");
  if (const Json* format = reader.object("response_format"))
    read_format(reader, "response_format", *format, shape);

  const Json* prompt = reader.any("prompt");
  if (!prompt) {
    reader.fail("prompt", "is missing");
  } else if (prompt->is_array() && !prompt->empty() && !prompt->front().is_number()) {
    if (prompt->size() > kMostPrompts)
      reader.fail("prompt",
                  fmt::format("found {} prompts, the limit is {}", prompt->size(), kMostPrompts));
    else
      for (const Json& one : *prompt) add_prompt(reader, one, special, model, spec, echo);
  } else {
    add_prompt(reader, *prompt, special, model, spec, echo);
  }
  if (auto error = reader.finish()) return api_fail(std::move(*error));
  if (auto error = constrain(shape, nullptr, model, spec)) return api_fail(std::move(*error));
  return spec;
}

}  // namespace millrace::server
