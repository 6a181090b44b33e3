#include "model/config_gguf.h"

namespace millrace {
namespace {

Status check_expressible(const ModelConfig& config) {
  const auto refuse = [](std::string_view what) {
    return fail(ErrorCode::Unsupported, "GGUF files of LFM2 cannot say {}", what);
  };
  for (const LayerConfig& layer : config.layers)
    if (layer.window != 0) return refuse("that a layer's attention has a window");
  if (!config.moe) return {};
  if (!config.moe->normalise) return refuse("norm_topk_prob false");
  if (config.moe->scale != 1.0)
    return refuse(fmt::format("routed_scaling_factor {}", config.moe->scale));
  return {};
}

// Layers before the first of experts; none may follow it.
Result<std::uint32_t> leading_dense_layers(const ModelConfig& config) {
  std::size_t dense = 0;
  while (dense < config.layers.size() && !config.layers[dense].moe) ++dense;
  for (std::size_t i = dense; i < config.layers.size(); ++i)
    if (!config.layers[i].moe)
      return fail(ErrorCode::Unsupported,
                  "GGUF files of LFM2 cannot say that dense layer {} follows layers of experts", i);
  return static_cast<std::uint32_t>(dense);
}

}  // namespace

Status put_config(const ModelConfig& config, GgufKeys& keys) {
  MILLRACE_TRY(check_expressible(config));
  const std::string architecture = config.moe ? "lfm2moe" : "lfm2";
  const auto key = [&](std::string_view name) { return fmt::format("{}.{}", architecture, name); };
  const auto put = [&](std::string_view name, std::int64_t value) {
    keys.put_u32(key(name), static_cast<std::uint32_t>(value));
  };
  keys.put_string("general.architecture", architecture);
  put("block_count", static_cast<std::int64_t>(config.layers.size()));
  put("context_length", config.max_position);
  put("embedding_length", config.hidden);
  put("feed_forward_length", config.ffn_width);
  put("vocab_size", config.vocab);
  put("attention.head_count", config.heads);
  // The only word on layer types: none in a layer of convolution.
  std::vector<std::int32_t> kv_heads;
  for (const LayerConfig& layer : config.layers)
    kv_heads.push_back(layer.mixer == Mixer::Attention ? config.kv_heads : 0);
  keys.put_i32s(key("attention.head_count_kv"), kv_heads);
  if (std::int64_t{config.head_dim} * config.heads != config.hidden) {
    put("attention.key_length", config.head_dim);
    put("attention.value_length", config.head_dim);
  }
  keys.put_f32(key("attention.layer_norm_rms_epsilon"), static_cast<float>(config.norm_epsilon));
  keys.put_f32(key("rope.freq_base"), static_cast<float>(config.rope_theta));
  put("shortconv.l_cache", config.taps);
  if (!config.moe) return {};
  put("expert_count", config.moe->experts);
  put("expert_used_count", config.moe->top_k);
  put("expert_feed_forward_length", config.moe->width);
  put("leading_dense_block_count", MILLRACE_TRY(leading_dense_layers(config)));
  put("expert_gating_func", 2);  // sigmoid
  return {};
}

}  // namespace millrace
