// Which files of a repository a model needs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hub/model_ref.h"
#include "hub/remote_file.h"

namespace millrace::hub {

struct Filters {
  // As in Python's fnmatch: '*' crosses '/', '?', [abc]; a pattern that ends with '/' means the
  // folder's content. Empty include: what running an LFM2 model needs.
  std::vector<std::string> include;
  std::vector<std::string> exclude;
};

struct Selection {
  std::vector<RemoteFile> files;  // sorted by path, never empty
  std::string gguf;               // the GGUF to open (of shards the first); empty: a folder's model
};

// `listing` is sorted by path. With ref.quant: the one GGUF of that quantization (all of its
// shards). Else with an include: what matches. Else config, tokenizer, templates, processors and
// safetensors. NotFound when nothing or only a part is there, InvalidArgument when the
// quantization names several models.
Result<Selection> select_files(const std::vector<RemoteFile>& listing, const ModelRef& ref,
                               const Filters& filters);

bool matches_any(const std::vector<std::string>& patterns, const std::string& path);

}  // namespace millrace::hub
