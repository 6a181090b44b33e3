// The family's published configurations, so that a model can be asked about by its name alone.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace millrace {

struct KnownConfig {
  std::string_view name;  // "LFM2-1.2B"
  std::string_view json;  // its config.json
};

// In order of their names.
std::span<const KnownConfig> known_configs();
// Null where there is none of that name.
const KnownConfig* find_known_config(std::string_view name);
// "LFM2-1.2B, LFM2-2.6B, ...": for messages.
std::string known_config_names();

}  // namespace millrace
