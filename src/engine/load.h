// From a path to everything a model's files say.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "engine/sampling.h"
#include "model/config.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace millrace {

enum class LoadFormat {
  Auto,
  Dummy,    // random weights, from a config alone
  Outline,  // weights with shapes and without values, for asking what would be done with them
};

struct LoadOptions {
  LoadFormat format = LoadFormat::Auto;
  std::uint64_t dummy_seed = 0;
  std::optional<DType> dummy_dtype;  // of the random matrices; the config's otherwise
};

// What generation_config.json recommends; absent values leave the caller's defaults.
struct GenerationDefaults {
  std::vector<TokenId> eos;  // every token that ends a turn
  std::optional<double> temperature, top_p, min_p, repetition_penalty;
  std::optional<int> top_k;
};

// What to sample with where nobody asks for anything else: the model's own recommendation, and for
// a model that has none, what its makers publish for the family.
SamplingParams recommended_sampling(const GenerationDefaults& model);

struct LoadedModel {
  std::string path;
  ModelConfig config;
  std::shared_ptr<const Checkpoint> checkpoint;
  // Absent where the files have none: dummy weights beside a lone config.json.
  std::optional<Tokenizer> tokenizer;
  std::optional<ChatTemplate> chat_template;
  GenerationDefaults generation;
};

// The tokens that end a turn: what generation_config.json says, else config.json.
std::vector<TokenId> turn_ends(const LoadedModel& model);

// The path is a folder in Hugging Face layout, a GGUF file, or where weights are made up also a
// config.json, a folder that holds nothing else, or a name of known_configs().
Result<LoadedModel> load_model(const std::string& path, const LoadOptions& options);

// The same without making dummy weights, and with the checkpoint absent where there is none: for
// commands that describe a model or need its text parts only.
Result<LoadedModel> describe_model(const std::string& path, const LoadOptions& options);

// Bytes of the text model's tensors: as stored, or as dummy weights would be.
Result<std::int64_t> text_weight_bytes(const LoadedModel& model, const LoadOptions& options);

}  // namespace millrace
