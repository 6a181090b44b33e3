#include "model/decode_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "model/lfm2.h"
#include "ops/decode_step/decode_shared.h"

namespace millrace {
namespace {

// The phase's matrices, in the order that decode_row() counts them.
std::vector<const TensorView*> matrices_of(const PlannedPhase& phase, const ModelWeights& weights) {
  if (phase.kind == DecodePhaseKind::Head) return {&weights.head.weight};
  const LayerWeights& layer = weights.layers[static_cast<std::size_t>(phase.layer)];
  switch (phase.kind) {
    case DecodePhaseKind::Conv:
      return {&layer.conv->in_proj.weight};
    case DecodePhaseKind::Qkv:
      return {&layer.attention->qkv.weight};
    case DecodePhaseKind::Swiglu:
      return {&layer.mlp->w1.weight, &layer.mlp->w3.weight};
    case DecodePhaseKind::Residual:
      if (phase.is_ffn) return {&layer.mlp->w2.weight};
      return {layer.conv ? &layer.conv->out_proj.weight : &layer.attention->out.weight};
    default:
      return {};
  }
}

// The layout for so many sequences: 1, 2, 4, 8.
std::size_t layout_index(std::int64_t rows) {
  return static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(rows - 1)));
}

// Tiles that make up 48 KiB, in phases that read rows of the hidden size.
int usual_in_flight(std::int64_t hidden) {
  const int strips = static_cast<int>(hidden / kDecodeStripColumns);
  return 3 * kDecodeTileStrips / decode_tile_strips(strips);
}

}  // namespace

std::optional<DecodeStep::Key> DecodeSteps::key_of(const ModelConfig& config,
                                                   const ModelWeights& weights, DType kv_dtype) {
  DecodeStep::Key key{weights.embedding.dtype, kv_dtype, {}};
  key.shape = {config.hidden,   config.ffn_width, config.vocab, config.heads,
               config.kv_heads, config.head_dim,  config.taps,  {}};
  const auto fits = [&](const MatrixWeight& matrix) {
    return matrix.weight.dtype == key.weight && matrix.bias == nullptr;
  };
  if (!fits(weights.head)) return {};
  for (std::size_t i = 0; i < weights.layers.size(); ++i) {
    const LayerWeights& layer = weights.layers[i];
    if (!layer.mlp || !fits(layer.mlp->w1) || !fits(layer.mlp->w3) || !fits(layer.mlp->w2))
      return {};
    if (layer.conv &&
        (!fits(layer.conv->in_proj) || !fits(layer.conv->out_proj) || layer.conv->bias))
      return {};
    if (layer.attention && (!layer.attention->qkv.weight || !fits(layer.attention->qkv) ||
                            !fits(layer.attention->out) || config.layers[i].window != 0))
      return {};
    key.shape.attends.push_back(layer.attention.has_value());
  }
  return key;
}

DecodeSteps::DecodeSteps(const DecodeStep::Key& key, const KernelSpec<DecodeStep>& kernel,
                         const ModelConfig& config, const ModelWeights& weights,
                         const float* cosines, const float* sines, Device& device)
    : kernel_(&kernel), device_(&device) {
  const std::unique_ptr<Stream> stream = device.make_stream();
  plan_ = plan_decode_step(key.shape, device.traits().parallelism);
  for (int i = 0; i < 4; ++i) layouts_[i] = decode_shared_layout(plan_, 1 << i, kDecodeSharedBytes);
  const auto phases = static_cast<std::int64_t>(plan_.phases.size());
  const auto allocate = [&](std::int64_t bytes) {
    return device.allocate(static_cast<std::size_t>(bytes));
  };
  const std::int64_t exchange_words = 2 * kDecodeStepMostRows * plan_.row_words;
  packed_ = allocate(plan_.weight_bytes);
  exchange_ = allocate(exchange_words * 4);
  hints_ = allocate(2 * phases * kDecodeHintStride * 4);
  state_ = allocate(4 * 4);
  alarm_ = allocate(4);
  host_alarm_ = device.allocate_pinned(4);

  const std::vector<std::uint32_t> unwritten(static_cast<std::size_t>(exchange_words),
                                             kDecodeUnwritten);
  device.copy_in(exchange_.as<void>(), unwritten.data(), unwritten.size() * 4, *stream);
  pack_weights(weights, *stream);
  std::vector<DecodeRange> ranges;
  for (const PlannedPhase& phase : plan_.phases)
    ranges.insert(ranges.end(), phase.ranges.begin(), phase.ranges.end());
  ranges_ = device.allocate(ranges.size() * sizeof(DecodeRange));
  device.copy_in(ranges_.as<void>(), ranges.data(), ranges_.bytes(), *stream);
  const std::vector<DecodePhase> on_device = device_phases(weights);
  phases_ = device.allocate(on_device.size() * sizeof(DecodePhase));
  device.copy_in(phases_.as<void>(), on_device.data(), phases_.bytes(), *stream);
  device.synchronize(*stream);

  params_.phases = phases_.as<DecodePhase>();
  params_.ranges = ranges_.as<DecodeRange>();
  params_.phase_count = static_cast<std::int32_t>(phases);
  params_.processors = plan_.processors;
  params_.most_hidden_units = static_cast<std::int32_t>(plan_.most_hidden_units);
  params_.most_strips = plan_.most_strips;
  params_.hidden = config.hidden;
  params_.ffn = config.ffn_width;
  params_.vocab = config.vocab;
  params_.heads = config.heads;
  params_.kv_heads = config.kv_heads;
  params_.epsilon = static_cast<float>(config.norm_epsilon);
  params_.taps = config.taps;
  params_.embedding = weights.embedding.data;
  params_.cosines = cosines;
  params_.sines = sines;
  params_.exchange = exchange_.as<std::uint32_t>();
  params_.row_words = plan_.row_words;
  params_.hints = hints_.as<std::uint32_t>();
  params_.state = state_.as<std::int32_t>();
  params_.alarm = alarm_.as<std::uint32_t>();
  params_.host_alarm = host_alarm_.as<std::uint32_t>();
}

std::vector<DecodePhase> DecodeSteps::device_phases(const ModelWeights& weights) const {
  std::vector<DecodePhase> phases;
  std::int32_t conv_layers = 0;
  std::int32_t attention_layers = 0;
  for (const PlannedPhase& planned : plan_.phases) {
    DecodePhase phase = {};
    phase.kind = planned.kind;
    phase.source = planned.source;
    phase.k = static_cast<std::int32_t>(planned.k);
    phase.subs = planned.subs;
    phase.producers = planned.producers();
    phase.in = static_cast<std::int32_t>(planned.in);
    phase.out = static_cast<std::int32_t>(planned.out);
    phase.weights = packed_.as<std::byte>() + planned.weights;
    // The head is in no layer and needs nothing of one.
    const LayerWeights& layer =
        weights.layers[static_cast<std::size_t>(std::max<std::int64_t>(planned.layer, 0))];
    switch (planned.kind) {
      case DecodePhaseKind::Conv:
        phase.norm = layer.operator_norm;
        phase.conv_kernel = layer.conv->kernel;
        phase.cache_layer = conv_layers++;
        break;
      case DecodePhaseKind::Qkv:
        phase.norm = layer.operator_norm;
        break;
      case DecodePhaseKind::Attention:
        phase.norm = layer.attention->q_norm;
        phase.k_norm = layer.attention->k_norm;
        phase.cache_layer = attention_layers++;
        break;
      case DecodePhaseKind::Swiglu:
        phase.norm = layer.ffn_norm;
        break;
      case DecodePhaseKind::Residual:
        break;
      case DecodePhaseKind::Head:
        phase.norm = weights.final_norm;
        break;
    }
    phases.push_back(phase);
  }
  return phases;
}

void DecodeSteps::pack_weights(const ModelWeights& weights, Stream& stream) {
  for (const PlannedPhase& planned : plan_.phases) {
    const std::vector<const TensorView*> matrices = matrices_of(planned, weights);
    if (matrices.empty()) continue;
    DecodePack pack = {};
    pack.kind = planned.kind;
    for (std::size_t m = 0; m < matrices.size(); ++m) pack.matrices[m] = matrices[m]->data;
    pack.hidden = plan_.phases.front().k;
    pack.k = planned.k;
    pack.units = planned.units;
    pack.subs = planned.subs;
    pack.packed = packed_.as<std::byte>() + planned.weights;
    pack_decode_weights(device_->traits().backend, pack, stream);
  }
}

bool DecodeSteps::fits(std::int64_t rows) const {
  return layouts_[layout_index(rows)].tiles >= kDecodeFewestTiles;
}

// A step takes milliseconds on a GPU.
double DecodeSteps::patience() const {
  if (tuning_.patience > 0) return tuning_.patience;
  return device_->traits().backend == Backend::Emulated ? 600 : 2;
}

bool DecodeSteps::can_run(const StepInput& input) const {
  const std::int64_t rows = input.batch.rows;
  return tuning_.enabled && rows >= 1 && rows <= kDecodeStepMostRows &&
         input.batch.max_count == 1 && input.logit_count == rows && fits(rows) &&
         (tuning_.any_context || input.longest <= most_context(rows));
}

std::int64_t DecodeSteps::most_context(std::int64_t rows) const {
  if (!fits(rows)) return 0;
  const auto layers = std::count_if(
      plan_.phases.begin(), plan_.phases.end(),
      [](const PlannedPhase& phase) { return phase.kind == DecodePhaseKind::Attention; });
  return decode_step_most_context(rows, plan_.weight_bytes, layers * params_.kv_heads);
}

std::string DecodeSteps::use() const {
  std::string text;
  for (int rows = 1; rows <= kDecodeStepMostRows; rows *= 2)
    text += fmt::format("{}{} up to context {}", rows == 1 ? "for sequences at once: " : ", ", rows,
                        most_context(rows));
  return text;
}

void DecodeSteps::launch(const StepInput& input, const Workspace& workspace,
                         const CacheStorage& cache, Stream& stream) const {
  const std::size_t index = layout_index(input.batch.rows);
  const DecodeSharedLayout& layout = layouts_[index];
  DecodeStepLaunch launch{params_, 1 << index, layout.bytes};
  DecodeStepParams& p = launch.step;
  p.tiles = std::min(layout.tiles, tuning_.most_tiles);
  p.in_flight =
      std::min(tuning_.in_flight > 0 ? tuning_.in_flight : usual_in_flight(p.hidden), p.tiles - 1);
  p.slack = tuning_.slack;
  p.part_buffers = layout.part_buffers;
  p.patience = static_cast<std::int64_t>(patience() * 1e9);
  p.jam = tuning_.jam;
  const CacheGeometry& geometry = cache.geometry();
  launch.fp8_cache = geometry.kv_dtype == DType::F8_E4M3;
  if (geometry.conv_layers > 0) {
    const ConvStateView first = cache.conv(0);
    p.conv_states = first.columns;
    p.ring = first.ring;
    if (geometry.conv_layers > 1) p.conv_layer_stride = cache.conv(1).columns - first.columns;
  }
  if (geometry.attention_layers > 0) {
    p.keys = static_cast<std::byte*>(cache.kv(0).key);
    p.values = static_cast<std::byte*>(cache.kv(0).value);
    if (geometry.attention_layers > 1)
      p.kv_layer_stride = static_cast<std::byte*>(cache.kv(1).key) - p.keys;
  }
  p.tokens = input.tokens;
  p.sampled = input.sampled;
  p.batch = input.batch;
  p.logits = workspace.logits.row<float>(0);
  p.logits_stride = workspace.logits.stride;
  p.stamps = stamps_.as<std::int64_t>();
  if (tuning_.bare)
    launch_decode_bound(device_->traits().backend, launch, stream);
  else
    kernel_->launch(launch, stream);
}

std::string DecodeSteps::failure() const {
  const std::uint32_t alarm = *static_cast<const volatile std::uint32_t*>(host_alarm_.as<void>());
  if (alarm == 0 || !tuning_.enabled) return {};
  const std::size_t phase = (alarm >> 16) - 1;
  const PlannedPhase& planned = plan_.phases[phase];
  return fmt::format(
      "multiprocessor {} waited for {} s in phase {} ({}) of a decode step and gave it up",
      alarm & 0xffffu, patience(), phase,
      planned.layer < 0 ? "head" : fmt::format("layer {}", planned.layer));
}

void DecodeSteps::keep_stamps() {
  stamps_ = device_->allocate(static_cast<std::size_t>(plan_.processors) * plan_.phases.size() *
                              kDecodeStamps * sizeof(std::int64_t));
}

std::vector<std::int64_t> DecodeSteps::stamps() const {
  std::vector<std::int64_t> all(static_cast<std::size_t>(plan_.processors) * plan_.phases.size() *
                                kDecodeStamps);
  const std::unique_ptr<Stream> stream = device_->make_stream();
  device_->copy_out(all.data(), stamps_.as<void>(), all.size() * sizeof(std::int64_t), *stream);
  device_->synchronize(*stream);
  return all;
}

}  // namespace millrace
