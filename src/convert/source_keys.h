// The metadata of a GGUF file, from what it is made of.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/gguf_writer.h"
#include "convert/file_type.h"
#include "engine/load.h"

namespace millrace {

// Of a folder in Hugging Face layout: config, tokenizer, chat template and sampling defaults, under
// the keys llama.cpp's converter writes. `notes` gets a line for whatever GGUF cannot say.
Result<GgufKeys> keys_of_folder(const std::string& folder, const LoadedModel& model,
                                const FileType& type, const std::string& name,
                                std::vector<std::string>& notes);

// Of a GGUF file: all it has, but for what told how it was stored. An empty name keeps its own.
GgufKeys keys_of_gguf(const GgufMetadata& metadata, const FileType& type, const std::string& name);

}  // namespace millrace
