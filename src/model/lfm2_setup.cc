// What happens once, at load: kernels are chosen, rope tables made, work counted.
#include <algorithm>
#include <cmath>

#include "model/lfm2.h"
#include "model/pack_weights.h"
#include "ops/kernel_trials.h"

namespace millrace {
namespace {

// Chooses and reports; equal choices are counted, not repeated.
class Chooser {
 public:
  Chooser(const DeviceTraits& traits, DType activation, const KernelOverrides& overrides,
          KernelTrials* trials, std::vector<KernelReport>& reports)
      : traits_(traits),
        activation_(activation),
        overrides_(overrides),
        trials_(trials),
        reports_(reports) {}

  template <typename Op>
  Result<const KernelSpec<Op>*> choose(const typename Op::Key& key) {
    KernelChoice<Op> choice =
        MILLRACE_TRY(trials_ ? choose_tried_kernel<Op>(key, traits_, overrides_, *trials_)
                             : choose_kernel<Op>(key, traits_, overrides_));
    const std::string name = to_string(key);
    const auto known = std::find_if(reports_.begin(), reports_.end(), [&](const KernelReport& r) {
      return r.op == Op::kName && r.key == name;
    });
    if (known != reports_.end())
      ++known->uses;
    else
      reports_.push_back({std::string(Op::kName), name, 1, std::move(choice.verdicts)});
    return choice.spec;
  }

  // For ops that the model can do without.
  template <typename Op>
  const KernelSpec<Op>* find(const typename Op::Key& key) {
    const Result<const KernelSpec<Op>*> spec = choose<Op>(key);
    return spec ? *spec : nullptr;
  }

  // A kernel that reads packed weights, if there is one beside the reference. Plain: the op that it
  // stands in for.
  template <typename Op, typename Plain>
  const KernelSpec<Op>* packed(const typename Op::Key& key) {
    const bool forced = overrides_.contains(Op::kName);
    if (!forced && overrides_.contains(Plain::kName)) return nullptr;
    const auto choice = choose_kernel<Op>(key, traits_, overrides_);
    if (!choice || (choice->spec->priority == Priority::Reference && !forced)) return nullptr;
    const KernelSpec<Op>* spec = find<Op>(key);
    return spec && (forced || spec->priority != Priority::Reference) ? spec : nullptr;
  }

  Status choose(MatrixWeight& matrix) {
    const TensorView& weight = matrix.weight;
    matrix.packed_kernel =
        packed<PackedLinear, Linear>({weight.dtype, activation_, weight.shape[0], weight.shape[1]});
    if (matrix.packed_kernel) return {};
    matrix.kernel = MILLRACE_TRY(choose<Linear>(
        {matrix.weight.dtype, activation_, matrix.weight.shape[0], matrix.weight.shape[1]}));
    return {};
  }

 private:
  const DeviceTraits& traits_;
  DType activation_;
  const KernelOverrides& overrides_;
  KernelTrials* trials_;
  std::vector<KernelReport>& reports_;
};

// Gates and ups of one type, and downs of one: what kernels are chosen for. A CPU's that read
// weights as they are stored look at each matrix.
bool are_alike(const std::vector<ExpertView>& experts) {
  return std::all_of(experts.begin(), experts.end(), [&](const ExpertView& expert) {
    const ExpertView& first = experts.front();
    return expert.w1.dtype == first.w1.dtype && expert.w3.dtype == first.w1.dtype &&
           expert.w2.dtype == first.w2.dtype;
  });
}

// In the order of use.
std::vector<MatrixWeight*> matrices_of(LayerWeights& layer) {
  std::vector<MatrixWeight*> matrices;
  const auto add = [&](auto*... all) { (matrices.push_back(all), ...); };
  if (layer.conv) add(&layer.conv->in_proj, &layer.conv->out_proj);
  if (layer.attention) {
    AttentionWeights& attention = *layer.attention;
    if (attention.qkv.weight)
      add(&attention.qkv, &attention.out);
    else
      add(&attention.q, &attention.k, &attention.v, &attention.out);
  }
  if (layer.mlp) {
    MlpWeights& mlp = *layer.mlp;
    if (mlp.w13.weight)
      add(&mlp.w13, &mlp.w2);
    else
      add(&mlp.w1, &mlp.w3, &mlp.w2);
  }
  if (layer.moe) add(&layer.moe->router);
  return matrices;
}

}  // namespace

Result<Lfm2> Lfm2::make(ModelConfig config, ModelWeights weights, Device& device, DType kv_dtype,
                        std::int64_t max_position, const KernelOverrides& overrides,
                        KernelTrials* trials) {
  Lfm2 model;
  model.config_ = std::move(config);
  model.weights_ = std::move(weights);
  MILLRACE_TRY(model.choose_kernels(device, kv_dtype, overrides, trials));
  std::vector<MatrixWeight*> matrices = {&model.weights_.head};
  for (LayerWeights& layer : model.weights_.layers)
    for (MatrixWeight* matrix : matrices_of(layer)) matrices.push_back(matrix);
  pack_weights(matrices, model.weights_, device);

  // Spec 4.4 step 3: frequency and angle are float products, as the reference computes them.
  const std::int64_t half = model.config_.head_dim / 2;
  std::vector<float> cosines(static_cast<std::size_t>(max_position * half));
  std::vector<float> sines(cosines.size());
  for (std::int64_t i = 0; i < half; ++i) {
    const float frequency =
        1.0f / static_cast<float>(std::pow(model.config_.rope_theta,
                                           static_cast<double>(2 * i) / model.config_.head_dim));
    for (std::int64_t p = 0; p < max_position; ++p) {
      const float angle = static_cast<float>(p) * frequency;
      cosines[static_cast<std::size_t>(p * half + i)] = std::cos(angle);
      sines[static_cast<std::size_t>(p * half + i)] = std::sin(angle);
    }
  }
  const std::unique_ptr<Stream> stream = device.make_stream();
  for (const std::vector<float>* table : {&cosines, &sines}) {
    const std::size_t bytes = table->size() * sizeof(float);
    model.tables_.push_back(device.allocate(bytes));
    device.copy_in(model.tables_.back().as<void>(), table->data(), bytes, *stream);
  }
  device.synchronize(*stream);
  model.cosines_ = model.tables_[0].as<float>();
  model.sines_ = model.tables_[1].as<float>();
  if (const auto* kernel = model.choose_decode_step(device, kv_dtype, overrides)) {
    model.decode_steps_ = std::make_unique<DecodeSteps>(
        *DecodeSteps::key_of(model.config_, model.weights_, kv_dtype), *kernel, model.config_,
        model.weights_, model.cosines_, model.sines_, device);
    model.reports_.back().note = model.decode_steps_->use();
  }
  return model;
}

Result<std::vector<KernelReport>> Lfm2::explain(ModelConfig config, ModelWeights weights,
                                                Device& device, DType kv_dtype,
                                                const KernelOverrides& overrides) {
  Lfm2 model;
  model.config_ = std::move(config);
  model.weights_ = std::move(weights);
  MILLRACE_TRY(model.choose_kernels(device, kv_dtype, overrides, nullptr));
  model.choose_decode_step(device, kv_dtype, overrides);
  return std::move(model.reports_);
}

Status Lfm2::choose_kernels(Device& device, DType kv_dtype, const KernelOverrides& overrides,
                            KernelTrials* trials) {
  const DType activation = activation_dtype(device, config_);
  Chooser chooser(device.traits(), activation, overrides, trials, reports_);
  embedding_ = MILLRACE_TRY(
      chooser.choose<Embedding>({weights_.embedding.dtype, activation, config_.hidden}));
  if (!device.uses_host_memory()) bring_inputs_ = chooser.find<BringInputs>({activation});
  gather_rows_ = MILLRACE_TRY(chooser.choose<GatherRows>({activation, config_.hidden}));
  rms_norm_ = MILLRACE_TRY(chooser.choose<RmsNorm>({activation, config_.hidden}));
  if (config_.count(Mixer::Conv) > 0)
    short_conv_ =
        MILLRACE_TRY(chooser.choose<ShortConv>({activation, config_.hidden, config_.taps}));
  if (config_.count(Mixer::Attention) > 0) {
    rope_kv_ = MILLRACE_TRY(chooser.choose<RopeKv>({activation, kv_dtype, config_.head_dim}));
    attention_ = MILLRACE_TRY(chooser.choose<Attention>(
        {activation, kv_dtype, config_.head_dim, config_.heads / config_.kv_heads}));
  }
  silu_mul_ = MILLRACE_TRY(chooser.choose<SiluMul>({activation, config_.ffn_width}));
  sample_ = chooser.find<Sample>({activation, config_.vocab});
  if (config_.moe)
    moe_route_ = MILLRACE_TRY(
        chooser.choose<MoeRoute>({activation, config_.moe->experts, config_.moe->top_k}));
  find_fused(device, overrides, trials);
  for (LayerWeights& layer : weights_.layers) {
    for (MatrixWeight* matrix : matrices_of(layer)) MILLRACE_TRY(chooser.choose(*matrix));
    if (layer.moe) {
      const ExpertView& expert = layer.moe->experts.front();
      const MoeExperts::Key key = {expert.w1.dtype, expert.w2.dtype, activation, config_.hidden,
                                   config_.moe->width};
      const bool alike = are_alike(layer.moe->experts);
      if (!alike && !device.uses_host_memory())
        return fail(ErrorCode::Unsupported,
                    "layer {}: its experts' gates and ups, or its downs, are stored in different "
                    "types, which kernels for {} do not take",
                    &layer - weights_.layers.data(), device.traits().name);
      if (alike) layer.moe->packed_kernel = chooser.packed<PackedExperts, MoeExperts>(key);
      if (!layer.moe->packed_kernel)
        layer.moe->kernel = MILLRACE_TRY(chooser.choose<MoeExperts>(key));
    }
  }
  return chooser.choose(weights_.head);
}

// Ops that do several steps for a few rows at once: where there is a kernel, forward() uses it.
void Lfm2::find_fused(Device& device, const KernelOverrides& overrides, KernelTrials* trials) {
  const DType activation = activation_dtype(device, config_);
  if (activation != DType::BF16) return;  // they round their rows to BF16
  Chooser chooser(device.traits(), activation, overrides, trials, reports_);
  for (const LayerWeights& layer : weights_.layers) {
    if (layer.conv) {
      const TensorView& in_proj = layer.conv->in_proj.weight;
      fused_.short_conv = chooser.find<NormShortConv>(
          {in_proj.dtype, activation, config_.hidden, config_.hidden, config_.taps});
    }
    if (layer.attention && layer.attention->qkv.weight) {
      const TensorView& qkv = layer.attention->qkv.weight;
      fused_.qkv = chooser.find<NormLinear>(
          {qkv.dtype, activation, qkv.shape[0], qkv.shape[1], NormLinear::kFewRows});
    }
    if (layer.mlp && layer.mlp->w13.weight) {
      NormSwiglu::Key key = {layer.mlp->w1.weight.dtype, activation, config_.ffn_width,
                             config_.hidden, NormSwiglu::kFewRows};
      fused_.swiglu = chooser.find<NormSwiglu>(key);
      key.rows = NormSwiglu::kBatchRows;
      fused_.batch_swiglu = chooser.find<NormSwiglu>(key);
    }
  }
  fused_.head = chooser.find<NormLinear>({weights_.head.weight.dtype, DType::F32, config_.vocab,
                                          config_.hidden, NormLinear::kFewRows});
  find_batch(device, overrides, trials);
}

// Ops of batches, which go from norm to norm: where all that the layers need are there, forward()
// uses them.
void Lfm2::find_batch(Device& device, const KernelOverrides& overrides, KernelTrials* trials) {
  if (!fused_.batch_swiglu) return;
  Chooser chooser(device.traits(), DType::BF16, overrides, trials, reports_);
  const auto in = [&](const MatrixWeight& m) -> const KernelSpec<NormLinear>* {
    if (!m.weight || m.bias) return nullptr;
    return chooser.find<NormLinear>({m.weight.dtype, DType::BF16, m.weight.shape[0],
                                     m.weight.shape[1], NormLinear::kBatchRows});
  };
  const auto out = [&](const MatrixWeight& m) -> const KernelSpec<LinearNorm>* {
    if (m.bias) return nullptr;
    return chooser.find<LinearNorm>({m.weight.dtype, DType::BF16, m.weight.shape[0],
                                     m.weight.shape[1], NormLinear::kBatchRows});
  };
  decltype(batch_) batch;
  bool all = true;
  for (const LayerWeights& layer : weights_.layers) {
    if (layer.conv) {
      batch.in_proj = in(layer.conv->in_proj);
      batch.conv_out = out(layer.conv->out_proj);
      all = all && batch.in_proj && batch.conv_out;
    }
    if (layer.attention) {
      batch.qkv = in(layer.attention->qkv);
      batch.attention_out = out(layer.attention->out);
      all = all && batch.qkv && batch.attention_out;
    }
    if (layer.mlp) {
      batch.down = out(layer.mlp->w2);
      all = all && batch.down;
    }
  }
  if (all) batch_ = batch;
}

const KernelSpec<DecodeStep>* Lfm2::choose_decode_step(Device& device, DType kv_dtype,
                                                       const KernelOverrides& overrides) {
  if (activation_dtype(device, config_) != DType::BF16) return nullptr;
  const std::optional<DecodeStep::Key> key = DecodeSteps::key_of(config_, weights_, kv_dtype);
  if (!key) return nullptr;
  return Chooser(device.traits(), DType::BF16, overrides, nullptr, reports_).find<DecodeStep>(*key);
}

Lfm2::Work Lfm2::work(std::int64_t rows, std::int64_t logit_rows, double context,
                      DType kv_dtype) const {
  Work work = {};
  const auto count = [&](const TensorView& matrix, double matrix_rows) {
    if (matrix_rows == 0) return;
    work.weight_bytes += static_cast<double>(matrix.bytes());
    work.flops += 2.0 * static_cast<double>(matrix.shape.elements()) * matrix_rows;
  };
  const auto r = static_cast<double>(rows);
  for (const LayerWeights& layer : weights_.layers) {
    // Behind the last layer's mixer go only the rows that give logits.
    const bool last = &layer == &weights_.layers.back();
    const double behind = last ? std::min(r, static_cast<double>(logit_rows)) : r;
    const MatrixWeight* out = layer.conv ? &layer.conv->out_proj : &layer.attention->out;
    double matrix_rows = r;
    for (const MatrixWeight* matrix : matrices_of(const_cast<LayerWeights&>(layer))) {
      if (matrix == out) matrix_rows = behind;
      count(matrix->weight, matrix_rows);
    }
    if (layer.moe) {
      // Expected share of experts that some row chose, if choices are even.
      const double experts = config_.moe->experts;
      const double top_k = config_.moe->top_k;
      const double touched = experts * (1.0 - std::pow(1.0 - top_k / experts, behind));
      for (const TensorView* matrix :
           {&layer.moe->experts.front().w1, &layer.moe->experts.front().w3,
            &layer.moe->experts.front().w2}) {
        work.weight_bytes += touched * static_cast<double>(matrix->bytes());
        work.flops += 2.0 * static_cast<double>(matrix->shape.elements()) * behind * top_k;
      }
    }
  }
  count(weights_.head.weight, static_cast<double>(logit_rows));
  const CacheGeometry geometry = config_.cache_geometry(kv_dtype, 0);
  work.kv_bytes = r * context * static_cast<double>(geometry.kv_bytes_per_token());
  work.flops += r * context * 4.0 * config_.heads * config_.head_dim * geometry.attention_layers;
  return work;
}

}  // namespace millrace
