// A chat template and a request, both hostile: the source, a zero byte, then a JSON object whose
// members are the template's variables (messages, tools, ...).
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "text/chat_request.h"
#include "text/chat_template.h"

namespace {

millrace::JinjaLimits tight_limits() {
  millrace::JinjaLimits limits;
  limits.template_bytes = 1u << 16;
  limits.parse_depth = 100;
  limits.evaluation_depth = 200;
  limits.steps = 100'000;
  limits.value_bytes = 1u << 18;
  limits.memory_bytes = 4u << 20;
  limits.output_bytes = 1u << 18;
  limits.value_depth = 50;
  return limits;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t split = std::min(input.find('\0'), size);
  const auto chat = millrace::ChatTemplate::parse(std::string(input.substr(0, split)), "fuzz",
                                                  {{"bos_token", "<s>"}}, tight_limits());
  if (!chat) return 0;
  millrace::ChatRequest request;
  request.now = millrace::LocalTime(std::chrono::microseconds(1'741'529'106'000'000));
  request.messages = millrace::Json::array({{{"role", "user"}, {"content", "Hi"}}});
  request.add_generation_prompt = true;
  auto variables = millrace::parse_json(
      split < size ? input.substr(split + 1) : std::string_view("{}"), "variables", 60);
  if (variables && variables->is_object()) {
    const auto take = [&](const char* name, millrace::Json& to) {
      if (!variables->contains(name)) return;
      to = (*variables)[name];
      variables->erase(name);
    };
    take("messages", request.messages);
    take("tools", request.tools);
    take("documents", request.documents);
    request.continue_final_message = variables->contains("continue");
    request.add_generation_prompt = !request.continue_final_message;
    request.variables = std::move(*variables);
  }
  (void)chat->render(request);
  return 0;
}
