// Hugging Face's safetensors files: reading and writing.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/mapped_file.h"
#include "checkpoint/checkpoint.h"

namespace millrace {

// One file. Its tensors are views into the mapping, but for those whose place in the file is not
// aligned for their element type: these are copied.
Result<std::unique_ptr<Checkpoint>> open_safetensors(const std::string& path);

// model.safetensors of a folder or, where that is not there, the shards that
// model.safetensors.index.json lists. NotFound when the folder has neither.
Result<std::unique_ptr<Checkpoint>> open_safetensors_folder(const std::string& folder);

// Writes the tensors (F32, F16, BF16, I32) under a temporary name beside `path` and renames it,
// so that `path` is never seen half written.
Status write_safetensors(const std::string& path, std::span<const NamedTensor> tensors,
                         const std::map<std::string, std::string>& metadata = {});

}  // namespace millrace
