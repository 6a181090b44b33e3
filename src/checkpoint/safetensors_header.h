// The header of a safetensors file: an 8-byte length, then JSON.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "checkpoint/tensor_entry.h"

namespace millrace {

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;             // in the order of the header
  std::map<std::string, std::string> metadata;  // "__metadata__"
};

// `file` holds the whole file; `origin` names it in messages. Holds to what the format's own
// library asks: at most 100 MB of header, every field once, shape x type equal to the byte range,
// the ranges inside the file, and together all of it without overlap or hole. Types that Millrace
// does not know are kept as foreign entries. Two tensors of one name pass: CheckpointBuilder, which
// sees all files of a checkpoint, refuses them.
Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> file,
                                            std::string_view origin);

}  // namespace millrace
