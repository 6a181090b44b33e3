// A request's body: the first byte chooses the API. What is accepted must be usable.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "api/embeddings.h"
#include "api/generation_spec.h"
#include "api/renderer.h"
#include "base/json.h"

namespace {

using namespace millrace;

const LoadedModel& nano() {
  static const LoadedModel kModel = [] {
    auto model = describe_model(MILLRACE_SOURCE_DIR "/models/nano", LoadOptions{});
    if (!model) std::abort();
    return std::move(*model);
  }();
  return kModel;
}

void check_spec(const server::ApiResult<server::GenerationSpec>& spec) {
  if (!spec) {
    const server::ApiError& error = spec.error();
    if (error.message.empty() || error.status < 400 || error.status > 499) std::abort();
    (void)server::dump(server::error_json(error));
    return;
  }
  if (spec->prompts.empty() || spec->n < 1) std::abort();
  for (const auto& prompt : spec->prompts) {
    if (prompt.empty()) std::abort();
    for (const TokenId token : prompt)
      if (token < 0 || token >= nano().config.vocab) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  static const server::ServedModel kServed{.files = nano(),
                                           .context = 1024,
                                           .names = {"nano"},
                                           .sampling = {},
                                           .grammars = server::grammars_of(nano())};
  const auto body = parse_json({reinterpret_cast<const char*>(data) + 1, size - 1}, "body", 128);
  if (!body) return 0;
  switch (data[0] % 7) {
    case 0:
      check_spec(server::parse_chat(*body, kServed));
      break;
    case 1:
      check_spec(server::parse_completion(*body, kServed));
      break;
    case 2:
      (void)server::tokenize(*body, kServed);
      break;
    case 4:
      check_spec(server::parse_messages(*body, kServed));
      break;
    case 5:
      check_spec(server::parse_responses(*body, kServed));
      break;
    case 6:
      if (const auto spec = server::parse_embeddings(*body, kServed)) {
        if (spec->requests.empty()) std::abort();
        for (const Request& request : spec->requests)
          if (request.prompt.empty() || !request.pooling) std::abort();
      }
      break;
    case 3:
      (void)server::detokenize(*body, kServed);
      break;
  }
  return 0;
}
