// A model's config from GGUF metadata, and back (spec 10).
#pragma once

#include "checkpoint/gguf.h"
#include "checkpoint/gguf_writer.h"
#include "model/config.h"

namespace millrace {

// general.architecture lfm2 or lfm2moe; others are refused by name.
Result<ModelConfig> config_from_gguf(const GgufModel& gguf);

// general.architecture and the keys behind it, as llama.cpp's converter writes them. Unsupported
// where GGUF has no word for what the config says.
Status put_config(const ModelConfig& config, GgufKeys& keys);

}  // namespace millrace
