// GGUF files, whole or split.
#pragma once

#include <memory>
#include <string>

#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf_metadata.h"

namespace millrace {

struct GgufModel {
  std::unique_ptr<Checkpoint> checkpoint;
  GgufMetadata metadata;  // of the first part; valid while the checkpoint lives
};

// A GGUF file. Of a split one ("name-00001-of-00003.gguf") any part may be named; all are opened.
Result<GgufModel> open_gguf(const std::string& path);

}  // namespace millrace
