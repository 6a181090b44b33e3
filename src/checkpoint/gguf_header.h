// Everything before the tensor data of a GGUF file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "checkpoint/gguf_metadata.h"
#include "checkpoint/tensor_entry.h"

namespace millrace {

struct GgufHeader {
  std::uint32_t version = 0;
  GgufMetadata metadata;  // borrows the file's bytes
  std::vector<TensorEntry> tensors;
};

// `file` holds the whole file (or one part of a split one); `origin` names it in messages.
// Versions 2 and 3, little endian. Checked: every length against the file's end, keys once each,
// rows of whole blocks, data aligned, inside the file and without overlaps. ggml's dims come out
// slowest first. Two tensors of one name pass: CheckpointBuilder, which sees all parts, refuses
// them.
Result<GgufHeader> parse_gguf(std::span<const std::byte> file, std::string_view origin);

}  // namespace millrace
