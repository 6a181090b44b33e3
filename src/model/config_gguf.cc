#include "model/config_gguf.h"

namespace millrace {
namespace {

// Keys stand behind the architecture's name: "lfm2.block_count".
class Keys {
 public:
  Keys(const GgufMetadata& metadata, std::string architecture)
      : metadata_(metadata), architecture_(std::move(architecture)) {}

  std::string name(std::string_view key) const { return fmt::format("{}.{}", architecture_, key); }

  Result<std::int64_t> integer(std::string_view key, std::int64_t low, std::int64_t high) const {
    const auto value = MILLRACE_TRY(metadata_.integer(name(key), low, high));
    if (value) return *value;
    return fail(ErrorCode::Corrupt, "{}: key {} is missing", metadata_.origin(), name(key));
  }
  Result<double> number(std::string_view key, double otherwise) const {
    return MILLRACE_TRY(metadata_.number(name(key))).value_or(otherwise);
  }

 private:
  const GgufMetadata& metadata_;
  std::string architecture_;
};

// The KV head count per layer is the only word on layer types: 0 means a short convolution.
Result<std::vector<std::int64_t>> kv_heads_of_layers(const GgufMetadata& metadata, const Keys& keys,
                                                     std::size_t layers) {
  const std::string name = keys.name("attention.head_count_kv");
  if (!metadata.is_array(name))
    return std::vector<std::int64_t>(
        layers, MILLRACE_TRY(keys.integer("attention.head_count_kv", 1, 4096)));
  const auto counts = MILLRACE_TRY(metadata.integers(name, 0, 4096));
  if (!counts || counts->size() != layers)
    return fail(ErrorCode::Corrupt,
                "{}: key {}: found {} entries, expected one for each of {} layers",
                metadata.origin(), name, counts ? counts->size() : 0, layers);
  return *counts;
}

Result<MoeConfig> read_moe(const GgufMetadata& metadata, const Keys& keys) {
  MoeConfig moe;
  moe.experts = static_cast<int>(MILLRACE_TRY(keys.integer("expert_count", 1, 4096)));
  moe.top_k = static_cast<int>(MILLRACE_TRY(keys.integer("expert_used_count", 1, moe.experts)));
  moe.width = MILLRACE_TRY(keys.integer("expert_feed_forward_length", 1, 1 << 20));
  const std::string gating = keys.name("expert_gating_func");
  const auto function = MILLRACE_TRY(metadata.integer(gating));
  if (function && *function != 2)
    return fail(ErrorCode::Unsupported, "{}: key {}: found {}, expected 2 (sigmoid)",
                metadata.origin(), gating, *function);
  return moe;
}

Result<std::optional<std::int32_t>> read_token(const GgufMetadata& metadata, const char* key,
                                               std::int64_t vocab) {
  const auto token = MILLRACE_TRY(metadata.integer(key, 0, vocab - 1));
  if (!token) return std::nullopt;
  return static_cast<std::int32_t>(*token);
}

}  // namespace

Result<ModelConfig> config_from_gguf(const GgufModel& gguf) {
  const GgufMetadata& metadata = gguf.metadata;
  const std::string& origin = metadata.origin();
  const auto architecture = MILLRACE_TRY(metadata.string("general.architecture"));
  if (!architecture)
    return fail(ErrorCode::Corrupt, "{}: key general.architecture is missing", origin);
  if (*architecture != "lfm2" && *architecture != "lfm2moe")
    return fail(ErrorCode::Unsupported,
                "{}: general.architecture is '{}'; Millrace runs lfm2 and lfm2moe", origin,
                *architecture);
  const Keys keys(metadata, *architecture);
  const bool is_moe = *architecture == "lfm2moe";

  ModelConfig config;
  config.model_type = is_moe ? "lfm2_moe" : "lfm2";
  config.hidden = MILLRACE_TRY(keys.integer("embedding_length", 1, 1 << 20));
  config.layers.resize(
      static_cast<std::size_t>(MILLRACE_TRY(keys.integer("block_count", 1, 1024))));
  config.heads = static_cast<int>(MILLRACE_TRY(keys.integer("attention.head_count", 1, 4096)));
  config.kv_heads = 1;
  const auto kv_heads = MILLRACE_TRY(kv_heads_of_layers(metadata, keys, config.layers.size()));
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    if (kv_heads[i] == 0) continue;
    config.layers[i].mixer = Mixer::Attention;
    if (config.kv_heads != 1 && config.kv_heads != kv_heads[i])
      return fail(ErrorCode::Unsupported, "{}: layers have {} and {} KV heads, expected one count",
                  origin, config.kv_heads, kv_heads[i]);
    config.kv_heads = static_cast<int>(kv_heads[i]);
  }
  config.head_dim =
      static_cast<int>(MILLRACE_TRY(metadata.integer(keys.name("attention.key_length"), 2, 4096))
                           .value_or(config.hidden / config.heads));
  config.ffn_width = MILLRACE_TRY(keys.integer("feed_forward_length", 1, 1 << 20));
  config.taps = static_cast<int>(MILLRACE_TRY(keys.integer("shortconv.l_cache", 1, 64)));
  config.norm_epsilon = MILLRACE_TRY(keys.number("attention.layer_norm_rms_epsilon", 1e-5));
  config.rope_theta = MILLRACE_TRY(keys.number("rope.freq_base", 1e6));
  config.max_position = MILLRACE_TRY(keys.integer("context_length", 1, std::int64_t{1} << 31));

  const TensorView* embedding = gguf.checkpoint->find("token_embd.weight");
  if (embedding == nullptr || embedding->shape.rank() != 2)
    return fail(ErrorCode::Corrupt, "{}: tensor token_embd.weight is missing or no matrix", origin);
  config.vocab = embedding->shape[0];
  config.tied_head = gguf.checkpoint->find("output.weight") == nullptr;
  // No key tells of them.
  for (std::size_t i = 0; i < config.layers.size() && !config.conv_bias; ++i)
    config.conv_bias =
        gguf.checkpoint->find(fmt::format("blk.{}.shortconv.in_proj.bias", i)) != nullptr;
  // The bulk of the matrices says what the file is stored in; it also sets the cache's type.
  config.dtype = embedding->dtype;
  if (is_moe) {
    config.moe = MILLRACE_TRY(read_moe(metadata, keys));
    const std::int64_t dense = MILLRACE_TRY(keys.integer(
        "leading_dense_block_count", 0, static_cast<std::int64_t>(config.layers.size())));
    for (std::size_t i = static_cast<std::size_t>(dense); i < config.layers.size(); ++i)
      config.layers[i].moe = true;
    const std::string bias = fmt::format("blk.{}.exp_probs_b.bias", dense);
    config.moe->use_bias = gguf.checkpoint->find(bias) != nullptr;
  }
  config.bos = MILLRACE_TRY(read_token(metadata, "tokenizer.ggml.bos_token_id", config.vocab));
  config.eos = MILLRACE_TRY(read_token(metadata, "tokenizer.ggml.eos_token_id", config.vocab));
  config.pad = MILLRACE_TRY(read_token(metadata, "tokenizer.ggml.padding_token_id", config.vocab));
  MILLRACE_TRY(check_model_config(config, origin));
  return config;
}

}  // namespace millrace
