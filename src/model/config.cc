#include "model/config.h"

#include <algorithm>
#include <cmath>

#include "base/json.h"

namespace millrace {
namespace {

// Larger values than any real model's: what is beyond is a lie that would exhaust memory.
constexpr std::int64_t kMaxLayers = 1024;
constexpr std::int64_t kMaxWidth = 1 << 20;
constexpr std::int64_t kMaxVocab = 1 << 24;

// Reads keys of one config object; messages start with "file: key".
class Reader {
 public:
  Reader(const Json& object, std::string_view origin) : object_(object), origin_(origin) {}

  Result<std::int64_t> integer(std::string_view key, std::optional<std::int64_t> otherwise,
                               std::int64_t low, std::int64_t high) const {
    const auto value = json_int(object_, key, low, high);
    if (!value) return fail_in(origin_, value.error());
    if (*value) return **value;
    if (otherwise) return *otherwise;
    return fail(ErrorCode::Corrupt, "{}: {} is missing", origin_, key);
  }
  Result<bool> boolean(std::string_view key, bool otherwise) const {
    const auto value = json_bool(object_, key);
    if (!value) return fail_in(origin_, value.error());
    return value->value_or(otherwise);
  }
  Result<std::optional<double>> number(std::string_view key) const {
    auto value = json_number(object_, key);
    if (!value) return fail_in(origin_, value.error());
    return *value;
  }
  Result<std::optional<std::string>> string(std::string_view key) const {
    auto value = json_string(object_, key);
    if (!value) return fail_in(origin_, value.error());
    return *value;
  }
  const Json* find(std::string_view key) const { return json_find(object_, key); }
  std::string_view origin() const { return origin_; }

 private:
  const Json& object_;
  std::string_view origin_;
};

Result<std::string> text_model_type(std::string_view found, std::string_view origin) {
  if (found == "lfm2" || found == "lfm2_moe") return std::string(found);
  const bool successor = found.starts_with("lfm3");
  return fail(ErrorCode::Unsupported,
              "{}: model_type is '{}'{}; Millrace runs lfm2, lfm2_moe and the text part of lfm2_vl",
              origin, found, successor ? ", a successor of LFM2 that is not supported yet" : "");
}

// Spec 3: layer_types wins, then full_attn_idxs; with neither, every layer is attention.
Result<std::vector<LayerConfig>> read_layers(const Reader& reader) {
  const std::int64_t count =
      MILLRACE_TRY(reader.integer("num_hidden_layers", std::nullopt, 1, kMaxLayers));
  std::vector<LayerConfig> layers(static_cast<std::size_t>(count));
  if (const Json* types = reader.find("layer_types")) {
    if (!types->is_array() || types->size() != layers.size())
      return fail(ErrorCode::Corrupt,
                  "{}: layer_types: found {} of {} entries, expected a list of {}", reader.origin(),
                  json_type_name(*types), types->size(), layers.size());
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const Json& type = (*types)[i];
      if (type == "conv")
        layers[i].mixer = Mixer::Conv;
      else if (type == "full_attention")
        layers[i].mixer = Mixer::Attention;
      else
        return fail(ErrorCode::Unsupported,
                    "{}: layer_types[{}]: found {}, expected \"conv\" or \"full_attention\"",
                    reader.origin(), i, type.dump(-1, ' ', false, Json::error_handler_t::replace));
    }
    return layers;
  }
  const Json* indices = reader.find("full_attn_idxs");
  if (indices == nullptr) {
    for (LayerConfig& layer : layers) layer.mixer = Mixer::Attention;
    return layers;
  }
  if (!indices->is_array())
    return fail(ErrorCode::Corrupt, "{}: full_attn_idxs: found {}, expected a list",
                reader.origin(), json_type_name(*indices));
  for (const Json& index : *indices) {
    if (!index.is_number_integer() || index < 0 || index >= count)
      return fail(ErrorCode::Corrupt, "{}: full_attn_idxs: found {}, expected layers 0 to {}",
                  reader.origin(), index.dump(-1, ' ', false, Json::error_handler_t::replace),
                  count - 1);
    layers[index.get<std::size_t>()].mixer = Mixer::Attention;
  }
  return layers;
}

// Spec 3.1, with transformers' order of truncations.
Result<std::int64_t> read_ffn_width(const Reader& reader, bool dense_class) {
  std::int64_t raw =
      MILLRACE_TRY(reader.integer("intermediate_size", dense_class ? 12288 : 7168, 1, kMaxWidth));
  if (!dense_class) return raw;
  raw = MILLRACE_TRY(reader.integer("block_ff_dim", raw, 1, kMaxWidth));
  if (!MILLRACE_TRY(reader.boolean("block_auto_adjust_ff_dim", true))) return raw;
  std::int64_t width = 2 * raw / 3;
  const std::int64_t multiple =
      MILLRACE_TRY(reader.integer("block_multiple_of", 256, 1, kMaxWidth));
  const double multiplier = MILLRACE_TRY(reader.number("block_ffn_dim_multiplier")).value_or(1.0);
  if (!(multiplier > 0 && multiplier < 1000))
    return fail(ErrorCode::Corrupt, "{}: block_ffn_dim_multiplier: found {}, expected 0 to 1000",
                reader.origin(), multiplier);
  width = static_cast<std::int64_t>(multiplier * static_cast<double>(width));
  return (width + multiple - 1) / multiple * multiple;
}

Result<double> read_rope_theta(const Reader& reader) {
  constexpr double kDefault = 1e6;
  double theta = MILLRACE_TRY(reader.number("rope_theta"))
                     .value_or(MILLRACE_TRY(reader.number("theta")).value_or(kDefault));
  if (const Json* rope = reader.find("rope_parameters")) {
    if (!rope->is_object())
      return fail(ErrorCode::Corrupt, "{}: rope_parameters: found {}, expected an object",
                  reader.origin(), json_type_name(*rope));
    const std::string origin = fmt::format("{}: rope_parameters", reader.origin());
    const Reader inner(*rope, origin);
    const std::string type = MILLRACE_TRY(inner.string("rope_type")).value_or("default");
    if (type != "default")
      return fail(ErrorCode::Unsupported, "{}.rope_type: found '{}', expected 'default'", origin,
                  type);
    theta = MILLRACE_TRY(inner.number("rope_theta")).value_or(theta);
  }
  if (reader.find("rope_scaling"))
    return fail(ErrorCode::Unsupported, "{}: rope_scaling is set; no LFM2 model uses it",
                reader.origin());
  return theta;
}

Result<std::optional<std::int32_t>> read_token(const Reader& reader, std::string_view key,
                                               std::int64_t vocab) {
  const Json* value = reader.find(key);
  if (value == nullptr) return std::nullopt;
  // eos_token_id may be a list; the first is the one that ends a turn.
  const Json& first = value->is_array() && !value->empty() ? value->front() : *value;
  if (!first.is_number_integer() || first < 0 || first >= vocab)
    return fail(ErrorCode::Corrupt, "{}: {}: found {}, expected a token from 0 to {}",
                reader.origin(), key, first.dump(-1, ' ', false, Json::error_handler_t::replace),
                vocab - 1);
  return first.get<std::int32_t>();
}

Result<MoeConfig> read_moe(const Reader& reader) {
  MoeConfig moe;
  moe.experts = static_cast<int>(MILLRACE_TRY(reader.integer("num_experts", 32, 1, 4096)));
  moe.top_k =
      static_cast<int>(MILLRACE_TRY(reader.integer("num_experts_per_tok", 4, 1, moe.experts)));
  moe.width = MILLRACE_TRY(reader.integer("moe_intermediate_size", 1792, 1, kMaxWidth));
  moe.use_bias = MILLRACE_TRY(reader.boolean("use_expert_bias", true));
  moe.normalise = MILLRACE_TRY(reader.boolean("norm_topk_prob", true));
  moe.scale = MILLRACE_TRY(reader.number("routed_scaling_factor")).value_or(1.0);
  return moe;
}

Result<DType> read_dtype(const Reader& reader) {
  auto name = MILLRACE_TRY(reader.string("dtype"));
  if (!name) name = MILLRACE_TRY(reader.string("torch_dtype"));
  if (!name) return DType::BF16;
  const std::optional<DType> dtype = parse_dtype(*name);
  if (!dtype || is_quantised(*dtype) || *dtype == DType::I32 || *dtype == DType::F8_E4M3)
    return fail(ErrorCode::Unsupported,
                "{}: dtype: found '{}', expected float32, float16 or bfloat16", reader.origin(),
                *name);
  return *dtype;
}

}  // namespace

int ModelConfig::count(Mixer mixer) const {
  return static_cast<int>(
      std::count_if(layers.begin(), layers.end(),
                    [&](const LayerConfig& layer) { return layer.mixer == mixer; }));
}

CacheGeometry ModelConfig::cache_geometry(DType kv_dtype, int draft_columns) const {
  CacheGeometry geometry;
  geometry.attention_layers = count(Mixer::Attention);
  geometry.kv_heads = kv_heads;
  geometry.head_dim = head_dim;
  geometry.kv_dtype = kv_dtype;
  geometry.conv_layers = count(Mixer::Conv);
  geometry.conv_channels = hidden;
  geometry.taps = taps;
  geometry.draft_columns = draft_columns;
  return geometry;
}

Result<ModelConfig> parse_model_config(const Json& json, std::string_view origin) {
  if (!json.is_object())
    return fail(ErrorCode::Corrupt, "{}: found {}, expected an object", origin,
                json_type_name(json));
  const Reader top(json, origin);
  const auto type = MILLRACE_TRY(top.string("model_type"));
  if (!type) return fail(ErrorCode::Corrupt, "{}: model_type is missing", origin);

  if (*type == "lfm2_vl" || *type == "lfm2-vl") {
    const Json* text = top.find("text_config");
    if (text == nullptr || !text->is_object())
      return fail(ErrorCode::Corrupt, "{}: text_config is missing, an lfm2_vl model has one",
                  origin);
    Json inner = *text;
    if (!json_find(inner, "model_type")) inner["model_type"] = "lfm2";
    // Keys that VL files keep at the top apply to the text model unless it has its own.
    for (const char* key : {"tie_word_embeddings", "tie_embedding", "bos_token_id", "eos_token_id",
                            "pad_token_id", "dtype", "torch_dtype"})
      if (!json_find(inner, key) && json_find(json, key)) inner[key] = *json_find(json, key);
    ModelConfig config =
        MILLRACE_TRY(parse_model_config(inner, fmt::format("{}: text_config", origin)));
    config.has_vision = true;
    return config;
  }

  ModelConfig config;
  config.model_type = MILLRACE_TRY(text_model_type(*type, origin));
  const bool is_moe = config.model_type == "lfm2_moe";
  config.hidden = MILLRACE_TRY(top.integer("hidden_size", is_moe ? 2048 : 2560, 1, kMaxWidth));
  config.vocab = MILLRACE_TRY(top.integer("vocab_size", 65536, 1, kMaxVocab));
  config.layers = MILLRACE_TRY(read_layers(top));
  const auto alias = MILLRACE_TRY(top.integer("num_heads", 32, 1, 4096));
  config.heads = static_cast<int>(MILLRACE_TRY(top.integer("num_attention_heads", alias, 1, 4096)));
  config.kv_heads = static_cast<int>(MILLRACE_TRY(top.integer("num_key_value_heads", 8, 1, 4096)));
  config.head_dim = static_cast<int>(
      MILLRACE_TRY(top.integer("head_dim", config.hidden / config.heads, 1, 4096)));
  config.ffn_width = MILLRACE_TRY(read_ffn_width(top, !is_moe));
  config.taps = static_cast<int>(MILLRACE_TRY(top.integer("conv_L_cache", 3, 1, 64)));
  config.conv_bias = MILLRACE_TRY(top.boolean("conv_bias", false));
  config.norm_epsilon = MILLRACE_TRY(top.number("norm_eps"))
                            .value_or(MILLRACE_TRY(top.number("block_norm_eps")).value_or(1e-5));
  config.rope_theta = MILLRACE_TRY(read_rope_theta(top));
  config.max_position =
      MILLRACE_TRY(top.integer("max_position_embeddings", 128000, 1, std::int64_t{1} << 31));
  config.tied_head = MILLRACE_TRY(
      top.boolean("tie_embedding", MILLRACE_TRY(top.boolean("tie_word_embeddings", true))));
  if (is_moe) {
    config.moe = MILLRACE_TRY(read_moe(top));
    const auto dense = MILLRACE_TRY(
        top.integer("num_dense_layers", 2, 0, static_cast<std::int64_t>(config.layers.size())));
    for (std::size_t i = static_cast<std::size_t>(dense); i < config.layers.size(); ++i)
      config.layers[i].moe = true;
  }
  config.bos = MILLRACE_TRY(read_token(top, "bos_token_id", config.vocab));
  config.eos = MILLRACE_TRY(read_token(top, "eos_token_id", config.vocab));
  config.pad = MILLRACE_TRY(read_token(top, "pad_token_id", config.vocab));
  config.dtype = MILLRACE_TRY(read_dtype(top));
  if (const auto checked = check_model_config(config, origin); !checked)
    return tl::unexpected(checked.error());
  return config;
}

Status check_model_config(const ModelConfig& config, std::string_view origin) {
  if (config.heads % config.kv_heads != 0)
    return fail(ErrorCode::Corrupt,
                "{}: num_attention_heads is {}, expected a multiple of num_key_value_heads {}",
                origin, config.heads, config.kv_heads);
  if (config.head_dim % 2 != 0)
    return fail(ErrorCode::Corrupt, "{}: head_dim is {}, expected an even number", origin,
                config.head_dim);
  if (!(config.norm_epsilon > 0 && config.norm_epsilon < 1))
    return fail(ErrorCode::Corrupt, "{}: norm_eps is {}, expected a number from 0 to 1", origin,
                config.norm_epsilon);
  if (!(config.rope_theta >= 1 && config.rope_theta <= 1e12))
    return fail(ErrorCode::Corrupt, "{}: rope theta is {}, expected 1 to 1e12", origin,
                config.rope_theta);
  return {};
}

}  // namespace millrace
