// A model's config from GGUF metadata (spec 10).
#pragma once

#include "checkpoint/gguf.h"
#include "model/config.h"

namespace millrace {

// general.architecture lfm2 or lfm2moe; others are refused by name.
Result<ModelConfig> config_from_gguf(const GgufModel& gguf);

}  // namespace millrace
