// What a checkpoint's config says about the model, in one form whatever the file's age or kind.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json_fwd.h"
#include "cache/cache_storage.h"

namespace millrace {

enum class Mixer { Conv, Attention };

// Layers carry what may differ between them, so that successors with windows or a rope per layer
// are data, not code.
struct LayerConfig {
  Mixer mixer = Mixer::Conv;
  bool moe = false;
  int window = 0;  // attention: positions looked back on, 0 for all
};

struct MoeConfig {
  int experts = 0;
  int top_k = 0;
  std::int64_t width = 0;  // of one expert
  bool use_bias = true;
  bool normalise = true;
  double scale = 1.0;
};

struct ModelConfig {
  std::string model_type;   // "lfm2" or "lfm2_moe": of the text model
  bool has_vision = false;  // the file wraps it in a vision-language model
  std::int64_t hidden = 0;
  std::int64_t vocab = 0;
  std::vector<LayerConfig> layers;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  std::int64_t ffn_width = 0;  // of dense layers, after every adjustment (spec 3.1)
  int taps = 3;                // K = conv_L_cache
  bool conv_bias = false;
  double norm_epsilon = 1e-5;
  double rope_theta = 1e6;
  std::int64_t max_position = 128000;
  bool tied_head = true;
  std::optional<MoeConfig> moe;
  std::optional<std::int32_t> bos, eos, pad;
  DType dtype = DType::BF16;  // of the stored matrices; what dummy weights are made in

  int count(Mixer mixer) const;
  // Everything the caches need to know.
  CacheGeometry cache_geometry(DType kv_dtype, int draft_columns) const;
};

// config.json of any LFM2 release (spec 3). Strangers, among them lfm3, are refused by name.
Result<ModelConfig> parse_model_config(const Json& json, std::string_view origin);

// Cross-checks that hold for every source; called by all parsers.
Status check_model_config(const ModelConfig& config, std::string_view origin);

}  // namespace millrace
