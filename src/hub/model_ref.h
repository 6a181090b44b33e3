// What a user types to name a model on a hub.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace millrace {

// "ORG/NAME", "ORG/NAME@REVISION", "ORG/NAME:QUANT" or "ORG/NAME@REVISION:QUANT".
struct ModelRef {
  std::string repo;               // "ORG/NAME"
  std::string revision = "main";  // a branch, a tag or a commit of 40 hex digits
  std::string quant;              // "Q4_0": that GGUF alone; empty: the safetensors model

  // As the user would type it.
  std::string text() const;
};

// InvalidArgument, saying which part is wrong. Every part is safe to put into a path and a URL.
Result<ModelRef> parse_model_ref(std::string_view text);

// 40 lower-case hex digits: a commit, which never moves.
bool is_commit(std::string_view revision);

}  // namespace millrace
