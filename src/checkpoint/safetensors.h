// Hugging Face's safetensors: an 8-byte header length, a JSON header, the tensors' bytes.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/mapped_file.h"
#include "checkpoint/checkpoint.h"

namespace millrace {

// model.safetensors, or the shards that model.safetensors.index.json lists.
Result<std::unique_ptr<Checkpoint>> open_safetensors_folder(const std::string& folder);

// One file.
Result<std::unique_ptr<Checkpoint>> open_safetensors(const std::string& path);

}  // namespace millrace
