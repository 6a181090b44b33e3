#include "model/tensor_names.h"

#include <array>
#include <charconv>

namespace millrace {
namespace {

using NamePair = std::pair<std::string_view, std::string_view>;

// Spec 10: canonical and GGUF spellings. Per-layer names stand behind "layers.i." and "blk.i.".
constexpr std::array<NamePair, 3> kModelNames = {{
    {"embed_tokens.weight", "token_embd.weight"},
    {"embedding_norm.weight", "token_embd_norm.weight"},
    {"lm_head.weight", "output.weight"},
}};
constexpr std::array<NamePair, 19> kLayerNames = {{
    {"operator_norm.weight", "attn_norm.weight"},
    {"ffn_norm.weight", "ffn_norm.weight"},
    {"conv.in_proj.weight", "shortconv.in_proj.weight"},
    {"conv.in_proj.bias", "shortconv.in_proj.bias"},
    {"conv.conv.weight", "shortconv.conv.weight"},
    {"conv.conv.bias", "shortconv.conv.bias"},
    {"conv.out_proj.weight", "shortconv.out_proj.weight"},
    {"conv.out_proj.bias", "shortconv.out_proj.bias"},
    {"self_attn.q_proj.weight", "attn_q.weight"},
    {"self_attn.k_proj.weight", "attn_k.weight"},
    {"self_attn.v_proj.weight", "attn_v.weight"},
    {"self_attn.out_proj.weight", "attn_output.weight"},
    {"self_attn.q_layernorm.weight", "attn_q_norm.weight"},
    {"self_attn.k_layernorm.weight", "attn_k_norm.weight"},
    {"feed_forward.w1.weight", "ffn_gate.weight"},
    {"feed_forward.w3.weight", "ffn_up.weight"},
    {"feed_forward.w2.weight", "ffn_down.weight"},
    {"feed_forward.gate.weight", "ffn_gate_inp.weight"},
    {"feed_forward.expert_bias", "exp_probs_b.bias"},
}};

struct LayerName {
  int layer;
  std::string_view rest;  // "conv.in_proj.weight"
};

std::optional<LayerName> split_layer(std::string_view canonical) {
  constexpr std::string_view kPrefix = "layers.";
  if (!canonical.starts_with(kPrefix)) return std::nullopt;
  canonical.remove_prefix(kPrefix.size());
  LayerName name = {};
  const char* end = canonical.data() + canonical.size();
  const auto parsed = std::from_chars(canonical.data(), end, name.layer);
  if (parsed.ec != std::errc() || parsed.ptr == end || *parsed.ptr != '.') return std::nullopt;
  name.rest = {parsed.ptr + 1, static_cast<std::size_t>(end - parsed.ptr - 1)};
  return name;
}

struct ExpertName {
  int expert;
  std::string_view matrix;  // "w1", "w3" or "w2"
};

std::optional<ExpertName> split_expert(std::string_view rest) {
  constexpr std::string_view kPrefix = "feed_forward.experts.";
  if (!rest.starts_with(kPrefix)) return std::nullopt;
  rest.remove_prefix(kPrefix.size());
  ExpertName name = {};
  const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), name.expert);
  if (parsed.ec != std::errc()) return std::nullopt;
  rest.remove_prefix(static_cast<std::size_t>(parsed.ptr - rest.data()));
  if (rest.size() < 3) return std::nullopt;
  name.matrix = rest.substr(1, 2);
  return name;
}

// Rows [first, first + count) of a matrix.
TensorView row_range(const TensorView& matrix, std::int64_t first, std::int64_t count) {
  const std::int64_t row_bytes = bytes_of(matrix.dtype, matrix.shape[1]);
  return {matrix.as<std::byte>() + first * row_bytes, matrix.dtype, {count, matrix.shape[1]}};
}

}  // namespace

GgufPlace gguf_place(std::string_view canonical) {
  for (const auto& [ours, theirs] : kModelNames)
    if (ours == canonical) return {std::string(theirs)};
  const auto layer = split_layer(canonical);
  if (!layer) return {std::string(canonical)};
  if (const auto expert = split_expert(layer->rest)) {
    const std::string_view matrix = expert->matrix == "w1"   ? "gate"
                                    : expert->matrix == "w3" ? "up"
                                                             : "down";
    return {fmt::format("blk.{}.ffn_{}_exps.weight", layer->layer, matrix), layer->layer,
            expert->expert};
  }
  for (const auto& [ours, theirs] : kLayerNames)
    if (ours == layer->rest) return {fmt::format("blk.{}.{}", layer->layer, theirs), layer->layer};
  return {std::string(canonical)};
}

std::vector<TensorSpec> tensor_specs(const ModelConfig& config) {
  std::vector<TensorSpec> specs;
  const std::int64_t hidden = config.hidden;
  const std::int64_t q_width = std::int64_t{config.heads} * config.head_dim;
  const std::int64_t kv_width = std::int64_t{config.kv_heads} * config.head_dim;
  const auto add = [&](std::string name, Shape shape, TensorRole role) {
    specs.push_back({std::move(name), shape, role});
  };
  add("embed_tokens.weight", {config.vocab, hidden}, TensorRole::Embedding);
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    const LayerConfig& layer = config.layers[i];
    const std::string at = fmt::format("layers.{}.", i);
    add(at + "operator_norm.weight", {hidden}, TensorRole::Norm);
    if (layer.mixer == Mixer::Conv) {
      add(at + "conv.in_proj.weight", {3 * hidden, hidden}, TensorRole::Matrix);
      add(at + "conv.conv.weight", {hidden, 1, config.taps}, TensorRole::ConvKernel);
      add(at + "conv.out_proj.weight", {hidden, hidden}, TensorRole::Matrix);
      if (config.conv_bias) {
        add(at + "conv.in_proj.bias", {3 * hidden}, TensorRole::Bias);
        add(at + "conv.conv.bias", {hidden}, TensorRole::Bias);
        add(at + "conv.out_proj.bias", {hidden}, TensorRole::Bias);
      }
    } else {
      add(at + "self_attn.q_proj.weight", {q_width, hidden}, TensorRole::Matrix);
      add(at + "self_attn.k_proj.weight", {kv_width, hidden}, TensorRole::Matrix);
      add(at + "self_attn.v_proj.weight", {kv_width, hidden}, TensorRole::Matrix);
      add(at + "self_attn.out_proj.weight", {hidden, q_width}, TensorRole::Matrix);
      add(at + "self_attn.q_layernorm.weight", {config.head_dim}, TensorRole::Norm);
      add(at + "self_attn.k_layernorm.weight", {config.head_dim}, TensorRole::Norm);
    }
    add(at + "ffn_norm.weight", {hidden}, TensorRole::Norm);
    if (layer.moe) {
      const MoeConfig& moe = *config.moe;
      add(at + "feed_forward.gate.weight", {moe.experts, hidden}, TensorRole::Router);
      if (moe.use_bias) add(at + "feed_forward.expert_bias", {moe.experts}, TensorRole::ExpertBias);
      for (int e = 0; e < moe.experts; ++e) {
        const std::string expert = fmt::format("{}feed_forward.experts.{}.", at, e);
        add(expert + "w1.weight", {moe.width, hidden}, TensorRole::Matrix);
        add(expert + "w3.weight", {moe.width, hidden}, TensorRole::Matrix);
        add(expert + "w2.weight", {hidden, moe.width}, TensorRole::Matrix);
      }
    } else {
      add(at + "feed_forward.w1.weight", {config.ffn_width, hidden}, TensorRole::Matrix);
      add(at + "feed_forward.w3.weight", {config.ffn_width, hidden}, TensorRole::Matrix);
      add(at + "feed_forward.w2.weight", {hidden, config.ffn_width}, TensorRole::Matrix);
    }
  }
  add("embedding_norm.weight", {hidden}, TensorRole::Norm);
  if (!config.tied_head) add("lm_head.weight", {config.vocab, hidden}, TensorRole::Head);
  return specs;
}

std::int64_t parameter_count(const ModelConfig& config) {
  std::int64_t count = 0;
  for (const TensorSpec& spec : tensor_specs(config)) count += spec.shape.elements();
  return count;
}

Result<TensorResolver> TensorResolver::make(const Checkpoint& checkpoint) {
  if (checkpoint.find("token_embd.weight")) return TensorResolver(checkpoint, true, "");
  for (const std::string_view prefix : {"model.", "model.language_model.", "language_model.model.",
                                        "model.language_model.model.", ""})
    if (checkpoint.find(std::string(prefix) + "embed_tokens.weight"))
      return TensorResolver(checkpoint, false, std::string(prefix));
  return fail(ErrorCode::Corrupt,
              "{}: no token embedding (expected model.embed_tokens.weight or token_embd.weight); "
              "this is not an LFM2 checkpoint",
              checkpoint.origin());
}

std::string TensorResolver::spelled(std::string_view canonical) const {
  if (gguf_) {
    GgufPlace place = gguf_place(canonical);
    // A stack is not this one expert's tensor.
    return place.expert < 0 ? std::move(place.name) : std::string(canonical);
  }
  // The head stands outside of "model." (spec 3, tie_word_embeddings).
  if (canonical.starts_with("lm_head.")) return std::string(canonical);
  return prefix_ + std::string(canonical);
}

bool TensorResolver::has(std::string_view canonical) const {
  return checkpoint_->find(spelled(canonical)) != nullptr;
}

Result<TensorView> TensorResolver::find(const TensorSpec& spec) const {
  const std::string name = spelled(spec.name);
  const TensorView* found = checkpoint_->find(name);
  // Older GGUF converters called the final norm what other models call theirs.
  if (!found && gguf_ && spec.name == "embedding_norm.weight")
    found = checkpoint_->find("output_norm.weight");
  if (!found) {
    const auto stacked = MILLRACE_TRY(find_in_stack(spec));
    if (stacked) return *stacked;
    // Says whether it is missing, or there in a type that Millrace does not run.
    return tl::unexpected<Error>(checkpoint_->get(name).error());
  }
  // A conv kernel may be stored squeezed: [hidden, K] instead of [hidden, 1, K].
  const bool squeezed =
      spec.role == TensorRole::ConvKernel && found->shape == Shape{spec.shape[0], spec.shape[2]};
  if (found->shape != spec.shape && !squeezed)
    return fail(ErrorCode::Corrupt, "{}: tensor {} has shape {}, the config asks for {}",
                checkpoint_->origin(), name, to_string(found->shape), to_string(spec.shape));
  return *found;
}

Result<std::optional<TensorView>> TensorResolver::find_in_stack(const TensorSpec& spec) const {
  const auto layer = split_layer(spec.name);
  const auto expert = layer ? split_expert(layer->rest) : std::nullopt;
  if (!expert) return std::nullopt;
  const bool down = expert->matrix == "w2";
  const std::string name = gguf_ ? gguf_place(spec.name).name
                                 : fmt::format("{}layers.{}.feed_forward.experts.{}", prefix_,
                                               layer->layer, down ? "down_proj" : "gate_up_proj");
  const TensorView* stack = checkpoint_->find(name);
  if (!stack) return std::nullopt;
  // Hugging Face fuses gate and up: rows of w1 first, then those of w3.
  const bool fused = !gguf_ && !down;
  const std::int64_t rows = spec.shape[0] * (fused ? 2 : 1);
  const Shape& shape = stack->shape;
  if (shape.rank() != 3 || expert->expert >= shape[0] || shape[1] != rows ||
      shape[2] != spec.shape[1])
    return fail(ErrorCode::Corrupt,
                "{}: tensor {} has shape {}, the config asks for more than {} experts of {}",
                checkpoint_->origin(), name, to_string(shape), expert->expert,
                to_string(Shape{rows, spec.shape[1]}));
  const TensorView slice = stack->slice(expert->expert);
  if (!fused) return slice;
  return row_range(slice, expert->matrix == "w1" ? 0 : spec.shape[0], spec.shape[0]);
}

}  // namespace millrace
