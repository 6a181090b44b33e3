#include <fmt/format.h>

#include "api/answer_shape.h"
#include "base/json.h"

namespace millrace::server {
namespace {

constexpr std::size_t kMostPrompts = 1024;
constexpr int kDefaultTokens = 16;  // OpenAI's
constexpr int kMostLogprobs = 20;

}  // namespace

ApiResult<GenerationSpec> parse_completion(const Json& body, const ServedModel& model) {
  BodyReader reader(body);
  GenerationSpec spec;
  AnswerShape shape;
  read_common(reader, model, spec, shape);
  const bool echo = reader.boolean("echo").value_or(false);
  // With echo the prompt alone can be what is asked for.
  spec.request.max_tokens =
      reader.integer("max_tokens", echo ? 0 : 1, INT64_MAX).value_or(kDefaultTokens);
  spec.request.prompt_only = spec.request.max_tokens == 0;
  if (const auto logprobs = reader.integer("logprobs", 0, kMostLogprobs))
    spec.request.sampling.logprobs = static_cast<int>(*logprobs);
  spec.echo_logprobs = echo && spec.request.sampling.logprobs >= 0;
  const bool special = reader.boolean("add_special_tokens").value_or(true);
  reader.only("suffix", {""}, "is not supported");
  if (const Json* format = reader.object("response_format"))
    read_format(reader, "response_format", *format, shape);

  for (Prompt& prompt : read_prompts(reader, "prompt", kMostPrompts, special, model)) {
    if (echo && (prompt.text || model.files.tokenizer))
      spec.echo.push_back(prompt.text ? std::move(*prompt.text)
                                      : model.files.tokenizer->decode(prompt.tokens));
    spec.prompts.push_back(std::move(prompt.tokens));
  }
  if (auto error = reader.finish()) return api_fail(std::move(*error));
  if (auto error = ask_for_prompt_logprobs(spec)) return api_fail(std::move(*error));
  if (spec.request.prompt_only) return spec;
  if (auto error = constrain(shape, nullptr, model, spec)) return api_fail(std::move(*error));
  return spec;
}

}  // namespace millrace::server
