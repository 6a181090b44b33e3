// config.json from anywhere: an error or a config whose tensors can be listed.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/json.h"
#include "model/config.h"
#include "model/tensor_names.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const millrace::Result<millrace::Json> json = millrace::parse_json(text, "config.json");
  if (!json) return 0;
  const millrace::Result<millrace::ModelConfig> config =
      millrace::parse_model_config(*json, "config.json");
  if (!config) {
    millrace::check(!config.error().message.empty(), "an error without a message");
    return 0;
  }
  millrace::check(
      config->count(millrace::Mixer::Conv) + config->count(millrace::Mixer::Attention) ==
          static_cast<int>(config->layers.size()),
      "every layer mixes somehow");
  // Listing experts one by one is slow for absurd counts, not wrong.
  if (config->moe && config->moe->experts * static_cast<int>(config->layers.size()) > 10'000)
    return 0;
  millrace::check(millrace::parameter_count(*config) > 0, "a model without parameters");
  return 0;
}
