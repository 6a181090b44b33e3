#include "model/weights.h"

#include <cmath>
#include <map>

#include "model/tensor_names.h"
#include "model/weight_upload.h"
#include "tensor/decode_row.h"

namespace millrace {
namespace {

class Binder {
 public:
  Binder(const ModelConfig& config, const TensorResolver& resolver, const Checkpoint& checkpoint,
         Device& device, ModelWeights& weights)
      : checkpoint_(checkpoint),
        resolver_(resolver),
        device_(device),
        weights_(weights),
        upload_(device) {
    for (TensorSpec& spec : tensor_specs(config)) {
      std::string name = spec.name;
      specs_.emplace(std::move(name), std::move(spec));
    }
  }

  Result<TensorView> matrix(const std::string& name) {
    const TensorView stored = MILLRACE_TRY(stored_tensor(name));
    if (device_.uses_host_memory()) return stored;
    TensorView copy = on_device(stored);
    DeviceBuffer buffer = device_.allocate(static_cast<std::size_t>(copy.bytes()));
    upload_.add(buffer.as<void>(), copy.dtype, stored);
    copy.data = buffer.as<void>();
    weights_.buffers.push_back(std::move(buffer));
    return copy;
  }

  // Matrices that are read together. On other devices they lie one behind the other, without
  // gaps, if they are stored in one type there.
  Result<std::vector<TensorView>> joined(const std::vector<std::string>& names) {
    std::vector<TensorView> views;
    for (const std::string& name : names) views.push_back(MILLRACE_TRY(stored_tensor(name)));
    if (device_.uses_host_memory()) return views;
    std::int64_t bytes = 0;
    for (const TensorView& stored : views) bytes += on_device(stored).bytes();
    DeviceBuffer buffer = device_.allocate(static_cast<std::size_t>(bytes));
    auto* target = buffer.as<std::byte>();
    for (TensorView& view : views) {
      TensorView copy = on_device(view);
      upload_.add(target, copy.dtype, view);
      copy.data = target;
      target += copy.bytes();
      view = copy;
    }
    weights_.buffers.push_back(std::move(buffer));
    return views;
  }

  // `stem`.weight with `stem`.bias where the config has one.
  Result<MatrixWeight> linear(const std::string& stem) {
    MatrixWeight weight;
    weight.weight = MILLRACE_TRY(matrix(stem + ".weight"));
    if (specs_.contains(stem + ".bias")) weight.bias = MILLRACE_TRY(vector(stem + ".bias"));
    return weight;
  }

  Result<const float*> vector(const std::string& name) {
    const TensorView stored = MILLRACE_TRY(stored_tensor(name));
    std::vector<float> values = widened(stored);
    MILLRACE_TRY(require_finite(name, values));
    return keep(values);
  }

  // [hidden][taps] in the file, [taps][hidden] for the kernels.
  Result<const float*> conv_kernel(const std::string& name, std::int64_t hidden, int taps) {
    const std::vector<float> stored = widened(MILLRACE_TRY(stored_tensor(name)));
    MILLRACE_TRY(require_finite(name, stored));
    std::vector<float> turned(stored.size());
    for (std::int64_t c = 0; c < hidden; ++c)
      for (std::int64_t k = 0; k < taps; ++k)
        turned[static_cast<std::size_t>(k * hidden + c)] =
            stored[static_cast<std::size_t>(c * taps + k)];
    return keep(turned);
  }

  bool has(const std::string& name) const { return specs_.contains(name); }

  // Returns when all that was bound is where it belongs.
  void finish() { upload_.finish(); }

 private:
  Result<TensorView> stored_tensor(const std::string& name) {
    const auto spec = specs_.find(name);
    check(spec != specs_.end(), "a tensor is bound that the config does not list");
    const TensorView view = MILLRACE_TRY(resolver_.find(spec->second));
    weights_.bytes += view.bytes();
    return view;
  }

  static std::vector<float> widened(const TensorView& view) {
    std::vector<float> values(static_cast<std::size_t>(view.shape.elements()));
    decode_row(view.dtype, view.data, view.shape.elements(), values.data());
    return values;
  }

  // A damaged norm or kernel would poison every token; matrices are too large to check.
  Status require_finite(const std::string& name, const std::vector<float>& values) const {
    for (std::size_t i = 0; i < values.size(); ++i)
      if (!std::isfinite(values[i]))
        return fail(ErrorCode::Corrupt, "{}: tensor {} holds {} at element {}, expected numbers",
                    checkpoint_.origin(), name, values[i], i);
    return {};
  }

  const float* keep(const std::vector<float>& values) {
    const std::size_t bytes = values.size() * sizeof(float);
    // Vectors share pages: a mapping each would waste most of its 4 KiB.
    if (pool_left_ < bytes) {
      pool_left_ = std::max<std::size_t>(bytes, 1u << 18);
      weights_.buffers.push_back(device_.allocate(pool_left_));
      pool_next_ = weights_.buffers.back().as<std::byte>();
    }
    void* target = pool_next_;
    const std::size_t step = (bytes + 255) / 256 * 256;
    pool_next_ += step;
    pool_left_ -= std::min(step, pool_left_);
    copy(target, values.data(), bytes);
    return static_cast<const float*>(target);
  }

  // The type and shape that a matrix has on a GPU, whose kernels read F32 and BF16: half floats
  // widen, quantised formats become BF16, which is finer than they are.
  static TensorView on_device(const TensorView& stored) {
    TensorView view = stored;
    view.data = nullptr;
    if (stored.dtype == DType::F16) view.dtype = DType::F32;
    if (is_quantised(stored.dtype)) view.dtype = DType::BF16;
    return view;
  }

  void copy(void* target, const void* source, std::size_t bytes) {
    if (!stream_) stream_ = device_.make_stream();
    device_.copy_in(target, source, bytes, *stream_);
    device_.synchronize(*stream_);
  }

  const Checkpoint& checkpoint_;
  const TensorResolver& resolver_;
  Device& device_;
  ModelWeights& weights_;
  std::unique_ptr<Stream> stream_;
  std::byte* pool_next_ = nullptr;
  std::size_t pool_left_ = 0;
  std::map<std::string, TensorSpec, std::less<>> specs_;
  WeightUpload upload_;
};

// Products of one input: `all` is them as one matrix where memory allows.
Status bind_joined(Binder& bind, const std::vector<std::string>& stems,
                   const std::vector<MatrixWeight*>& parts, MatrixWeight& all) {
  std::vector<std::string> names;
  for (const std::string& stem : stems) names.push_back(stem + ".weight");
  const std::vector<TensorView> views = MILLRACE_TRY(bind.joined(names));
  std::int64_t rows = 0;
  bool joined = true;
  for (std::size_t i = 0; i < views.size(); ++i) {
    parts[i]->weight = views[i];
    if (bind.has(stems[i] + ".bias")) {
      parts[i]->bias = MILLRACE_TRY(bind.vector(stems[i] + ".bias"));
      joined = false;
    }
    const auto* expected =
        views.front().as<std::byte>() + bytes_of(views.front().dtype, rows * views[i].shape[1]);
    joined = joined && views[i].dtype == views.front().dtype && views[i].data == expected;
    rows += views[i].shape[0];
  }
  if (joined)
    all.weight = {views.front().data, views.front().dtype, {rows, views.front().shape[1]}};
  return {};
}

Result<ConvWeights> bind_conv(Binder& bind, const ModelConfig& config, const std::string& at) {
  ConvWeights conv;
  conv.in_proj = MILLRACE_TRY(bind.linear(at + "conv.in_proj"));
  conv.kernel = MILLRACE_TRY(bind.conv_kernel(at + "conv.conv.weight", config.hidden, config.taps));
  if (config.conv_bias) conv.bias = MILLRACE_TRY(bind.vector(at + "conv.conv.bias"));
  conv.out_proj = MILLRACE_TRY(bind.linear(at + "conv.out_proj"));
  return conv;
}

Result<AttentionWeights> bind_attention(Binder& bind, const std::string& at) {
  AttentionWeights attention;
  MILLRACE_TRY(
      bind_joined(bind, {at + "self_attn.q_proj", at + "self_attn.k_proj", at + "self_attn.v_proj"},
                  {&attention.q, &attention.k, &attention.v}, attention.qkv));
  attention.out = MILLRACE_TRY(bind.linear(at + "self_attn.out_proj"));
  attention.q_norm = MILLRACE_TRY(bind.vector(at + "self_attn.q_layernorm.weight"));
  attention.k_norm = MILLRACE_TRY(bind.vector(at + "self_attn.k_layernorm.weight"));
  return attention;
}

Result<MoeWeights> bind_moe(Binder& bind, const MoeConfig& config, const std::string& at) {
  MoeWeights moe;
  moe.router = MILLRACE_TRY(bind.linear(at + "feed_forward.gate"));
  if (config.use_bias) moe.bias = MILLRACE_TRY(bind.vector(at + "feed_forward.expert_bias"));
  moe.experts.resize(static_cast<std::size_t>(config.experts));
  for (const auto& [name, member] :
       {std::pair{"w1", &ExpertView::w1}, {"w3", &ExpertView::w3}, {"w2", &ExpertView::w2}}) {
    std::vector<std::string> names;
    for (int e = 0; e < config.experts; ++e)
      names.push_back(fmt::format("{}feed_forward.experts.{}.{}.weight", at, e, name));
    const std::vector<TensorView> views = MILLRACE_TRY(bind.joined(names));
    for (std::size_t e = 0; e < views.size(); ++e) moe.experts[e].*member = views[e];
  }
  return moe;
}

Result<LayerWeights> bind_layer(Binder& bind, const ModelConfig& config, std::size_t index) {
  const std::string at = fmt::format("layers.{}.", index);
  LayerWeights layer;
  layer.operator_norm = MILLRACE_TRY(bind.vector(at + "operator_norm.weight"));
  layer.ffn_norm = MILLRACE_TRY(bind.vector(at + "ffn_norm.weight"));
  if (config.layers[index].mixer == Mixer::Conv)
    layer.conv = MILLRACE_TRY(bind_conv(bind, config, at));
  else
    layer.attention = MILLRACE_TRY(bind_attention(bind, at));
  if (config.layers[index].moe) {
    layer.moe = MILLRACE_TRY(bind_moe(bind, *config.moe, at));
  } else {
    MlpWeights mlp;
    MILLRACE_TRY(bind_joined(bind, {at + "feed_forward.w1", at + "feed_forward.w3"},
                             {&mlp.w1, &mlp.w3}, mlp.w13));
    mlp.w2 = MILLRACE_TRY(bind.linear(at + "feed_forward.w2"));
    layer.mlp = mlp;
  }
  return layer;
}

std::int64_t bytes_read_per_token(const ModelConfig& config, const ModelWeights& weights) {
  std::int64_t idle = 0;  // experts not chosen
  for (const LayerWeights& layer : weights.layers) {
    if (!layer.moe) continue;
    const ExpertView& expert = layer.moe->experts.front();
    idle += (config.moe->experts - config.moe->top_k) *
            (expert.w1.bytes() + expert.w3.bytes() + expert.w2.bytes());
  }
  // An untied embedding gives one row; a tied one is read whole as the head.
  if (!config.tied_head) idle += weights.embedding.bytes();
  return weights.bytes - idle;
}

}  // namespace

Result<ModelWeights> bind_weights(const ModelConfig& config,
                                  std::shared_ptr<const Checkpoint> checkpoint, Device& device) {
  const TensorResolver resolver = MILLRACE_TRY(TensorResolver::make(*checkpoint));
  ModelWeights weights;
  Binder bind(config, resolver, *checkpoint, device, weights);
  weights.embedding = MILLRACE_TRY(bind.matrix("embed_tokens.weight"));
  for (std::size_t i = 0; i < config.layers.size(); ++i)
    weights.layers.push_back(MILLRACE_TRY(bind_layer(bind, config, i)));
  weights.final_norm = MILLRACE_TRY(bind.vector("embedding_norm.weight"));
  if (config.tied_head)
    weights.head.weight = weights.embedding;
  else
    weights.head = MILLRACE_TRY(bind.linear("lm_head"));
  bind.finish();
  weights.bytes_per_token = bytes_read_per_token(config, weights);
  if (device.uses_host_memory()) weights.checkpoint = std::move(checkpoint);
  return weights;
}

}  // namespace millrace
